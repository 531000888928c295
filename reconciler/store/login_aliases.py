"""The index of aliases for logging in, `login_aliases`. What `users.logins` says holds; apply keeps the index in step with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import select

from reconciler.access.login_names import folded
from reconciler.access.resources import User
from reconciler.plan.plan import Change
from reconciler.store import tables
from reconciler.store.chunks import in_chunks
from reconciler.store.engine import Connection
from reconciler.store.rows import read_texts

_columns, _users = tables.login_aliases.c, tables.users.c


def forget_aliases(connection: Connection, changes: Iterable[Change], ids: Mapping[str, int]) -> None:
    """Delete the aliases of users that change, under their names before, and those that they get: one may be left over."""
    claimed: set[str] = set()
    owners: set[int] = set()
    for change in changes:
        before, after = change.before, change.after
        if isinstance(after, User):
            claimed.update(map(folded, after.logins))
            if isinstance(before, User):
                owners.add(ids[before.name])
    for column, values in ((_columns.alias, claimed), (_columns.user_id, owners)):
        for chunk in in_chunks(values):
            connection.execute(tables.login_aliases.delete().where(column.in_(chunk)))


def alias_rows(changes: Iterable[Change], ids: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the rows of users as they become, given the users' numbers."""
    users = (change.after for change in changes if isinstance(change.after, User) and change.after.logins)
    return [(alias, ids[user.name]) for user in users for alias in dict.fromkeys(map(folded, user.logins))]


def alias_owners(connection: Connection, names: Collection[str]) -> dict[str, str]:
    """Map each of the names that is a declared user's alias to that user; the names are folded here."""
    found: dict[str, str] = {}
    query = select(_columns.alias, _users.name, _users.logins).join_from(tables.login_aliases, tables.users)
    query = query.where(_users.source == "declared")
    for chunk in in_chunks(set(map(folded, names))):
        for alias, name, logins in connection.execute(query.where(_columns.alias.in_(chunk))):
            if alias in map(folded, read_texts(logins)):
                found[alias] = name
    return found
