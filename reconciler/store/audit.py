"""The audit log: append-only, each entry holding the hash of the one before, so that no entry can change or go unseen."""

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
"""What the first entry holds as the hash before it."""
_PIECE = 5_000


class AuditEntry(NamedTuple):
    """One thing that happened: when, who, what, to which resource, and the details."""

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
    """An entry to be."""

    action: str
    kind: str
    name: str
    detail: dict[str, Any]


class Broken(NamedTuple):
    """The first entry at which the chain does not hold, and how."""

    id: int
    how: str


class Recorded(NamedTuple):
    """What an entry tells of a revision that was applied: the entry's number, the revision's, and the details."""

    entry: int
    revision_id: int | None
    detail: dict[str, Any]


REVISION_ACTIONS = ("revision.apply", "revision.repair")
"""What is recorded of a plan that was applied: of a revision, or of drift that was put right."""


def recorded(row: Sequence[Any]) -> Recorded | None:
    """What a row of the log tells of an applied revision; None where it is about something else."""
    if row[3] not in REVISION_ACTIONS:
        return None
    detail = read_json(row[7])
    return Recorded(row[0], row[6], detail if isinstance(detail, dict) else {})


def entry_hash(entry: Sequence[Any]) -> str:
    """The hash of all of an entry's columns but its own hash, as the table holds them."""
    return hashlib.sha256(orjson.dumps(tuple(entry))).hexdigest()


_HEAD = select(tables.state.c.audit_count, tables.state.c.audit_head).with_for_update()


class Chain:
    """The log's end, to append to. The head in `state` is locked until the transaction ends."""

    def __init__(self, connection: Connection, *, at: datetime, actor: str, revision_id: int | None = None) -> None:
        self._connection = connection
        self._count, self._head = connection.execute(_HEAD).one()
        self._common = instant_text(at), actor, revision_id

    def entries(self, events: Iterable[Event]) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of the next entries, some thousands at a time. They are to be inserted in this order."""
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
        """Write the new head, after all entries."""
        self._connection.execute(tables.state.update(), {"audit_count": self._count, "audit_head": self._head})


def append(connection: Connection, events: Iterable[Event], *, at: datetime, actor: str, revision_id: int | None = None) -> None:
    """Append entries to the chain. The head in `state` is locked until the transaction ends."""
    chain = Chain(connection, at=at, actor=actor, revision_id=revision_id)
    for rows in chain.entries(events):
        insert_rows(connection, tables.audit, rows)
    chain.end()


def verify(rows: Iterable[Sequence[Any]], *, count: int | None = None, head: str | None = None) -> Broken | None:
    """Check a chain of rows in order, oldest first, and that it is as long and ends as the head says."""
    previous, last = GENESIS, 0
    for row in rows:
        if row[0] != last + 1:
            return Broken(row[0], f"entry {last + 1} is missing")
        if row[8] != previous:
            return Broken(row[0], "the hash of the entry before it is another: one of the two was altered or moved")
        if entry_hash(row[:9]) != row[9]:
            return Broken(row[0], "it was altered: its hash is another")
        last, previous = row[0], row[9]
    if count is not None and count != last:
        return Broken(last, f"the log ends here, but {count:,} entries were written")
    if head is not None and head != previous:
        return Broken(last, "it is not the entry that was written last")
    return None


def raw_entries(connection: Connection) -> Iterator[Sequence[Any]]:
    """Every entry as the table holds it, oldest first."""
    names = ", ".join(column.name for column in tables.audit.columns)
    yield from connection.exec_driver_sql(f"SELECT {names} FROM audit ORDER BY id").yield_per(10_000)


def to_line(row: Sequence[Any]) -> bytes:
    """An entry as a line of JSON, to keep and verify away from the database."""
    return orjson.dumps(dict(zip(AuditEntry._fields, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE)


def from_lines(lines: Iterable[bytes]) -> Iterator[Sequence[Any]]:
    """Entries out of lines that `to_line` made, as `verify` takes them. Raises UnreadableLog at what is no entry."""
    for number, line in enumerate(lines, 1):
        try:
            entry = orjson.loads(line)
        except ValueError:
            raise UnreadableLog(f"line {number} is not JSON") from None
        flat = isinstance(entry, dict) and all(value is None or isinstance(value, str | int) for value in entry.values())
        if not flat or tuple(entry) != AuditEntry._fields or not isinstance(entry["id"], int):
            raise UnreadableLog(f"line {number} is not an entry of an audit log: it must hold {', '.join(AuditEntry._fields)}")
        yield tuple(entry.values())


def chain_head(connection: Connection) -> tuple[int, str]:
    """How many entries were written, and the hash of the last."""
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
    """Entries, oldest first; with a limit the newest ones."""
    columns = tables.audit.c
    query = select(tables.audit) if since is None else select(tables.audit).where(columns.at >= since)
    for column, value in ((columns.revision_id, revision_id), (columns.kind, kind), (columns.name, name)):
        if value is not None:
            query = query.where(column == value)
    if limit is not None:
        return [AuditEntry(*row) for row in connection.execute(query.order_by(columns.id.desc()).limit(limit))][::-1]
    return [AuditEntry(*row) for row in connection.execute(query.order_by(columns.id))]


def read_repairs(connection: Connection) -> frozenset[int | None]:
    """The applied revisions in whose name drift was put right."""
    columns = tables.audit.c
    about_none = (columns.kind == "") & (columns.name == "")  # which has an index
    query = select(columns.revision_id).where(about_none & (columns.action == "revision.repair"))
    return frozenset(connection.execute(query).scalars())


def last_entry_for(connection: Connection, kind: str, name: str) -> AuditEntry | None:
    """The newest entry that speaks of a resource."""
    found = read_audit(connection, kind=kind, name=name, limit=1)
    return found[0] if found else None
