"""accord history and show: what was applied, when and by whom, and what it changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reconciler.run.access import find_applied
from reconciler.run.deployment import Deployment
from reconciler.run.inputs import reading
from reconciler.store.audit import AuditEntry, read_audit, read_repairs
from reconciler.store.read import AppliedRevision, read_history


class Step(NamedTuple):
    """An applied revision, and whether this only repaired drift from it."""

    applied: AppliedRevision
    repair: bool


def history(deployment: Deployment, limit: int | None = None) -> list[Step]:
    """Read the history, newest first."""
    with reading(deployment) as connection:
        repairs = read_repairs(connection)
        return [Step(applied, applied.id in repairs) for applied in read_history(connection, limit)]


def show(deployment: Deployment, commit: str) -> tuple[Step, Sequence[AuditEntry]]:
    """Read one applied revision and the audit entries that it wrote. Raises RunError if it was never applied."""
    with reading(deployment) as connection:
        applied = find_applied(connection, commit)
        return Step(applied, applied.id in read_repairs(connection)), read_audit(connection, revision_id=applied.id)
