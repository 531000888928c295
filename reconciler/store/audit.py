"""The audit log: append-only. Each entry contains the hash of the one before, so that no entry can change or vanish unnoticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import select

from reconciler.store import tables
from reconciler.store.bulk import insert_rows
from reconciler.store.engine import Connection
from reconciler.store.errors import UnreadableLog
from reconciler.store.rows import read_json
from reconciler.store.tables import instant_text

GENESIS = "0" * 64
"""The previous hash in the first entry."""
_PIECE = 5_000


class AuditEntry(NamedTuple):
    """One thing that happened: who did what to which resource and when, with details."""

    id: int
    at: datetime
    actor: str
    action: str
    kind: str
    name: str
    revision_id: int | None
    detail: str
    """Canonical JSON."""
    previous_hash: str
    hash: str


class Event(NamedTuple):
    """An entry before it is written."""

    action: str
    kind: str
    name: str
    detail: dict[str, Any]


class Broken(NamedTuple):
    """The first entry that breaks the chain, and how."""

    id: int
    how: str


class Recorded(NamedTuple):
    """What an entry records about an applied revision: the entry's number, the revision's number, and the details."""

    entry: int
    revision_id: int | None
    detail: dict[str, Any]


REVISION_ACTIONS = ("revision.apply", "revision.repair")
"""The actions that record an applied plan: of a revision, or of a repair of drift."""


def recorded(row: Sequence[Any]) -> Recorded | None:
    """Return what a row of the log records about an applied revision; None if it is about something else."""
    if row[3] not in REVISION_ACTIONS:
        return None
    detail = read_json(row[7])
    return Recorded(row[0], row[6], detail if isinstance(detail, dict) else {})


def entry_hash(entry: Sequence[Any]) -> str:
    """Hash all of an entry's columns, as in the table, except its own hash."""
    return hashlib.sha256(orjson.dumps(tuple(entry))).hexdigest()


_HEAD = select(tables.state.c.audit_count, tables.state.c.audit_head).with_for_update()


class Chain:
    """Appends to the log. The head in `state` is locked until the transaction ends."""

    def __init__(self, connection: Connection, *, at: datetime, actor: str, revision_id: int | None = None) -> None:
        self._connection = connection
        self._count, self._head = connection.execute(_HEAD).one()
        self._common = instant_text(at), actor, revision_id

    def entries(self, events: Iterable[Event]) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of the next entries, some thousands at a time, to be inserted in this order."""
        moment, actor, revision_id = self._common
        rows: list[tuple[Any, ...]] = []
        for action, kind, name, detail in events:
            self._count += 1
            text = orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode()
            row = (self._count, moment, actor, action, kind, name, revision_id, text, self._head)
            self._head = entry_hash(row)
            rows.append((*row, self._head))
            if len(rows) >= _PIECE:
                yield rows
                rows = []
        yield rows

    def end(self) -> None:
        """Write the new head after all entries."""
        self._connection.execute(tables.state.update(), {"audit_count": self._count, "audit_head": self._head})


def append(connection: Connection, events: Iterable[Event], *, at: datetime, actor: str, revision_id: int | None = None) -> None:
    """Append entries to the log. The head in `state` is locked until the transaction ends."""
    chain = Chain(connection, at=at, actor=actor, revision_id=revision_id)
    for rows in chain.entries(events):
        insert_rows(connection, tables.audit, rows)
    chain.end()


def verify(rows: Iterable[Sequence[Any]], *, count: int | None = None, head: str | None = None) -> Broken | None:
    """Check a chain of rows, oldest first, and that its length and last hash are as given."""
    previous, last = GENESIS, 0
    for row in rows:
        if row[0] != last + 1:
            return Broken(row[0], f"entry {last + 1} is missing")
        if row[8] != previous:
            return Broken(row[0], "its previous hash does not match the entry before it; one of the two was altered or moved")
        if entry_hash(row[:9]) != row[9]:
            return Broken(row[0], "it was altered: its hash does not match")
        last, previous = row[0], row[9]
    if count is not None and count != last:
        return Broken(last, f"the log ends here, but {count:,} entries were written")
    if head is not None and head != previous:
        return Broken(last, "it is not the last entry that was written")
    return None


def raw_entries(connection: Connection) -> Iterator[Sequence[Any]]:
    """Yield every entry as the table holds it, oldest first."""
    names = ", ".join(column.name for column in tables.audit.columns)
    yield from connection.exec_driver_sql(f"SELECT {names} FROM audit ORDER BY id").yield_per(10_000)


def to_line(row: Sequence[Any]) -> bytes:
    """Write an entry as a line of JSON, to keep and verify without the database."""
    return orjson.dumps(dict(zip(AuditEntry._fields, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE)


def from_lines(lines: Iterable[bytes]) -> Iterator[Sequence[Any]]:
    """Read entries, as `verify` takes them, from lines that `to_line` wrote. Raises UnreadableLog at anything else."""
    for number, line in enumerate(lines, 1):
        try:
            entry = orjson.loads(line)
        except ValueError:
            raise UnreadableLog(f"line {number} is not JSON") from None
        flat = isinstance(entry, dict) and all(value is None or isinstance(value, str | int) for value in entry.values())
        if not flat or tuple(entry) != AuditEntry._fields or not isinstance(entry["id"], int):
            raise UnreadableLog(
                f"line {number} is not an entry of an audit log: it must have the fields {', '.join(AuditEntry._fields)}"
            )
        yield tuple(entry.values())


def chain_head(connection: Connection) -> tuple[int, str]:
    """Return the number of entries written, and the hash of the last."""
    count, head = connection.execute(select(tables.state.c.audit_count, tables.state.c.audit_head)).one()
    return count, head


def read_audit(
    connection: Connection,
    *,
    since: datetime | None = None,
    revision_id: int | None = None,
    kind: str | None = None,
    name: str | None = None,
    limit: int | None = None,
) -> list[AuditEntry]:
    """Read entries, oldest first; with a limit, only the newest."""
    columns = tables.audit.c
    query = select(tables.audit) if since is None else select(tables.audit).where(columns.at >= since)
    for column, value in ((columns.revision_id, revision_id), (columns.kind, kind), (columns.name, name)):
        if value is not None:
            query = query.where(column == value)
    if limit is not None:
        return [AuditEntry(*row) for row in connection.execute(query.order_by(columns.id.desc()).limit(limit))][::-1]
    return [AuditEntry(*row) for row in connection.execute(query.order_by(columns.id))]


def read_repairs(connection: Connection) -> frozenset[int | None]:
    """Return the ids of history entries that only repaired drift."""
    columns = tables.audit.c
    about_none = (columns.kind == "") & (columns.name == "")  # there is an index on both
    query = select(columns.revision_id).where(about_none & (columns.action == "revision.repair"))
    return frozenset(connection.execute(query).scalars())


def last_entry_for(connection: Connection, kind: str, name: str) -> AuditEntry | None:
    """Return the newest entry about a resource."""
    found = read_audit(connection, kind=kind, name=name, limit=1)
    return found[0] if found else None
