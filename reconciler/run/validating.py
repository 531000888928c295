"""accord validate: finds everything that is wrong with a working folder or a revision."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
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


def validate_files(
    files: Sequence[Path], deployment: Deployment, *, now: datetime, check_directory: bool = False, progress: Progress = None
) -> Validation:
    """Check files against the work tree that each is in: their own problems, and those that they make elsewhere.

    Outside any work tree, a file is checked alone. Raises SourceError or Misconfigured.
    """
    from reconciler.source.folder import work_tree_of

    groups: dict[Path | None, list[Path]] = {}
    for file in files:
        root = work_tree_of(file)
        inner = None if root is None else root / deployment.path
        inside = inner is not None and Path(os.path.realpath(file)).is_relative_to(inner)
        groups.setdefault(inner if inside else root, []).append(file)
    found, cache = [], cache_folder(deployment)
    for folder, group in groups.items():
        if folder is None:
            found += [validate_folder(file, cache, now=now, check_directory=check_directory, progress=progress) for file in group]
        else:
            found.append(_validate_within(folder, group, cache, now, check_directory, progress))
    return Validation(
        sorted(problem for each in found for problem in each.problems),
        sum(each.resources for each in found),
        sum(each.files for each in found),
    )


def _validate_within(
    folder: Path, files: Sequence[Path], cache: Path, now: datetime, check_directory: bool, progress: Progress
) -> Validation:
    from reconciler.source.cache import open_cache
    from reconciler.source.folder import list_files, not_read, work_tree_of
    from reconciler.source.load import file_content, load_listed
    from reconciler.source.rules import problems_of

    blobs = open_cache(cache)
    found, skipped = list_files(folder)
    names = {name: file for file in files for name, _ in list_files(file)[0]}
    contents = [(name, file_content(path)) for name, path in found]
    loaded = load_listed(contents, cache=blobs, progress=progress)
    whole = _validation(loaded._replace(problems=(*skipped, *loaded.problems)), now, check_directory)
    own = [problem for problem in whole.problems if problem.file in names]
    elsewhere = [problem for problem in whole.problems if problem.file not in names]
    if elsewhere:
        committed = _committed(work_tree_of(folder) or folder, names, cache)
        before = [(name, committed.get(name) if name in names else content) for name, content in contents]
        base = load_listed([(name, content) for name, content in before if name not in names or content is not None], cache=blobs)
        known = {(problem.file, problem.rule, problem.message) for problem in (*skipped, *problems_of(base, now))}
        refused = [problem for problem in skipped if problem.severity == "error"]  # nothing was read
        own += refused or [each for each in elsewhere if (each.file, each.rule, each.message) not in known]
    told = {problem.file for problem in own}
    read = {name for name, _ in found}
    own += (
        [not_read(name, file, folder) for name, file in names.items() if name not in read and name not in told] if found else []
    )
    return Validation(sorted(set(own)), sum(each.origin.file in names for each in loaded.declarations), len(names))


def _committed(root: Path, names: Iterable[str], cache: Path) -> dict[str, bytes]:
    """Return what the last commit has of files; nothing if there is none."""
    from reconciler.source.errors import SourceError
    from reconciler.source.repository import Repository

    try:
        repository = Repository.open(str(root), cache)
        head = repository.resolve("HEAD").commit
        contents = ((name, repository.content(head, name)) for name in names)
        return {name: content for name, content in contents if content is not None}
    except SourceError:
        return {}


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

    cache = cache_folder(deployment)
    repository = Repository.open(location, cache)
    loaded = load_revision(repository, repository.staged(index), deployment.path, cache=open_cache(cache))
    return _validation(loaded, now, check_directory=False)


def _validation(loaded: Loaded, now: datetime, check_directory: bool) -> Validation:
    from reconciler.source.rules import groups_named, problems_of, unknown_groups

    problems = problems_of(loaded, now)
    if check_directory:
        from reconciler.run.directory import missing_groups

        named = groups_named(loaded)
        problems = sorted([*problems, *unknown_groups(loaded, missing_groups(named) if named else ())])
    return Validation(problems, len(loaded.declarations), loaded.files)
