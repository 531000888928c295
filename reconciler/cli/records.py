"""Applied revisions and audit entries, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from reconciler.access.instants import format_instant
from reconciler.plan.render import document
from reconciler.plan.render.text import Line
from reconciler.plan.render.words import printable, show_revision
from reconciler.store.audit import AuditEntry
from reconciler.store.read import AppliedRevision


def revision_lines(applied: AppliedRevision) -> Iterator[Line]:
    """An applied revision in a few lines."""
    counts = ", ".join(f"{number:,} {name}" for name, number in applied.counts.items() if number) or "no changes"
    yield "heading", show_revision(applied.revision)
    yield (
        "plain",
        f"  applied {format_instant(applied.applied_at.replace(microsecond=0))} by {printable(applied.applied_by)}: {counts}",
    )
    for guard, reason in applied.overrides:
        yield "changed", f"  guard {guard} overridden: {printable(reason)}"


def revision_document(applied: AppliedRevision) -> dict[str, Any]:
    """An applied revision for programs."""
    return {
        **document.revision_document(applied.revision),
        "appliedAt": format_instant(applied.applied_at),
        "appliedBy": applied.applied_by,
        "repository": applied.repository,
        "branch": applied.branch,
        "path": applied.path,
        "planDigest": applied.plan_digest,
        "generation": applied.generation,
        "overrides": [{"guard": guard, "reason": reason} for guard, reason in applied.overrides],
        "counts": applied.counts,
        "accordVersion": applied.accord_version,
    }


def entry_lines(entry: AuditEntry) -> Iterator[Line]:
    """An audit entry in one line, with its details below."""
    yield "plain", f"  #{entry.id} {entry.action} {printable(entry.name)}".rstrip()
    detail = orjson.loads(entry.detail)
    for name, value in detail.get("fields", {}).items():
        yield "dim", f"      {name}: {printable(orjson.dumps(value).decode())}"


def entry_document(entry: AuditEntry) -> dict[str, Any]:
    """An audit entry for programs."""
    return {
        "id": entry.id,
        "at": format_instant(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "kind": entry.kind,
        "name": entry.name,
        "detail": orjson.loads(entry.detail),
        "hash": entry.hash,
    }
