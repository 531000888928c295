"""Digests of the declared tables, computed in the database: they tell in milliseconds whether it still is what was applied.

Rows are grouped into buckets by id. A bucket's digest is the SHA-256 of the database's own aggregate of all declared columns of
its rows, in key order. It covers neither the file, lines and revision that declared a row, and what is derived of it, which are
bookkeeping, nor directory accounts, which the runtime writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Table

from reconciler.store import tables
from reconciler.store.engine import Connection

Bucket = tuple[str, int]
"""A table's name, and the bucket's number in it."""


class Grouping(NamedTuple):
    """How a table is divided: by the first key column, `size` ids per bucket."""

    keys: tuple[str, ...]
    size: int
    declared: str = ""
    """The condition for declared rows; empty if all rows are declared."""


GROUPINGS: Mapping[str, Grouping] = {
    "users": Grouping(("id",), 1024, "source = 'declared'"),
    "teams": Grouping(("id",), 256),
    "memberships": Grouping(("team_id", "user_id"), 128),
    "issuers": Grouping(("id",), 1024),
    "permissions": Grouping(("team_id", "issuer_id"), 512),
    "email_templates": Grouping(("id",), 1024),
    "settings": Grouping(("id",), 1024),
}
_BOOKKEEPING = ("file", "line", "item_lines", "revision_id", "public_id", "searched")
_TEXTS = -1
"""The bucket of rows whose key is no number."""


def buckets_of(table: str, keys: Iterable[int]) -> set[Bucket]:
    """Return the buckets of rows, given their first keys."""
    size = GROUPINGS[table].size
    return {(table, number) for number in {key // size for key in keys}}


def drifted(connection: Connection, names: Collection[str] = GROUPINGS.keys()) -> list[Bucket]:
    """Return the buckets of these tables whose rows differ from what the last apply left; empty means no drift."""
    columns = tables.digests.c
    kept = connection.execute(tables.digests.select().where(columns.table_name.in_(names)))
    stored = {(name, bucket): digest for name, bucket, digest in kept}
    found = {(table, bucket): digest for table in names for bucket, digest in _digests(connection, table).items()}
    return sorted(key for key in stored.keys() | found.keys() if stored.get(key) != found.get(key))


def refresh(connection: Connection, touched: Iterable[Bucket]) -> None:
    """Update the digests of buckets after writing their rows."""
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
    found: dict[int, str] = {}
    for bucket in [None] if buckets is None else buckets:
        if connection.dialect.name == "sqlite":
            contents = connection.exec_driver_sql(_sqlite(tables.metadata.tables[name], GROUPINGS[name], bucket))
            found.update({number: _hash(content) for number, content in contents if content is not None})
        else:
            digests = connection.exec_driver_sql(_postgresql(tables.metadata.tables[name], GROUPINGS[name], bucket))
            found.update((number, digest) for number, digest in digests)
    return found


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _sqlite(table: Table, grouping: Grouping, bucket: int | None) -> str:
    """What gives the content of buckets: each is read by its range of keys, for SQLite would sort all rows to group them."""
    key, size, declared, order = grouping.keys[0], grouping.size, grouping.declared or "TRUE", ", ".join(grouping.keys)
    lines = f"SELECT json_array({_columns(table)}) AS line FROM {table.name} WHERE {declared}"

    def content(condition: str) -> str:
        return f"(SELECT group_concat(line, char(10)) FROM ({lines} AND {condition} ORDER BY {order}))"

    if bucket is not None:
        return f"SELECT {bucket}, {content(_keys_in(str(bucket), grouping))}"
    buckets = f"SELECT DISTINCT {key} / {size} AS bucket FROM {table.name} WHERE {declared}"
    # text as a key, which only a hand can write, sorts behind all numbers and is in no range of theirs
    of_numbers, of_texts = content(_keys_in("bucket", grouping)), content(f"{key} >= ''")
    return f"SELECT bucket, {of_numbers} FROM ({buckets}) UNION ALL SELECT {_TEXTS}, {of_texts}"


def _postgresql(table: Table, grouping: Grouping, bucket: int | None) -> str:
    """What gives the digests of buckets. The lines are made before they are grouped, which several processes can do."""
    key, size, declared, order = grouping.keys[0], grouping.size, grouping.declared or "TRUE", ", ".join(grouping.keys)
    within = "TRUE" if bucket is None else _keys_in(str(bucket), grouping)
    lines = (
        f"SELECT {key} / {size} AS bucket, json_build_array({_columns(table)})::text AS line, {order} "
        f"FROM {table.name} WHERE {declared} AND {within} ORDER BY bucket, {order}"
    )
    content = f"string_agg(line, E'\\n' ORDER BY {order})"
    return f"SELECT bucket, encode(sha256(convert_to({content}, 'UTF8')), 'hex') FROM ({lines}) AS lines GROUP BY bucket"


def _columns(table: Table) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in _BOOKKEEPING)
    return columns + (", file IS NULL" if "file" in table.columns else "")  # unlike the file's name, whether there is one counts


def _keys_in(bucket: str, grouping: Grouping) -> str:
    """The keys of a bucket as a range. Division cuts off: keys below nought, which only a hand can write, are in bucket 0 too."""
    start, last = f"{bucket} * {grouping.size}", grouping.size - 1
    lowest = f"{start} - CASE WHEN {bucket} > 0 THEN 0 ELSE {last} END"
    highest = f"{start} + CASE WHEN {bucket} < 0 THEN 0 ELSE {last} END"
    return f"{grouping.keys[0]} BETWEEN {lowest} AND {highest}"
