"""accord export: the database's declared facts as a config repository."""

from __future__ import annotations

from pathlib import Path

from reconciler.run.deployment import Deployment
from reconciler.run.planning import reading
from reconciler.source.export import export_state
from reconciler.store.read import read_actual


def export_database(deployment: Deployment, folder: Path) -> int:
    """Write everything declared, foreign rows included; gives how many files. Raises SourceError where DIR is not empty."""
    with reading(deployment) as connection:
        actual = read_actual(connection)
    return len(export_state(actual.declared, folder))
