"""Rows by their ids or names, however many: a statement takes only so many of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import Table, select

from reconciler.store.engine import Connection

_CHUNK = 500


def in_chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """The values in order, some hundreds at a time."""
    ordered = sorted(values)
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]


def ids_named(connection: Connection, table: Table, names: Collection[str]) -> set[int]:
    """The ids of the rows with these names."""
    found: set[int] = set()
    for chunk in in_chunks(names):
        found.update(connection.execute(select(table.c.id).where(table.c.name.in_(chunk))).scalars())
    return found


def names_linked(connection: Connection, links: Table, ends: Table, names: Collection[str], others: Table) -> set[str]:
    """The names of the rows of another table that links join to the rows with these names."""
    joined = select(others.c.name).distinct().join_from(links, ends).join(others)
    found: set[str] = set()
    for chunk in in_chunks(names):
        found.update(connection.execute(joined.where(ends.c.name.in_(chunk))).scalars())
    return found


def select_rows(
    connection: Connection, columns: str, table: str, key: str, ids: Collection[int] | None, condition: str = ""
) -> Iterator[Any]:
    """The rows whose key is one of the ids (None: all), in chunks. Ids are numbers that came from the database itself."""
    if ids is None:
        yield from connection.exec_driver_sql(f"SELECT {columns} FROM {table}" + (f" WHERE {condition}" if condition else ""))
        return
    for chunk in in_chunks(ids):
        where = f"{key} IN ({', '.join(map(str, chunk))})" + (f" AND {condition}" if condition else "")
        yield from connection.exec_driver_sql(f"SELECT {columns} FROM {table} WHERE {where}")


def select_column(connection: Connection, table: str, column: str, key: str, ids: Collection[int]) -> set[int]:
    """The values of a column in the rows whose key is one of the ids."""
    return {row[0] for row in select_rows(connection, f"DISTINCT {column}", table, key, ids)}
