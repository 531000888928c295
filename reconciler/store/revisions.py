"""Applied revisions: how, when and by whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import select

from reconciler.access.instants import format_instant, parse_instant
from reconciler.access.resources import Revision
from reconciler.plan.objections import Override
from reconciler.plan.render import document
from reconciler.store import tables
from reconciler.store.audit import Broken, Recorded
from reconciler.store.engine import Connection
from reconciler.store.errors import DatabaseCorrupt
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
    overrides: tuple[Override, ...]
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
        overrides=_overrides(row.overrides),
        counts=read_json(row.counts),
        accord_version=row.accord_version,
    )


def _overrides(text: str) -> tuple[Override, ...]:
    try:
        return tuple(
            Override(item["guard"], item["reason"], parse_instant(item["until"]) if "until" in item else None)
            for item in read_json(text)
        )
    except (TypeError, KeyError, ValueError):
        raise DatabaseCorrupt(
            f"the database has `{text[:80]}` instead of a list of overrides; somebody wrote it by hand, so correct it there"
        ) from None


def write_revision(connection: Connection, applied: AppliedRevision) -> None:
    """Add an entry to the history."""
    facts = revision_document(applied)
    connection.execute(
        tables.revisions.insert().values(
            id=applied.id,
            commit_sha=applied.revision.commit,
            author=applied.revision.author,
            committed_at=applied.revision.time,
            summary=applied.revision.summary,
            repository=applied.repository,
            branch=applied.branch,
            path=applied.path,
            applied_at=applied.applied_at,
            applied_by=applied.applied_by,
            plan_digest=applied.plan_digest,
            generation=applied.generation,
            overrides=orjson.dumps(facts["overrides"], option=orjson.OPT_SORT_KEYS).decode(),
            counts=orjson.dumps(facts["counts"], option=orjson.OPT_SORT_KEYS).decode(),
            accord_version=applied.accord_version,
        )
    )


def write_digest(connection: Connection, applied: AppliedRevision) -> None:
    """Add the plan's digest to an entry that was written without it."""
    mine = tables.revisions.c.id == applied.id
    connection.execute(tables.revisions.update().where(mine).values(plan_digest=applied.plan_digest))


def revision_document(applied: AppliedRevision) -> dict[str, Any]:
    """Return all that the history says about an applied revision; the audit log must say the same."""
    return {
        **document.revision_document(applied.revision),
        "appliedAt": format_instant(applied.applied_at),
        "appliedBy": applied.applied_by,
        "repository": applied.repository,
        "branch": applied.branch,
        "path": applied.path,
        "planDigest": applied.plan_digest,
        "generation": applied.generation,
        "overrides": [
            {"guard": guard, "reason": reason, **({} if until is None else {"until": format_instant(until)})}
            for guard, reason, until in applied.overrides
        ],
        "counts": applied.counts,
        "accordVersion": applied.accord_version,
    }


def contradiction(history: Iterable[AppliedRevision], recorded: Sequence[Recorded]) -> Broken | None:
    """Find the first audit entry that contradicts the history about an applied revision."""
    held: dict[int | None, dict[str, Any]] = {applied.id: revision_document(applied) for applied in history}
    for entry_id, revision_id, detail in recorded:
        facts = held.pop(revision_id, None)
        if facts is None:
            return Broken(entry_id, f"it records revision {revision_id}, which is missing from the history")
        differing = [name for name, value in facts.items() if name not in detail or detail[name] != value]
        if differing:
            return Broken(entry_id, f"the history contradicts it about revision {revision_id}: {', '.join(differing)}")
    for revision_id, facts in held.items():
        last = recorded[-1].entry if recorded else 0
        return Broken(last, f"the history holds revision {revision_id} ({facts['commit'][:12]}), which no entry records")
    return None


def read_applied(connection: Connection) -> AppliedRevision | None:
    """Return the revision applied last."""
    found = read_history(connection, 1)
    return found[0] if found else None


def read_history(connection: Connection, limit: int | None = None) -> list[AppliedRevision]:
    """Read the history, newest first."""
    query = select(tables.revisions).order_by(tables.revisions.c.id.desc())
    return [_applied(row) for row in connection.execute(query if limit is None else query.limit(limit))]


def find_revision(connection: Connection, prefix: str) -> AppliedRevision | None:
    """Find the newest history entry of the commit with a prefix; None if no commit has it, or several have."""
    columns = tables.revisions.c
    if len(prefix) < 4 or not all(char in "0123456789abcdef" for char in prefix):
        return None
    query = select(tables.revisions).where(columns.commit_sha.startswith(prefix)).order_by(columns.id.desc())
    found = [_applied(row) for row in connection.execute(query)]
    return found[0] if len({applied.revision.commit for applied in found}) == 1 else None


def revision_at(connection: Connection, instant: datetime) -> AppliedRevision | None:
    """Return the revision in force at an instant."""
    columns = tables.revisions.c
    query = select(tables.revisions).where(columns.applied_at <= instant).order_by(columns.id.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _applied(row)
