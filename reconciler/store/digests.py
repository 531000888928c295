"""Digests of the declared tables, worked out inside the database: whether it still is what was applied, in milliseconds.

Rows are grouped in buckets by id; a bucket's digest is the SHA-256 of the database's own aggregate of every declared
column of its rows, in key order. In which file and by which revision it was declared is bookkeeping and not part of it; neither
are directory accounts, which runtime writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Table

from reconciler.store import tables
from reconciler.store.engine import Connection

Bucket = tuple[str, int]
"""A table's name, and a number within it."""


class Grouping(NamedTuple):
    """How a table is cut: by the first key column, so many ids a bucket."""

    keys: tuple[str, ...]
    size: int
    declared: str = ""
    """What a row must fulfil to be a declared one; empty where all are."""


GROUPINGS: Mapping[str, Grouping] = {
    "users": Grouping(("id",), 1024, "source = 'declared'"),
    "teams": Grouping(("id",), 256),
    "memberships": Grouping(("team_id", "user_id"), 128),
    "issuers": Grouping(("id",), 1024),
    "permissions": Grouping(("team_id", "issuer_id"), 512),
    "email_templates": Grouping(("id",), 1024),
    "settings": Grouping(("id",), 1024),
}
_BOOKKEEPING = ("file", "revision_id")


def buckets_of(table: str, keys: Iterable[int]) -> set[Bucket]:
    """The buckets of rows by their first keys."""
    size = GROUPINGS[table].size
    return {(table, number) for number in {key // size for key in keys}}


def drifted(connection: Connection) -> list[Bucket]:
    """The buckets whose rows are not what the last apply left; empty means no drift."""
    stored = {(name, bucket): digest for name, bucket, digest in connection.execute(tables.digests.select())}
    found = {(table, bucket): digest for table in GROUPINGS for bucket, digest in _digests(connection, table).items()}
    return sorted(key for key in stored.keys() | found.keys() if stored.get(key) != found.get(key))


def refresh(connection: Connection, touched: Iterable[Bucket]) -> None:
    """Write the digests of buckets anew, after their rows were written."""
    by_table: dict[str, set[int]] = {}
    for table, bucket in touched:
        by_table.setdefault(table, set()).add(bucket)
    for table, buckets in by_table.items():
        found = _digests(connection, table, buckets if len(buckets) <= 100 else None)
        columns = tables.digests.c
        rows = [{"table_name": table, "bucket": bucket, "digest": found[bucket]} for bucket in sorted(buckets) if bucket in found]
        for bucket in buckets:
            connection.execute(tables.digests.delete().where(columns.table_name == table, columns.bucket == bucket))
        if rows:
            connection.execute(tables.digests.insert(), rows)


def _digests(connection: Connection, name: str, buckets: Iterable[int] | None = None) -> dict[int, str]:
    table, grouping = tables.metadata.tables[name], GROUPINGS[name]
    if buckets is None:
        rows = connection.exec_driver_sql(_statement(connection, table, grouping))
        return {bucket: _hash(content) for bucket, content in rows}
    found = {}
    for bucket in buckets:
        rows = connection.exec_driver_sql(_statement(connection, table, grouping, bucket))
        found.update({number: _hash(content) for number, content in rows})
    return found


def _statement(connection: Connection, table: Table, grouping: Grouping, bucket: int | None = None) -> str:
    key, size = grouping.keys[0], grouping.size
    conditions = [grouping.declared] if grouping.declared else []
    if bucket is not None:
        conditions.append(f"{key} >= {bucket * size} AND {key} < {(bucket + 1) * size}")
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    columns = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in _BOOKKEEPING)
    columns += ", file IS NULL" if "file" in table.columns else ""  # whether Git declares the row is no bookkeeping
    order = ", ".join(grouping.keys)
    if connection.dialect.name == "sqlite":
        return (
            f"SELECT {key} / {size}, group_concat(json_array({columns}), char(10)) "
            f"FROM (SELECT * FROM {table.name} {where} ORDER BY {order}) GROUP BY 1"
        )
    content = f"string_agg(jsonb_build_array({columns})::text, E'\\n' ORDER BY {order})"
    return f"SELECT {key} / {size}, {content} FROM {table.name} {where} GROUP BY 1"


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
