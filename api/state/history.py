"""What happened: the revisions that were applied, with what each changed, and the audit log, also as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from api.state.pages import Page
from api.state.reader import Reader, Row
from reconciler.store.tables import instant_text, read_instant

_REVISION = {
    "id": "id",
    "commit": "commit_sha",
    "author": "author",
    "committedAt": "committed_at",
    "summary": "summary",
    "appliedAt": "applied_at",
    "appliedBy": "applied_by",
    "generation": "generation",
    "planDigest": "plan_digest",
}
"""What the API shows of a revision, and the column that holds it."""
_ENTRY = ("id", "at", "actor", "action", "kind", "name", "detail", "hash")


def list_revisions(reader: Reader, page: Page) -> dict[str, Any]:
    """A page of applied revisions, newest first. Raises NotFound or StoreError."""
    query = f"SELECT {', '.join(_REVISION.values())} FROM revisions WHERE id < ? ORDER BY id DESC LIMIT ?"
    rows = reader.rows(query, page.before_number, page.limit + 1)
    return page.cut([dict(zip(_REVISION, row, strict=True)) for row in rows], "id")


def list_audit(reader: Reader, page: Page, wanted: Mapping[str, str]) -> dict[str, Any]:
    """A page of the audit log, newest first: the entries of a `kind`, `name` and `action`, if they are given.

    Raises NotFound or StoreError.
    """
    columns = [column for column in ("kind", "name", "action") if column in wanted]
    conditions = " AND ".join(["id < ?", *(f"{column} = ?" for column in columns)])
    rows = reader.rows(
        f"SELECT {', '.join(_ENTRY)} FROM audit WHERE {conditions} ORDER BY id DESC LIMIT ?",
        page.before_number,
        *(wanted[column] for column in columns),
        page.limit + 1,
    )
    return page.cut([_entry(row) for row in rows], "id")


class AuditFilter(NamedTuple):
    """Which entries are asked for. None leaves a part open."""

    actor: str | None = None
    action: str | None = None
    kind: str | None = None
    name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    revision_id: int | None = None


class Head(NamedTuple):
    """The end of the chain: how many entries were written, and the hash of the last."""

    entries: int
    hash: str


def audit_head(reader: Reader) -> Head:
    """What somebody writes down to verify the log later. Raises StoreError."""
    return Head._make(reader.rows("SELECT audit_count, audit_head FROM state")[0])


def search_audit(reader: Reader, page: Page, wanted: AuditFilter) -> dict[str, Any]:
    """A page of the entries that fit, newest first. Raises NotFound or StoreError."""
    rows = _audit_rows(reader, wanted, page.before_number, page.limit + 1)
    return page.cut([_entry(row) for row in rows], "id")


def export_audit(reader: Reader, wanted: AuditFilter) -> Iterator[dict[str, Any]]:
    """Every entry that fits, newest first, read a piece at a time as it is asked for: what comes later is left out.

    Raises StoreError, also in the middle.
    """
    before = 2**31 - 1
    while True:
        rows = _audit_rows(reader, wanted, before, _PIECE)
        yield from map(_entry, rows)
        if len(rows) < _PIECE:
            return
        before = rows[-1][0]


_PIECE = 1_000


def _audit_rows(reader: Reader, wanted: AuditFilter, before: int, limit: int) -> list[Row]:
    """Entries that fit, newest first. Those within times are found by their numbers, which follow the times but for a clock that
    was set back: the first and the last number within the times bound the search."""
    texts, values = ["id < ?"], list[Any]([before])
    if wanted.since is not None or wanted.until is not None:
        since = "" if wanted.since is None else instant_text(wanted.since)
        until = "~" if wanted.until is None else instant_text(wanted.until)
        bounds = _numbers_within(reader, since, until)
        if bounds is None:
            return []
        texts += ["id >= ?", "id <= ?", "at >= ?", "at < ?"]
        values += [*bounds, since, until]
    for column in ("actor", "action", "kind", "name", "revision_id"):
        value = getattr(wanted, column)
        if value is not None:
            texts.append(f"{column} = ?")
            values.append(value)
    query = f"SELECT {', '.join(_ENTRY)} FROM audit WHERE {' AND '.join(texts)} ORDER BY id DESC LIMIT ?"
    return reader.rows(query, *values, limit)


def _numbers_within(reader: Reader, since: str, until: str) -> tuple[int, int] | None:
    """Bounds of the numbers of entries between two times; None if there are none."""
    within = "FROM audit WHERE at >= ? AND at < ?"
    first = reader.row(f"SELECT id {within} ORDER BY at, id LIMIT 1", since, until)
    last = reader.row(f"SELECT id {within} ORDER BY at DESC, id DESC LIMIT 1", since, until)
    if first is None or last is None:
        return None
    return min(first[0], last[0]), max(first[0], last[0])


class Change(NamedTuple):
    """What a revision changed of one resource, as its audit entry has it."""

    action: str
    """Such as `team.update`."""
    kind: str
    name: str
    previous_name: str | None
    fields: dict[str, Any]
    """By field: `{"from", "to"}`, or `{"added", "removed", "changed"}` of a list."""
    source: str | None
    """File and line."""


class RevisionView(NamedTuple):
    """An applied revision with what it changed."""

    summary: dict[str, Any]
    """As in the list."""
    repository: str
    branch: str
    repair: bool
    """It repaired drift, and brought no new commit."""
    counts: dict[str, int]
    """By action: `create`, `update` …; `gained` and `lost` access, `mails`."""
    overrides: list[dict[str, Any]]
    """`guard`, `reason`, `until`."""
    access: dict[str, Any] | None
    """`gained`, `lost`, `changed`: lists of what `reconciler.store.revision_access` writes, and `cut`: how many each list leaves
    out. None: it was applied before Accord kept that."""
    previous_id: int | None
    next_id: int | None


def view_revision(reader: Reader, revision_id: int) -> RevisionView | None:
    """One applied revision. Raises StoreError."""
    columns = f"{', '.join(_REVISION.values())}, repository, branch, overrides, counts"
    row = reader.row(f"SELECT {columns} FROM revisions WHERE id = ?", revision_id)
    if row is None:
        return None
    *summary, repository, branch, overrides, counts = row
    access = reader.row("SELECT detail FROM revision_access WHERE revision_id = ?", revision_id)
    repair = reader.row("SELECT id FROM audit WHERE revision_id = ? AND action = 'revision.repair' LIMIT 1", revision_id)
    around = reader.rows(
        "SELECT (SELECT max(id) FROM revisions WHERE id < ?), (SELECT min(id) FROM revisions WHERE id > ?)",
        revision_id,
        revision_id,
    )
    return RevisionView(
        dict(zip(_REVISION, summary, strict=True)),
        repository,
        branch,
        repair is not None,
        orjson.loads(counts),
        orjson.loads(overrides),
        None if access is None else orjson.loads(access[0]),
        *around[0],
    )


def list_changes(reader: Reader, revision_id: int, page: Page) -> dict[str, Any]:
    """A page of what a revision changed, in the order of its audit entries. Raises NotFound or StoreError."""
    after = page.after_number
    rows = reader.rows(
        """SELECT id, action, kind, name, detail FROM audit WHERE revision_id = ? AND kind <> '' AND id > ?
ORDER BY id LIMIT ?""",
        revision_id,
        after,
        page.limit + 1,
    )
    found = page.cut_by([(row[0], _change(row)) for row in rows], lambda item: str(item[0]))
    return {**found, "items": [change for _, change in found["items"]]}


def _change(row: Row) -> Change:
    _, action, kind, name, text = row
    detail = orjson.loads(text)
    return Change(action, kind, name, detail.get("previousName"), detail.get("fields", {}), detail.get("source"))


class Sync(NamedTuple):
    """The revision in force: how the database stands beside Git, as far as it knows."""

    id: int
    commit: str
    author: str
    summary: str
    committed_at: datetime
    applied_at: datetime
    applied_by: str
    repository: str
    branch: str
    age: timedelta
    """Since it was applied."""


def sync_state(reader: Reader, now: datetime) -> Sync | None:
    """The revision in force; None if none was applied yet. Raises StoreError."""
    row = reader.row(
        """SELECT id, commit_sha, author, summary, committed_at, applied_at, applied_by, repository, branch FROM revisions
ORDER BY id DESC LIMIT 1"""
    )
    if row is None:
        return None
    number, commit, author, summary, committed, applied, by, repository, branch = row
    at = read_instant(applied)
    return Sync(number, commit, author, summary, read_instant(committed), at, by, repository, branch, now - at)


def newest_about(reader: Reader, kind: str, name: str, limit: int) -> list[dict[str, Any]]:
    """The newest entries of the audit log about a resource. Raises StoreError."""
    query = f"SELECT {', '.join(_ENTRY)} FROM audit WHERE kind = ? AND name = ? ORDER BY id DESC LIMIT ?"
    return [_entry(row) for row in reader.rows(query, kind, name, limit)]


def _entry(row: Row) -> dict[str, Any]:
    entry = dict(zip(_ENTRY, row, strict=True))
    return entry | {"detail": orjson.loads(entry["detail"])}


def last_applied_at(reader: Reader) -> datetime | None:
    """When a revision was applied last. Raises StoreError."""
    row = reader.row("SELECT applied_at FROM revisions ORDER BY id DESC LIMIT 1")
    return None if row is None else read_instant(row[0])


def schema_version(reader: Reader) -> str | None:
    """The migration that the database's tables are at. Raises StoreError."""
    row = reader.row("SELECT version_num FROM alembic_version")
    return None if row is None else row[0]
