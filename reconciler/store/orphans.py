"""Rows whose user, team or issuer no longer exists. Only manual changes in SQLite, with foreign keys off, leave such rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, ForeignKey, select

from reconciler.store import tables
from reconciler.store.engine import Connection


def remove_orphans(connection: Connection) -> int:
    """Delete orphans or clear their references, as the database's foreign keys would have done; return the number of rows."""
    return sum(
        connection.execute(_REPAIRS[key.ondelete](key.parent).where(key.parent.is_not(None), _refers_to_nothing(key))).rowcount
        for table in tables.metadata.sorted_tables
        for key in table.foreign_keys
        if key.ondelete in _REPAIRS
    )


def _refers_to_nothing(key: ForeignKey) -> ColumnElement[bool]:
    there = key.column.table.alias()  # an alias, since a table may refer to itself
    return key.parent.not_in(select(there.c[key.column.name]))


_REPAIRS: Mapping[str | None, Callable[[Column[Any]], Any]] = {
    "CASCADE": lambda column: column.table.delete(),
    "SET NULL": lambda column: column.table.update().values({column: None}),
}
