"""What happened: the revisions that were applied, and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from api.state.pages import Page
from api.state.reader import Reader, Row
from reconciler.store.tables import read_instant

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
