"""The revisions that were applied: how, when and by whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select

from reconciler.plan.actual import Revision
from reconciler.store import tables
from reconciler.store.engine import Connection
from reconciler.store.rows import read_json


class AppliedRevision(NamedTuple):
    """An entry of the history: a revision, how and when it was applied, and by whom."""

    id: int
    revision: Revision
    repository: str
    branch: str
    path: str
    applied_at: datetime
    applied_by: str
    plan_digest: str
    generation: int
    overrides: tuple[tuple[str, str], ...]
    """Guard and reason."""
    counts: dict[str, int]
    accord_version: str


def _applied(row: Any) -> AppliedRevision:
    return AppliedRevision(
        id=row.id,
        revision=Revision(row.commit_sha, row.author, row.committed_at, row.summary),
        repository=row.repository,
        branch=row.branch,
        path=row.path,
        applied_at=row.applied_at,
        applied_by=row.applied_by,
        plan_digest=row.plan_digest,
        generation=row.generation,
        overrides=tuple((item["guard"], item["reason"]) for item in read_json(row.overrides)),
        counts=read_json(row.counts),
        accord_version=row.accord_version,
    )


def read_applied(connection: Connection) -> AppliedRevision | None:
    """The revision that was applied last."""
    found = read_history(connection, 1)
    return found[0] if found else None


def read_history(connection: Connection, limit: int | None = None) -> list[AppliedRevision]:
    """What was applied, newest first."""
    query = select(tables.revisions).order_by(tables.revisions.c.id.desc())
    return [_applied(row) for row in connection.execute(query if limit is None else query.limit(limit))]


def find_revision(connection: Connection, prefix: str) -> AppliedRevision | None:
    """The newest application of the commit that begins so; None where there is none, or more than one commit does."""
    columns = tables.revisions.c
    if len(prefix) < 4 or not all(char in "0123456789abcdef" for char in prefix):
        return None
    query = select(tables.revisions).where(columns.commit_sha.startswith(prefix)).order_by(columns.id.desc())
    found = [_applied(row) for row in connection.execute(query)]
    return found[0] if len({applied.revision.commit for applied in found}) == 1 else None


def revision_at(connection: Connection, instant: datetime) -> AppliedRevision | None:
    """The revision in force at an instant."""
    columns = tables.revisions.c
    query = select(tables.revisions).where(columns.applied_at <= instant).order_by(columns.id.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _applied(row)
