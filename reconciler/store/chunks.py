"""Selects rows by any number of ids or names, in chunks, since a statement takes a limited number."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import Table, select

from reconciler.store.engine import Connection

_CHUNK = 500


def in_chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the values in order, some hundreds at a time."""
    ordered = sorted(values)
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]


def ids_named(connection: Connection, table: Table, names: Collection[str]) -> set[int]:
    """Return the ids of the rows with these names."""
    found: set[int] = set()
    for chunk in in_chunks(names):
        found.update(connection.execute(select(table.c.id).where(table.c.name.in_(chunk))).scalars())
    return found


def names_linked(connection: Connection, links: Table, ends: Table, names: Collection[str], others: Table) -> set[str]:
    """Return the names of the rows in another table that `links` joins to the rows with these names."""
    joined = select(others.c.name).distinct().join_from(links, ends).join(others)
    found: set[str] = set()
    for chunk in in_chunks(names):
        found.update(connection.execute(joined.where(ends.c.name.in_(chunk))).scalars())
    return found


def select_rows(
    connection: Connection, columns: str, table: str, key: str, ids: Collection[int] | None, condition: str = ""
) -> Iterator[Any]:
    """Yield the rows whose key is one of the ids (None means all). The ids are numbers from the database itself."""
    if ids is None:
        yield from connection.exec_driver_sql(f"SELECT {columns} FROM {table}" + (f" WHERE {condition}" if condition else ""))
        return
    for chunk in in_chunks(ids):
        where = f"{key} IN ({', '.join(map(str, chunk))})" + (f" AND {condition}" if condition else "")
        yield from connection.exec_driver_sql(f"SELECT {columns} FROM {table} WHERE {where}")


def select_column(connection: Connection, table: str, column: str, key: str, ids: Collection[int]) -> set[int]:
    """Return a column's values in the rows whose key is one of the ids."""
    return {row[0] for row in select_rows(connection, f"DISTINCT {column}", table, key, ids)}
