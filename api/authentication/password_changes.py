"""Changing passwords: one's own, and what every new password goes through."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, func, select

from api.authentication import credentials
from api.authentication.passwords import Passwords, objection
from api.authentication.principal import Principal
from api.errors import Conflict, Forbidden
from api.state import accounts
from api.state.policies import PasswordPolicy
from api.state.reader import Reader
from reconciler.store import tables
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection


class PasswordChange(NamedTuple):
    """The change of password that a caller asks for."""

    current: str
    new: str
    revoke_tokens: bool = False


def change_own(reader: Reader, passwords: Passwords, principal: Principal, change: PasswordChange, now: datetime) -> None:
    """Change the caller's password. Its other sessions end, and its API tokens if it asks for that.

    Raises Unauthenticated, Forbidden, Conflict, Busy or StoreError.
    """
    if principal.credential.kind != "session":
        raise Forbidden("an API token cannot change the password; log in", reason="session-needed")
    row = reader.row("SELECT password_hash FROM account_states WHERE user_id = ?", principal.account.id)
    kept = row[0] if row else None
    with passwords.place(), passwords.turn():
        verified = passwords.verify(kept, change.current)
    hashed = passwords.hash(change.new)
    with reader.database.recording() as connection:
        credentials.require_live(connection, principal.credential.id)
        account = accounts.find(connection, principal.name)
        if account is None or account.id != principal.account.id or account.source == "directory":
            raise Conflict("this account has no password here")
        if verified and account.password_hash == kept:
            _change(connection, principal, account, change, hashed, now)
            return
        _count_failure(connection, principal, now)
    raise Forbidden("the current password is wrong", reason="wrong-password")


def _change(
    connection: Connection, principal: Principal, account: Row[Any], change: PasswordChange, hashed: str, now: datetime
) -> None:
    if change.new == change.current:
        raise Conflict("the new password is the current one")
    check_password(change.new, account, principal.access.policies.passwords)
    replace_password(connection, account, hashed, now=now, change_required=False)
    mine, kind = principal.credential.accessor, None if change.revoke_tokens else "session"
    ended = credentials.revoke(connection, account.id, now, kind=kind, but=mine)
    credentials.lift_restriction(connection, mine)
    event = Event("password.change", "User", principal.name, {"revokedCredentials": len(ended)})
    append(connection, [event], at=now, actor=principal.name)


def _count_failure(connection: Connection, principal: Principal, now: datetime) -> None:
    """End a session that gives a wrong current password too often: it is probably in other hands, and guessing."""
    accessor = principal.credential.accessor
    events = [Event("password.change-fail", "User", principal.name, {"session": accessor})]
    if 1 + _failures(connection, principal.name, accessor) >= principal.access.policies.max_failures:
        ended = credentials.revoke(connection, principal.account.id, now, accessor=accessor)
        events += credentials.revoked_events(principal.name, ended, "wrong-password")
    append(connection, events, at=now, actor=principal.name)


def _failures(connection: Connection, name: str, session: str) -> int:
    """How often a session has given a wrong current password, according to the audit log."""
    columns = tables.audit.c
    entries = (columns.kind == "User") & (columns.name == name) & (columns.action == "password.change-fail")
    of_session = columns.detail == orjson.dumps({"session": session}).decode()
    return int(connection.execute(select(func.count()).where(entries & of_session)).scalar_one())


def check_password(password: str, account: Row[Any], policy: PasswordPolicy) -> None:
    """Raise Conflict if a new password is not accepted."""
    known = (account.name, account.email, account.email.partition("@")[0], account.full_name or "")
    refused = objection(password, policy, identity=known)
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
    accounts.write(connection, account.id, values | accounts.NO_FAILURES)
