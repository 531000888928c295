"""What declared users were before, by the audit log: a revision that is reverted gives an account back to whom it had been."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import select

from reconciler.access.fields import fields_of
from reconciler.access.resources import User
from reconciler.store import tables
from reconciler.store.engine import Connection
from reconciler.store.rows import read_json

_KEPT = ("user.update", "user.rename")
"""The changes that an account outlives; before any other, it was not there, or not declared."""
_ACTIONS = (*_KEPT, "user.create", "user.adopt", "user.delete")
_TOLD = {attribute: fields_of(User)[attribute].yaml for attribute in ("email", "full_name", "identity")}


def read_earlier(connection: Connection, users: Iterable[User]) -> dict[str, tuple[User, ...]]:
    """Return what each of these users in force was before, most recent first, as far as it tells whose the account is."""
    return {user.name: tuple(_earlier(connection, user)) for user in users}


def _earlier(connection: Connection, user: User) -> Iterator[User]:
    columns = tables.audit.c
    query = select(columns.action, columns.detail, columns.revision_id).order_by(columns.id.desc())
    query = query.where((columns.kind == "User") & columns.action.in_(_ACTIONS))
    before: int | None = None
    name: str | None = None
    while name != user.name:
        name = user.name
        entries = query.where(columns.name == name)
        if before is not None:  # in one revision, a name may pass from one account to another
            entries = entries.where(columns.revision_id < before)
        for action, text, revision in connection.execute(entries):
            if action not in _KEPT:
                return
            if revision is not None and _is_repair(connection, revision):
                continue
            user, before = _undone(user, read_json(text)), revision
            yield user
            if user.name != name:
                break


def _is_repair(connection: Connection, revision: int) -> bool:
    """Tell whether an entry of the history led back to what was applied before: what it undid was never declared."""
    columns = tables.revisions.c
    latest = select(columns.commit_sha, columns.path).where(columns.id <= revision).order_by(columns.id.desc()).limit(2)
    entries = connection.execute(latest).all()
    return len(entries) == 2 and entries[0] == entries[1]


def _undone(user: User, detail: Mapping[str, Any]) -> User:
    fields = detail.get("fields", {})
    was = {attribute: fields[told]["from"] for attribute, told in _TOLD.items() if told in fields}
    return user._replace(name=detail.get("previousName", user.name), **was)
