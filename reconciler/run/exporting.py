"""accord export: the database's declared facts as a config repository."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from reconciler.run.deployment import Deployment
from reconciler.run.inputs import reading
from reconciler.source.declarable import Flaw, declarable
from reconciler.source.export import export_state
from reconciler.store.read import read_actual


def export_database(deployment: Deployment, folder: Path, *, now: datetime) -> tuple[int, list[Flaw]]:
    """Write everything that can be declared, including unmanaged rows; return the number of files, and what cannot be declared.

    Raises SourceError where DIR is not empty.
    """
    with reading(deployment) as connection:
        actual = read_actual(connection, now=now)
    state, flaws = declarable(actual.declared, now)
    return len(export_state(state, folder)), flaws
