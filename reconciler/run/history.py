"""accord history and show: what was applied, when, by whom, and what it changed."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.run.access import find_applied
from reconciler.run.deployment import Deployment
from reconciler.run.planning import reading
from reconciler.store.audit import AuditEntry, read_audit
from reconciler.store.read import AppliedRevision, read_history


def history(deployment: Deployment, limit: int | None = None) -> Sequence[AppliedRevision]:
    """The applied revisions, newest first."""
    with reading(deployment) as connection:
        return read_history(connection, limit)


def show(deployment: Deployment, commit: str) -> tuple[AppliedRevision, Sequence[AuditEntry]]:
    """One applied revision and the audit entries that it wrote. Raises RunError where it was never applied."""
    with reading(deployment) as connection:
        applied = find_applied(connection, commit)
        return applied, read_audit(connection, revision_id=applied.id)
