"""Changing passwords: one's own, and what every new password goes through."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, func, select

from api.authentication import account_failures, credentials
from api.authentication.authority import Act, CallersAuthority
from api.authentication.credentials import Minted
from api.authentication.passwords import Passwords, objection
from api.errors import Conflict, Forbidden
from api.state import accounts
from api.state.policies import PasswordPolicy
from api.state.reader import Reader
from reconciler.store import tables
from reconciler.store.audit import Event
from reconciler.store.engine import Connection


class PasswordChange(NamedTuple):
    """The change of password that a caller asks for."""

    current: str
    new: str
    revoke_tokens: bool = False


def change_own(reader: Reader, authority: CallersAuthority, passwords: Passwords, change: PasswordChange) -> Minted:
    """Change the caller's password. Its sessions end, and its API tokens if it asks for that; the session that replaces this one.

    Raises Unauthenticated, Forbidden, Conflict, Busy or StoreError.
    """
    if authority.principal.credential.kind != "session":
        raise Forbidden("an API token cannot change the password; log in", reason="session-needed")
    row = reader.row("SELECT password_hash FROM account_states WHERE user_id = ?", authority.principal.account.id)
    kept = row[0] if row else None
    with passwords.place(), passwords.turn():
        verified = passwords.verify(kept, change.current)
    hashed = passwords.hash(change.new)
    with authority.acting() as act:
        account = accounts.find(act.connection, act.actor)
        if account is None or account.source == "directory":
            raise Conflict("this account has no password here")
        if verified and account.password_hash == kept:
            return _change(act, account, passwords, change, hashed)
        _count_failure(act)
    raise Forbidden("the current password is wrong", reason="wrong-password")


def _change(act: Act, account: Row[Any], passwords: Passwords, change: PasswordChange, hashed: str) -> Minted:
    if change.new == change.current:
        raise Conflict("the new password is the current one")
    check_password(passwords, change.new, account, act.caller.access.policies.passwords)
    replace_password(act.connection, account, hashed, now=act.now, change_required=False)
    # this session as well: others may have its secret, and wait with it for the end of this act
    ended = credentials.revoke(act.connection, account.id, act.now, kind=None if change.revoke_tokens else "session")
    ends = act.caller.credential.ends
    session = credentials.mint(act.connection, account.id, "session", now=act.now, expires_at=ends)
    detail = {"revokedCredentials": len(ended), "session": session.accessor}
    act.record(Event("password.change", "User", act.actor, detail))
    return session


def _count_failure(act: Act) -> None:
    """End a session that gives a wrong current password too often: it is probably in other hands, and guessing."""
    accessor = act.caller.credential.accessor
    act.record(Event(_FAILED, "User", act.actor, {}))
    if _failures(act.connection, act.actor, accessor) >= act.caller.access.policies.max_failures:
        ended = credentials.revoke(act.connection, act.caller.account.id, act.now, accessor=accessor, with_minted=True)
        act.record(*credentials.revoked_events(ended, "wrong-password"))


_FAILED = "password.change-fail"


def _failures(connection: Connection, name: str, session: str) -> int:
    """How often a session has given a wrong current password, according to the audit log."""
    columns = tables.audit.c
    entries = (columns.kind == "User") & (columns.name == name) & (columns.action == _FAILED)
    of_session = columns.detail == orjson.dumps({"credential": session}).decode()
    return int(connection.execute(select(func.count()).where(entries & of_session)).scalar_one())


def check_password(passwords: Passwords, password: str, account: Row[Any], policy: PasswordPolicy) -> None:
    """Raise Conflict if a new password is not accepted, and Unavailable if that cannot be said."""
    known = (account.name, account.email, account.email.partition("@")[0], account.full_name or "")
    refused = objection(password, policy, identity=known, leaked=passwords.leaked)
    if refused is not None:
        raise Conflict(refused)


def replace_password(
    connection: Connection,
    account: Row[Any],
    hashed: str,
    *,
    now: datetime,
    change_required: bool,
    expires_at: datetime | None = None,
) -> None:
    """Write the hash of a new password, which may be tried at once. Only generated passwords expire."""
    values = {
        "password_hash": hashed,
        "password_set_at": now,
        "password_change_required": change_required,
        "password_expires_at": expires_at,
    }
    accounts.write(connection, account.id, values)
    account_failures.forget(connection, account_failures.key_of(account.id))
