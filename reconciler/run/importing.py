"""accord import: another tool's configuration as a config repository."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from reconciler.access.problems import Problem


def import_organisation(
    source: Path, folder: Path, minimum_permission: Literal["write", "maintain", "admin"], email_domain: str
) -> tuple[tuple[Problem, ...], int | None]:
    """Write what a peribolos configuration declares; return its problems, and the number of files written (None: errors).

    Raises SourceError if the files cannot be read or `folder` is not empty.
    """
    from reconciler.source.export import export_state
    from reconciler.source.peribolos import import_peribolos

    state, problems = import_peribolos(source, minimum_permission=minimum_permission, email_domain=email_domain)
    if any(problem.severity == "error" for problem in problems):
        return problems, None
    return problems, len(export_state(state, folder))
