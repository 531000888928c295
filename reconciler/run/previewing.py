"""accord mail preview: one mail with sample values, as readers will see it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reconciler.access.problems import Problem
from reconciler.access.resources import EmailTemplate, Origin
from reconciler.run.deployment import Deployment, cache_folder
from reconciler.run.errors import InvalidConfiguration

if TYPE_CHECKING:
    from reconciler.mail.rendering import Rendered
    from reconciler.run.inputs import Progress
    from reconciler.source.load import Loaded


class Preview(NamedTuple):
    """A mail with sample values, where its template is declared (None for the built-in one), and warnings."""

    name: str
    origin: Origin | None
    rendered: Rendered
    warnings: list[Problem]


def preview_folder(folder: Path, cache: Path, name: str, *, now: datetime, progress: Progress = None) -> Preview:
    """Preview a mail with the template in a working folder or in one file.

    Raises SourceError if that cannot be read, and InvalidConfiguration if the template has errors.
    """
    from reconciler.source.cache import open_cache
    from reconciler.source.load import load_folder

    return _preview(load_folder(folder, cache=open_cache(cache), progress=progress), name, now)


def preview_revision(deployment: Deployment, rev: str, name: str, *, now: datetime, progress: Progress = None) -> Preview:
    """Preview a mail with the template in a revision or a tree of the repository. Raises the same as `preview_folder`."""
    from reconciler.source.cache import open_cache
    from reconciler.source.load import load_revision
    from reconciler.source.repository import Repository

    cache = cache_folder(deployment)
    repository = Repository.open(deployment.repository, cache, deployment.without_tls)
    loaded = load_revision(repository, repository.tree(rev), deployment.path, cache=open_cache(cache), progress=progress)
    return _preview(loaded, name, now)


def _preview(loaded: Loaded, name: str, now: datetime) -> Preview:
    from reconciler.mail.builtin import BUILT_IN
    from reconciler.mail.rendering import SAMPLE_HOSTS, render
    from reconciler.mail.variables import SAMPLES
    from reconciler.source.rules import check

    if ("EmailTemplate", name) in loaded.broken:
        raise InvalidConfiguration(sorted(loaded.problems))
    declared = [each for each in loaded.declarations if each.kind == "EmailTemplate" and each.resource.name == name]
    problems = check(declared, now, locate=loaded.locate) if declared else []
    if any(problem.severity == "error" for problem in problems):
        raise InvalidConfiguration(problems)
    template = declared[0].resource if declared else BUILT_IN[name]
    assert isinstance(template, EmailTemplate)
    return Preview(name, declared[0].origin if declared else None, render(template, SAMPLES[name], SAMPLE_HOSTS), problems)
