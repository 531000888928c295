"""Rows whose user, team or issuer is gone: no Accord leaves them, a hand in SQLite (foreign keys off) does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, ForeignKey, select

from reconciler.store import tables
from reconciler.store.engine import Connection


def remove_orphans(connection: Connection) -> int:
    """Delete them, or what they refer to, as the database would have, had it been asked to keep its foreign keys; says how
    many there were."""
    return sum(
        connection.execute(_REPAIRS[key.ondelete](key.parent).where(key.parent.is_not(None), _refers_to_nothing(key))).rowcount
        for table in tables.metadata.sorted_tables
        for key in table.foreign_keys
        if key.ondelete in _REPAIRS
    )


def _refers_to_nothing(key: ForeignKey) -> ColumnElement[bool]:
    there = key.column.table.alias()  # a table may refer to itself
    return key.parent.not_in(select(there.c[key.column.name]))


_REPAIRS: Mapping[str | None, Callable[[Column[Any]], Any]] = {
    "CASCADE": lambda column: column.table.delete(),
    "SET NULL": lambda column: column.table.update().values({column: None}),
}
