"""What administrators and operators do to an account: each act one transaction, with its entry in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row

from api.authentication import account_failures, credentials
from api.authentication.authority import Act, Authority
from api.authentication.credentials import Ended
from api.authentication.hash_files import Fault, HashFile, Line
from api.authentication.password_changes import check_password, owner_of, replace_password
from api.authentication.passwords import Passwords
from api.errors import Conflict, NotFound
from api.outbox import queue, status
from api.outbox.queue import NewMessage
from api.state import accounts
from api.state.policies import PasswordPolicy
from api.state.reader import Reader
from reconciler.access.mails import PASSWORD_RESET, PASSWORD_SET
from reconciler.access.touched import Touched
from reconciler.store.audit import Event
from reconciler.store.engine import Connection
from reconciler.store.generations import raise_generation
from reconciler.store.minted import minted_detail
from reconciler.wording.nearest import did_you_mean


@contextmanager
def _acting(authority: Authority, name: str) -> Iterator[tuple[Act, Row[Any]]]:
    with authority.acting() as act:
        yield act, accounts.require(accounts.find(act.connection, name), name)


def _refuse_directory(account: Row[Any]) -> None:
    if account.source == "directory":
        raise Conflict(f"`{account.name}` is a directory account; its password is kept in its directory")


def set_password(
    authority: Authority,
    passwords: Passwords,
    policy: PasswordPolicy,
    name: str,
    password: str,
    *,
    change_required: bool,
    revoke_tokens: bool = True,
) -> None:
    """Set the password of another account, and end its sessions and tokens.

    Administrators do so for applications, and for people only if the Settings permit that; these are told by mail. Operators do
    so for everybody. Raises NotFound, Forbidden, Conflict, Busy or StoreError.
    """
    hashed = passwords.hash(password)
    with _acting(authority, name) as (act, account):
        _refuse_own(act, account, "change your own password with PUT /api/v1/me/password, which asks for the current one")
        _refuse_directory(account)
        if act.principal is not None:
            act.refuse_person(account.type, "administrators may set passwords only of applications; mail this person a new one")
            policy = act.principal.access.policies.passwords
        check_password(passwords, password, owner_of(account), policy)
        replace_password(act.connection, account, hashed, now=act.now, change_required=change_required)
        queue.end_password_mails(act.connection, account.id, "a password was set since", act.now)
        ended = _end_credentials(act, account, sessions=True, tokens=revoke_tokens)
        act.record(Event("password.set", "User", name, {"changeRequired": change_required, "revokedCredentials": ended}))
        if act.principal is not None and account.type == "person":
            queue.put(
                act.connection, [NewMessage(PASSWORD_SET, account.id, detail=orjson.dumps({"by": act.actor}).decode())], act.now
            )


class HashImport(NamedTuple):
    """How password hashes are taken over."""

    replace: bool = False
    """Passwords that accounts have already are replaced."""
    require_change: bool = False
    """At the next login; otherwise it is required if it was before."""
    revoke_tokens: bool = True
    """Of accounts whose password is replaced."""
    dry_run: bool = False


class ImportedHash(NamedTuple):
    """An account and what its new password ended."""

    name: str
    replaced: bool
    change_required: bool
    revoked_credentials: int


def described(each: ImportedHash) -> dict[str, Any]:
    """The same for programs."""
    return {
        "name": each.name,
        "replaced": each.replaced,
        "passwordChangeRequired": each.change_required,
        "revokedCredentials": each.revoked_credentials,
    }


class HashesRefused(Exception):
    """Password hashes that are not taken over, and why, by their lines."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("no password hash was taken over")
        self.faults = faults


def import_hashes(
    authority: Authority,
    reader: Reader,
    file: HashFile,
    terms: HashImport,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[ImportedHash]:
    """Take over password hashes of bcrypt, all or none; names may be aliases. Raises HashesRefused or StoreError.

    No password policy is asked: nobody knows the passwords. Generated passwords expire, and these do not.
    """
    with authority.acting() as act:
        with reader.within(act.connection):
            found, faults = _accounts_of(act.connection, reader, file, terms)
        if faults or file.faults:
            raise HashesRefused(sorted([*file.faults, *faults]))
        done = []
        for number, (line, account) in enumerate(found, 1):
            done.append(_take_over(act, account, line.hash, terms))
            if progress is not None:
                progress(number, len(found))
    return done


def _accounts_of(
    connection: Connection, reader: Reader, file: HashFile, terms: HashImport
) -> tuple[list[tuple[Line, Row[Any]]], list[Fault]]:
    """The account of each line, and what is wrong with the others."""
    found: list[tuple[Line, Row[Any]]] = []
    faults: list[Fault] = []
    numbers: dict[int, int] = {}
    names: list[str] | None = None
    for line in file.lines:
        account = accounts.find(connection, accounts.named_by_login(reader, line.name)[0])
        if account is None:
            names = accounts.declared_names(connection) if names is None else names
            hint = did_you_mean(line.name, names) if len(faults) < _SUGGESTIONS else ""
            fault = f"there is no such account{hint}"
        elif account.source == "directory":
            fault = "this is a directory account; its password is kept in its directory"
        elif (first := numbers.setdefault(account.id, line.number)) != line.number:
            fault = f"this is the account `{account.name}` of {file.word} {first:,} already"
        elif account.password_hash and not terms.replace:
            fault = "this account has a password; to replace it, use --replace"
        else:
            found.append((line, account))
            continue
        faults.append(Fault(line.number, f"`{line.name}`: {fault}"))
    return found, faults


_SUGGESTIONS = 20
"""Names for which the nearest one is looked for: among many accounts each takes a while."""


def _take_over(act: Act, account: Row[Any], hashed: str, terms: HashImport) -> ImportedHash:
    required, replaced = terms.require_change or bool(account.password_change_required), bool(account.password_hash)
    if terms.dry_run:
        return ImportedHash(account.name, replaced, required, 0)
    replace_password(act.connection, account, hashed, now=act.now, change_required=required)
    queue.end_password_mails(act.connection, account.id, "a password was set since", act.now)
    ended = _end_credentials(act, account, sessions=True, tokens=terms.revoke_tokens) if replaced else 0
    detail = {"changeRequired": required, "replaced": replaced, "revokedCredentials": ended}
    act.record(Event("password.import", "User", account.name, detail))
    return ImportedHash(account.name, replaced, required, ended)


def reset_password(authority: Authority, name: str, *, revoke_tokens: bool = True) -> None:
    """Request a generated password by mail. Until the mail is delivered the old one stays valid, and sessions and tokens live.

    Raises NotFound, Conflict or StoreError.
    """
    with _acting(authority, name) as (act, account):
        _refuse_own(act, account, "another administrator can reset your password")
        _refuse_directory(account)
        detail: dict[str, Any] = {"revokeTokens": revoke_tokens}
        queue.put(act.connection, [NewMessage(PASSWORD_RESET, account.id, detail=orjson.dumps(detail).decode())], act.now)
        act.record(Event("password.reset", "User", name, detail))


def require_password_change(authority: Authority, name: str, *, end_sessions: bool = True, revoke_tokens: bool = True) -> None:
    """Require a new password at the next login, and end sessions and tokens. Raises NotFound, Conflict or StoreError."""
    with _acting(authority, name) as (act, account):
        _refuse_directory(account)
        accounts.write(act.connection, account.id, {"password_change_required": True})
        ended = _end_credentials(act, account, sessions=end_sessions, tokens=revoke_tokens)
        act.record(Event("password.require-change", "User", name, {"revokedCredentials": ended}))


def set_disabled(authority: Authority, name: str, disabled: bool) -> None:
    """Disable another account, or take that back: the administrators' own switch, beside Git's and the directory's.

    Raises NotFound, Conflict or StoreError.
    """
    with _acting(authority, name) as (act, account):
        _refuse_own(act, account, "you cannot disable yourself; ask another administrator")
        if bool(account.disabled_by_administrator) is disabled:
            return
        accounts.write(act.connection, account.id, {"disabled_by_administrator": disabled})
        raise_generation(act.connection, Touched(frozenset({account.name})))
        ended = credentials.revoke(act.connection, account.id, act.now) if disabled else []
        detail: dict[str, Any] = {"revokedCredentials": len(ended)}
        if disabled:
            detail |= minted_detail(act.connection, account.id, act.now)
        act.record(Event("account.disable" if disabled else "account.enable", "User", name, detail))


def unlock(authority: Authority, name: str, guid_of: Callable[[str], str | None]) -> None:
    """Forget an account's failed logins. Raises NotFound, DirectoryUnavailable or StoreError.

    `guid_of`: finds the account of a login name in the directories, whose accounts appear here only when they log in.
    """
    with authority.acting() as act:
        account = accounts.find(act.connection, name)
        if account is not None:
            account_failures.unlock(act.connection, account_failures.key_of(account.id, account.guid))
            act.record(Event("account.unlock", "User", name, {}))
            return
    guid = guid_of(name)  # outside of the transaction: others wait for that
    if guid is None:
        raise NotFound(f"there is no account `{name}`")
    with authority.acting() as act:
        account_failures.unlock(act.connection, guid)
        act.record(Event("account.unlock", "User", name, {"guid": guid}))


def retry_mail(authority: Authority, messages: Sequence[int] | None) -> int:
    """Have messages that failed or were given up tried again at once: those with these numbers, or all if None are named.

    Returns how many. Raises Conflict, and changes nothing, if one has neither failed nor been given up; Forbidden or StoreError.
    """
    with authority.acting() as act:
        found = status.retry(act.connection, messages, act.now)
        missing = sorted(set(messages or ()) - {number for number, _, _ in found})
        if missing:
            raise Conflict(f"message {missing[0]} has neither failed nor been given up; nothing was changed")
        act.record(
            *(
                Event("mail.retry", "User" if name else "", name or "", {"message": number, "template": template})
                for number, template, name in found
            )
        )
    return len(found)


def revoke_credentials(authority: Authority, name: str, accessors: Sequence[str] | None) -> int:
    """Revoke these tokens and sessions of an account, or all of them if None are named, with all that was minted with them.

    Returns how many ended. Raises NotFound or StoreError.
    """
    ended: list[Ended] = []
    with _acting(authority, name) as (act, account):
        for accessor in [None] if accessors is None else accessors:
            revoked = credentials.revoke(act.connection, account.id, act.now, accessor=accessor, with_minted="all")
            if accessor is not None and not revoked and accessor not in {each.accessor for each in ended}:
                raise NotFound(f"{name} has no live token or session `{accessor}`; nothing was revoked")
            ended += revoked
        act.record(*credentials.revoked_events(ended, "operator"))
    return len(ended)


def end_session(authority: Authority, name: str, accessor: str) -> None:
    """End one of an account's sessions, with all that came of it. Raises NotFound or StoreError."""
    with _acting(authority, name) as (act, account):
        ended = credentials.revoke(act.connection, account.id, act.now, kind="session", accessor=accessor, with_minted="all")
        if not ended:
            raise NotFound("there is no such live session")
        act.record(*credentials.revoked_events(ended, "revoked"))


def _end_credentials(act: Act, account: Row[Any], *, sessions: bool, tokens: bool) -> int:
    kinds = [kind for kind, ends in (("session", sessions), ("token", tokens)) if ends]
    return sum(len(credentials.revoke(act.connection, account.id, act.now, kind=kind)) for kind in kinds)


def _refuse_own(act: Act, account: Row[Any], instead: str) -> None:
    """Raise Conflict if somebody acts on the own account as on another's."""
    if act.principal is not None and act.principal.account.id == account.id:
        raise Conflict(instead)
