"""What the runtime knows of an account, and the acts of administrators on it: each one transaction, with its audit entry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, bindparam, func, select

from api.authentication import credentials
from api.authentication.passwords import Passwords, objection
from api.errors import Conflict, NotFound
from api.outbox.claims import end_password_mails
from api.state.policies import PasswordPolicy
from reconciler.access.touched import Touched
from reconciler.store import tables
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection, Database
from reconciler.store.generations import raise_generation

NO_FAILURES: dict[str, Any] = {"failed_logins": 0, "next_login_at": None}
_users, _states = tables.users.c, tables.account_states.c
_JOINED = select(tables.users, *[column for column in _states if column.name != "user_id"]).select_from(
    tables.users.outerjoin(tables.account_states, _states.user_id == _users.id)
)
_FIND = _JOINED.where(_users.name == bindparam("name"))
_WRITE = tables.account_states.update().where(_states.user_id == bindparam("of_user"))


def find(connection: Connection, name: str) -> Row[Any] | None:
    """An account with all that is known of it; what runtime never wrote is None."""
    return connection.execute(_FIND, {"name": name}).first()


def find_by_id(connection: Connection, user_id: int | None) -> Row[Any] | None:
    """The same by the account's number."""
    return connection.execute(_JOINED.where(_users.id == user_id)).first()


def require(account: Row[Any] | None, name: str) -> Row[Any]:
    """An account that must be there. Raises NotFound."""
    if account is None:
        raise NotFound(f"there is no account `{name}`")
    return account


def is_disabled(account: Row[Any]) -> bool:
    """Whether any of the three has switched it off: Git, its directory, an administrator."""
    return bool(account.disabled_by_git or account.disabled_by_directory or account.disabled_by_administrator)


def must_change_password(account: Row[Any], now: datetime) -> bool:
    """Whether the next login must change the password: it was asked for, or Git says that the password is too old."""
    if account.password_change_required:
        return True
    since, set_at = account.password_change_required_after, account.password_set_at
    return since is not None and since <= now and (set_at is None or set_at < since)


def write(connection: Connection, user_id: int, values: dict[str, Any]) -> None:
    """Write runtime facts of an account."""
    if connection.execute(_WRITE, {"of_user": user_id, **values}).rowcount == 0:
        connection.execute(tables.account_states.insert().values(user_id=user_id, **values))


@contextmanager
def _acting(database: Database, name: str) -> Iterator[tuple[Connection, Row[Any]]]:
    with database.recording() as connection:
        yield connection, require(find(connection, name), name)


def _refuse_directory(account: Row[Any]) -> None:
    if account.source == "directory":
        raise Conflict(f"`{account.name}` is a directory account; its password is its directory's affair")


def check_password(password: str, account: Row[Any], policy: PasswordPolicy) -> None:
    """Raise Conflict where a new password is not accepted."""
    known = (account.name, account.email, account.email.partition("@")[0], account.full_name or "")
    refused = objection(password, policy, identity=known)
    if refused is not None:
        raise Conflict(refused)


def set_password(
    database: Database,
    passwords: Passwords,
    policy: PasswordPolicy,
    name: str,
    password: str,
    *,
    actor: str,
    now: datetime,
    change_required: bool,
    revoke_tokens: bool = False,
) -> None:
    """Set an account's password and end its sessions. Raises NotFound, Conflict, Busy or StoreError."""
    hashed = passwords.hash(password)
    with _acting(database, name) as (connection, account):
        _refuse_directory(account)
        check_password(password, account, policy)
        replace_password(connection, account, hashed, now=now, change_required=change_required)
        end_password_mails(connection, account.id, "a password was set since", now)
        ended = credentials.revoke(connection, account.id, now, kind=None if revoke_tokens else "session")
        detail = {"changeRequired": change_required, "revokedCredentials": len(ended)}
        append(connection, [Event("password.set", "User", name, detail)], at=now, actor=actor)


def replace_password(
    connection: Connection,
    account: Row[Any],
    hashed: str,
    *,
    now: datetime,
    change_required: bool,
    expires_at: datetime | None = None,
) -> None:
    """Write a new password's hash; whoever has a new password may try it at once. One that was generated expires."""
    values = {
        "password_hash": hashed,
        "password_set_at": now,
        "password_change_required": change_required,
        "password_expires_at": expires_at,
    }
    write(connection, account.id, values | NO_FAILURES)


def failed_changes(connection: Connection, name: str, session: str) -> int:
    """How often a session has named a wrong current password, by the audit log."""
    columns = tables.audit.c
    entries = (columns.kind == "User") & (columns.name == name) & (columns.action == "password.change-fail")
    by_it = columns.detail == orjson.dumps({"session": session}).decode()
    return int(connection.execute(select(func.count()).where(entries & by_it)).scalar_one())


def reset_password(database: Database, name: str, *, actor: str, now: datetime) -> None:
    """Have a new password generated and mailed; until the mail is delivered the old one stays. Raises NotFound or Conflict."""
    with _acting(database, name) as (connection, account):
        _refuse_directory(account)
        connection.execute(
            tables.outbox.insert().values(template="password-reset", user_id=account.id, created_at=now, attempts=0, detail="{}")
        )
        append(connection, [Event("password.reset", "User", name, {})], at=now, actor=actor)


def require_password_change(database: Database, name: str, *, actor: str, now: datetime) -> None:
    """Ask for a new password at the next login. Raises NotFound or Conflict."""
    with _acting(database, name) as (connection, account):
        _refuse_directory(account)
        write(connection, account.id, {"password_change_required": True})
        append(connection, [Event("password.require-change", "User", name, {})], at=now, actor=actor)


def set_disabled(database: Database, name: str, disabled: bool, *, actor: str, now: datetime) -> None:
    """Switch an account off, or take that back: the administrators' own switch, beside Git's and the directory's."""
    with _acting(database, name) as (connection, account):
        if bool(account.disabled_by_administrator) is disabled:
            return
        write(connection, account.id, {"disabled_by_administrator": disabled})
        raise_generation(connection, Touched(frozenset({account.name})))
        ended = credentials.revoke(connection, account.id, now) if disabled else []
        action = "account.disable" if disabled else "account.enable"
        append(connection, [Event(action, "User", name, {"revokedCredentials": len(ended)})], at=now, actor=actor)


def unlock(database: Database, name: str, *, actor: str, now: datetime) -> None:
    """Forget an account's failed logins. Raises NotFound."""
    with _acting(database, name) as (connection, account):
        write(connection, account.id, NO_FAILURES)
        append(connection, [Event("account.unlock", "User", name, {})], at=now, actor=actor)
