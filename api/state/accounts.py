"""The rows of accounts: what Git declares of each and what the runtime knows, who is enabled, and who is in which team."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Subquery, bindparam, false, func, or_, select, text

from api.errors import NotFound
from api.state.reader import Reader
from reconciler.access.login_names import folded
from reconciler.store import tables
from reconciler.store.engine import Connection
from reconciler.store.login_aliases import alias_owners
from reconciler.store.rows import read_texts
from reconciler.store.tables import Instant

LONGEST_NAME = 64
_INNER, _OUTER = (f"[^\\u0000-\\u001f\\u007f/\\\\A-Z{more}]" for more in ("", " "))
NAME = re.compile(f"^{_OUTER}({_INNER}{{0,{LONGEST_NAME - 2}}}{_OUTER})?$")
"""Names of accounts, in lower case. What Git declares is narrower. A directory's account has the name that it has there, if that
can be one here, and in all directories but the first it is followed by the domain: `name@domain`."""
_users, _states, _members = tables.users.c, tables.account_states.c, tables.memberships.c
WITH_STATES = tables.users.outerjoin(tables.account_states, _states.user_id == _users.id)
"""Accounts with what the runtime knows of them."""
_JOINED = select(
    tables.users, *[column for column in _states if column.name != "user_id"], tables.directory_accounts.c.guid
).select_from(WITH_STATES.outerjoin(tables.directory_accounts, tables.directory_accounts.c.user_id == _users.id))
_FIND = _JOINED.where(_users.name == bindparam("name"))
SWITCHES = {
    "git": ("u", _users.disabled_by_git),
    **{who: ("a", _states[f"disabled_by_{who}"]) for who in tables.RUNTIME_SWITCHES},
}
"""Who can disable an account: each has a switch of its own. The text of a query calls `users` u and `account_states` a."""
SWITCH_COLUMNS = ", ".join(f"{table}.{column.name}" for table, column in SWITCHES.values())
"""The switches as columns of the text of a query; an account is enabled if none of them is true."""
IS_DISABLED = f"({' OR '.join(f'COALESCE({table}.{column.name}, FALSE)' for table, column in SWITCHES.values())})"
"""Whether an account is disabled, for the text of a query."""
DISABLED: ColumnElement[bool] = or_(*(func.coalesce(column, false()) for _, column in SWITCHES.values()))
"""The same for SQLAlchemy, if `account_states` is joined to `users`."""
_MEMBERS = """SELECT m.user_id, m.team_id FROM memberships m JOIN users u ON u.id = m.user_id
WHERE u.source = 'declared' AND (m.until IS NULL OR m.until > {0})
UNION ALL SELECT d.user_id, d.team_id FROM directory_memberships d JOIN users u ON u.id = d.user_id
WHERE u.source = 'directory'"""
MEMBERS = f"({_MEMBERS.format('?')}) AS members"
"""Who is in which team at an instant, its one value: a table of `user_id` and `team_id` for the text of a query."""
_WRITE = tables.account_states.update().where(_states.user_id == bindparam("of_user"))


_BY_NAME = "SELECT source FROM users WHERE name = ?"
_BY_ALIAS = """SELECT u.name, u.logins FROM login_aliases l JOIN users u ON u.id = l.user_id
WHERE l.alias = ? AND u.source = 'declared'"""


def named_by_login(reader: Reader, login: str) -> tuple[str, bool]:
    """The name of the account that somebody logs in to, and whether it is a declared one. Raises StoreError.

    An account's own name comes before an alias, be it a directory's; a name that nobody has stays as it is.
    """
    name, alias = login.lower(), folded(login)
    row = reader.row(_BY_NAME, name)
    if row is not None:
        return name, row[0] == "declared"
    found = reader.row(_BY_ALIAS, alias)
    if found is not None and alias in map(folded, read_texts(found[1])):  # what is declared holds, not its index
        return found[0], True
    return name, False


def anybody_has_password(reader: Reader) -> bool:
    """Whether any account has a password. Raises StoreError."""
    return reader.row("SELECT user_id FROM account_states WHERE password_hash IS NOT NULL LIMIT 1") is not None


def is_taken(connection: Connection, name: str) -> bool:
    """Whether a new account cannot have a name: another one has it, or it is the alias of a declared one."""
    if connection.execute(select(_users.id).where(_users.name == name)).first() is not None:
        return True
    return bool(alias_owners(connection, [name]))


def find(connection: Connection, name: str) -> Row[Any] | None:
    """An account with everything known of it. Facts that the runtime never wrote are None."""
    return connection.execute(_FIND, {"name": name}).first()


def declared_names(connection: Connection) -> list[str]:
    """The names of all declared accounts."""
    return list(connection.execute(select(_users.name).where(_users.source == "declared")).scalars())


def find_by_id(connection: Connection, user_id: int | None) -> Row[Any] | None:
    """The same by the account's ID."""
    return connection.execute(_JOINED.where(_users.id == user_id)).first()


def require(account: Row[Any] | None, name: str) -> Row[Any]:
    """The account itself. Raises NotFound if there is none."""
    if account is None:
        raise NotFound(f"there is no account `{name}`")
    return account


def is_disabled(account: Row[Any]) -> bool:
    """Whether Git, its directory or an administrator has disabled an account."""
    return any(getattr(account, column.name) for _, column in SWITCHES.values())


def members(now: datetime) -> Subquery:
    """`MEMBERS` for SQLAlchemy."""
    query = text(_MEMBERS.format(":moment")).bindparams(bindparam("moment", now, type_=Instant))
    return query.columns(_members.user_id, _members.team_id).subquery("members")


def must_change_password(account: Row[Any], now: datetime) -> bool:
    """Whether the next login must change the password: an administrator requires it, or the password is too old for Git."""
    if account.password_change_required:
        return True
    since, set_at = account.password_change_required_after, account.password_set_at
    return since is not None and since <= now and (set_at is None or set_at < since)


def write(connection: Connection, user_id: int, values: dict[str, Any]) -> None:
    """Write runtime facts of an account."""
    if connection.execute(_WRITE, {"of_user": user_id, **values}).rowcount == 0:
        connection.execute(tables.account_states.insert().values(user_id=user_id, **values))
