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
from api.authentication.places import Guest
from api.authentication.sessions import end_with_minted
from api.authentication.tokens import Carrier
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


def change_own(
    reader: Reader, authority: CallersAuthority, passwords: Passwords, change: PasswordChange, carrier: Carrier = "header"
) -> Minted:
    """Change the caller's password. Its sessions end, and its API tokens if it asks for that; the session that replaces this one.

    Raises Unauthenticated, Forbidden, Conflict, Busy or StoreError.
    """
    if authority.principal.credential.kind != "session":
        raise Forbidden("an API token cannot change the password; log in", reason="session-needed")
    account_id, policy = authority.principal.account.id, authority.principal.access.policies.passwords
    row = reader.row(_OWN, account_id)
    if row is None:
        raise Conflict("this account has no password here")
    kept, *owner = row
    with passwords.place(Guest(f"account {account_id}", True), alone=True):  # an account's sessions share one place of all
        with passwords.turn():
            verified = passwords.verify(kept, change.current)
        if verified:
            _check(passwords, change, Owner(*owner), policy)
        hashed = passwords.hash_in_turn(change.new) if verified else ""
        with authority.acting() as act:
            account = accounts.find(act.connection, act.actor)
            if verified and account is not None and account.password_hash == kept:
                return _change(act, account, change, hashed, carrier)
            _count_failure(act)
    raise Forbidden("the current password is wrong", reason="wrong-password")


_OWN = """SELECT a.password_hash, u.name, u.email, u.full_name FROM users u LEFT JOIN account_states a ON a.user_id = u.id
WHERE u.id = ? AND u.source = 'declared'"""


def _check(passwords: Passwords, change: PasswordChange, owner: Owner, policy: PasswordPolicy) -> None:
    if change.new == change.current:
        raise Conflict("the new password is the current one")
    check_password(passwords, change.new, owner, policy)


def _change(act: Act, account: Row[Any], change: PasswordChange, hashed: str, carrier: Carrier) -> Minted:
    replace_password(act.connection, account, hashed, now=act.now, change_required=False)
    # this session as well: others may have its secret, and wait with it for the end of this act
    ended = credentials.revoke(act.connection, account.id, act.now, kind=None if change.revoke_tokens else "session")
    ends = act.caller.credential.ends
    session = credentials.mint(act.connection, account.id, "session", now=act.now, expires_at=ends, carrier=carrier)
    detail = {"revokedCredentials": len(ended), "session": session.accessor}
    act.record(Event("password.change", "User", act.actor, detail))
    return session


def _count_failure(act: Act) -> None:
    """End a session that gives a wrong current password too often: it is probably in other hands, and guessing."""
    accessor = act.caller.credential.accessor
    act.record(Event(_FAILED, "User", act.actor, {}))
    if _failures(act.connection, act.actor, accessor) >= act.caller.access.policies.max_failures:
        end_with_minted(act, tables.tokens.c.accessor == accessor, "wrong-password")


_FAILED = "password.change-fail"


def _failures(connection: Connection, name: str, session: str) -> int:
    """How often a session has given a wrong current password, according to the audit log."""
    columns = tables.audit.c
    entries = (columns.kind == "User") & (columns.name == name) & (columns.action == _FAILED)
    of_session = columns.detail == orjson.dumps({"credential": session}).decode()
    return int(connection.execute(select(func.count()).where(entries & of_session)).scalar_one())


class Owner(NamedTuple):
    """Whose password it is: what it must not be made of."""

    name: str
    email: str
    full_name: str | None


def owner_of(account: Row[Any]) -> Owner:
    """The owner that an account is of."""
    return Owner(account.name, account.email, account.full_name)


def check_password(passwords: Passwords, password: str, owner: Owner, policy: PasswordPolicy) -> None:
    """Raise Conflict if a new password is not accepted, and Unavailable if that cannot be said."""
    known = (owner.name, owner.email, owner.email.partition("@")[0], owner.full_name or "")
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
