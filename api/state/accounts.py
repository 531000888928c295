"""The rows of accounts: what Git declares of one, and what the runtime knows of it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select

from api.errors import NotFound
from reconciler.store import tables
from reconciler.store.engine import Connection

NAME = re.compile("^[a-z0-9][a-z0-9._@-]{0,63}$")
"""Names of accounts. Git declares names without `@`; accounts of all directories but the first are called `name@domain`."""
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
