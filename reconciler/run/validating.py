"""accord validate: finds everything that is wrong with a working folder or a revision."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reconciler.access.problems import Problem
from reconciler.run.deployment import Deployment, cache_folder

if TYPE_CHECKING:
    from reconciler.run.inputs import Progress
    from reconciler.source.load import Loaded


class Validation(NamedTuple):
    """All problems, sorted by place, and the number of resources and files read."""

    problems: list[Problem]
    resources: int
    files: int


def working_folder(deployment: Deployment, instead: str = "name a revision, such as --rev main") -> Path:
    """Return the folder that contains the resources. Raises SourceError if the repository is remote, with what to do instead."""
    from reconciler.source.errors import SourceError
    from reconciler.source.location import is_remote

    if is_remote(deployment.repository):
        raise SourceError(f"a remote repository has no working folder; {instead}")
    return Path(deployment.repository) / deployment.path


def validate_folder(
    folder: Path, cache: Path, *, now: datetime, check_directory: bool = False, progress: Progress = None
) -> Validation:
    """Check a working folder or one file. Raises SourceError if it cannot be read, Misconfigured if the directories cannot."""
    from reconciler.source.cache import open_cache
    from reconciler.source.load import load_folder
    from reconciler.source.sparse import sparse_warning

    loaded = load_folder(folder, cache=open_cache(cache), progress=progress)
    loaded = loaded._replace(problems=(*sparse_warning(folder), *loaded.problems))
    return _validation(loaded, now, check_directory)


def validate_revision(
    deployment: Deployment, rev: str, *, now: datetime, check_directory: bool = False, progress: Progress = None
) -> Validation:
    """Check a revision of the config repository, or a tree in it. Raises SourceError or Misconfigured."""
    from reconciler.source.cache import open_cache
    from reconciler.source.errors import UnknownRevision
    from reconciler.source.load import load_revision
    from reconciler.source.location import is_remote
    from reconciler.source.repository import Repository

    cache = cache_folder(deployment)
    repository = Repository.open(deployment.repository, cache, deployment.without_tls)
    try:
        tree = repository.tree(rev)
    except UnknownRevision as error:
        if not is_remote(deployment.repository):
            raise
        raise UnknownRevision(f"{error}; for a revision of the clone in this folder, add --repository .") from None
    loaded = load_revision(repository, tree, deployment.path, cache=open_cache(cache), progress=progress)
    return _validation(loaded, now, check_directory)


def validate_staged(deployment: Deployment, location: str, index: str | None, *, now: datetime) -> Validation:
    """Check what is staged in the repository at a location, in an index of its own or in the given one. Raises SourceError."""
    from reconciler.source.cache import open_cache
    from reconciler.source.load import load_revision
    from reconciler.source.repository import Repository

    repository = Repository.open(location, deployment.cache)
    loaded = load_revision(repository, repository.staged(index), deployment.path, cache=open_cache(deployment.cache))
    return _validation(loaded, now, check_directory=False)


def _validation(loaded: Loaded, now: datetime, check_directory: bool) -> Validation:
    from reconciler.source.rules import groups_named, problems_of, unknown_groups

    problems = problems_of(loaded, now)
    if check_directory:
        from reconciler.run.directory import missing_groups

        named = groups_named(loaded)
        problems = sorted([*problems, *unknown_groups(loaded, missing_groups(named) if named else ())])
    return Validation(problems, len(loaded.declarations), loaded.files)
