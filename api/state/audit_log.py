"""The audit log, searched: a page of it, all that fits piece by piece, and the head of its chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from api.state.pages import Page
from api.state.reader import Reader, Row
from reconciler.store.audit import AuditEntry
from reconciler.store.tables import instant_text, read_instant

_COLUMNS = ", ".join(AuditEntry._fields)
AT_ONCE = 1_000
"""Entries that an export reads at once."""


class AuditFilter(NamedTuple):
    """Which entries are asked for. None leaves a part open."""

    actor: str | None = None
    action: str | None = None
    kind: str | None = None
    name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Not included."""


class Entry(NamedTuple):
    """An entry of the log."""

    id: int
    at: datetime
    actor: str
    action: str
    kind: str
    name: str
    revision: int | None
    detail: Mapping[str, Any]
    previous_hash: str
    hash: str


class Head(NamedTuple):
    """The end of the chain: the number of entries that were written, and the hash of the last."""

    entries: int
    hash: str


def list_entries(reader: Reader, page: Page, wanted: AuditFilter) -> dict[str, Any]:
    """A page of the entries that fit, newest first. Raises NotFound or StoreError."""
    conditions, values = _where(reader, wanted)
    rows = reader.rows(
        f"SELECT {_COLUMNS} FROM audit WHERE {' AND '.join(('id < ?', *conditions))} ORDER BY id DESC LIMIT ?",
        page.before_number,
        *values,
        page.limit + 1,
    )
    return page.cut_by([read_entry(row) for row in rows], lambda each: str(each.id))


def scan(reader: Reader, wanted: AuditFilter) -> Iterator[list[Row]]:
    """All entries that fit, oldest first, as the table holds them, some at once. Those written meanwhile come as well.

    Raises StoreError.
    """
    conditions, values = _where(reader, wanted)
    query = f"SELECT {_COLUMNS} FROM audit WHERE {' AND '.join(('id > ?', *conditions))} ORDER BY id LIMIT {AT_ONCE}"
    after = 0
    while rows := reader.rows(query, after, *values):
        yield rows
        after = rows[-1][0]


def list_actions(reader: Reader) -> list[str]:
    """The actions that there are entries of, by name; each is found in the index, whatever the number of entries. Raises
    StoreError."""
    rows = reader.rows(
        """WITH RECURSIVE found(action) AS (SELECT min(action) FROM audit UNION ALL
SELECT (SELECT min(action) FROM audit WHERE action > found.action) FROM found WHERE found.action IS NOT NULL)
SELECT action FROM found WHERE action IS NOT NULL"""
    )
    return sorted(action for (action,) in rows)


def chain_head(reader: Reader) -> Head:
    """The head of the chain. Raises StoreError."""
    (row,) = reader.rows("SELECT audit_count, audit_head FROM state")
    return Head(*row)


def read_entry(row: Row) -> Entry:
    """An entry of a row of the table."""
    number, at, actor, action, kind, name, revision, detail, previous, own = row
    found = orjson.loads(detail)
    told = found if isinstance(found, dict) else {"": found}
    return Entry(number, read_instant(at), actor, action, kind, name, revision, told, previous, own)


def _where(reader: Reader, wanted: AuditFilter) -> tuple[list[str], list[Any]]:
    """The conditions of a filter, and their values. Entries within times are looked for among the numbers of the first and the
    last of them: numbers follow the times, but for a clock that was set back."""
    # a resource has few entries: the database shall not look for them among all of an action or an actor
    beside = " || ''" if wanted.kind is not None and wanted.name is not None else ""
    tests: list[tuple[str, Any]] = [
        (f"actor{beside} = ?", wanted.actor),
        (f"action{beside} = ?", wanted.action),
        ("kind = ?", wanted.kind),
        ("name = ?", wanted.name),
    ]
    if wanted.since is not None or wanted.until is not None:
        since = "" if wanted.since is None else instant_text(wanted.since)
        until = _NEVER if wanted.until is None else instant_text(wanted.until)
        first, last = _numbers_within(reader, since, until)
        tests += [("at >= ?", since), ("at < ?", until), ("id >= ?", first), ("id <= ?", last)]
    return [text for text, value in tests if value is not None], [value for _, value in tests if value is not None]


_NEVER = "a"
"""Later than every instant, as text."""


def _numbers_within(reader: Reader, since: str, until: str) -> tuple[int, int]:
    """Bounds of the numbers of entries between two times."""
    within = "SELECT id FROM audit WHERE at >= ? AND at < ?"
    first = reader.row(f"{within} ORDER BY at, id LIMIT 1", since, until)
    last = reader.row(f"{within} ORDER BY at DESC, id DESC LIMIT 1", since, until)
    return (0, 0) if first is None or last is None else (min(first[0], last[0]), max(first[0], last[0]))
