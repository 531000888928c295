"""The inputs of runs: the config repository, the database to read, and what a revision declares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from reconciler.access.problems import Problem
from reconciler.access.resources import Declaration, DeclaredState, Key, Kind, Resource, Revision, with_resources
from reconciler.plan.changes import Desired
from reconciler.run.deployment import Deployment, cache_folder
from reconciler.run.errors import InvalidConfiguration, RunError
from reconciler.store.engine import Connection, Database, open_database
from reconciler.store.errors import SchemaMissing
from reconciler.store.read import AppliedRevision
from reconciler.store.schema import check

if TYPE_CHECKING:
    from reconciler.source.cache import BlobCache
    from reconciler.source.repository import Repository

Progress = Callable[[int, int], None] | None
"""A function that takes how much is done, and of how much."""
_NOTHING = DeclaredState()


class Source(NamedTuple):
    """Where desired state comes from: a repository, a folder in it, and the cache of parsed blobs."""

    repository: Repository
    path: str
    cache: BlobCache


def open_source(deployment: Deployment, within: float | None = None) -> Source:
    """Open the config repository and the cache that the deployment names; a remote has so many seconds, or else as usual."""
    from reconciler.source.cache import open_cache
    from reconciler.source.repository import Repository

    cache = cache_folder(deployment)
    limit = {} if within is None else {"within": within}
    repository = Repository.open(deployment.repository, cache, deployment.without_tls, **limit)
    return Source(repository, deployment.path, open_cache(cache))


def desired_revision(deployment: Deployment, source: Source, rev: str | None) -> Revision:
    """Return the requested revision, or the head of the configured branch."""
    return source.repository.head(deployment.branch) if rev is None else source.repository.resolve(rev)


@contextmanager
def reading(deployment: Deployment) -> Iterator[Connection]:
    """Open a consistent snapshot of a database with the schema that this Accord needs."""
    with open_database(deployment.database_url, read_only=True) as database:
        check(database)
        with database.reading() as connection:
            yield connection


def is_new(database: Database) -> bool:
    """Tell whether a database has no tables yet. Raises StoreError if its schema has another version."""
    try:
        check(database)
    except SchemaMissing:
        return True
    return False


def absence(source: Source, applied: AppliedRevision) -> str:
    """Return the message for an applied revision that is not in the repository."""
    is_not = f"the applied revision {applied.revision.commit[:12]} is not in this repository"
    if source.repository.is_shallow():
        return f"{is_not}, a shallow clone: fetch the whole history (`git fetch --unshallow`, or fetch-depth: 0 in CI)"
    return f"{is_not}: it was rewritten, the clone is old (`git fetch`), or this is another repository"


def refuse_absent(source: Source, applied: AppliedRevision) -> None:
    """Raise RunError if an applied revision, which must be read, is not in the repository."""
    if not source.repository.has(applied.revision.commit):
        raise RunError(absence(source, applied))


def read_declarations(
    source: Source, commit: str, now: datetime, progress: Progress = None
) -> tuple[Sequence[Declaration], list[Problem]]:
    """Read everything that a commit declares, with warnings.

    Raises InvalidConfiguration if there are errors.
    """
    from reconciler.source.load import load_revision
    from reconciler.source.rules import problems_of

    loaded = load_revision(source.repository, commit, source.path, cache=source.cache, progress=progress)
    problems = problems_of(loaded, now)
    if any(problem.severity == "error" for problem in problems):
        raise InvalidConfiguration(problems)
    return loaded.declarations, problems


def state_of(declarations: Sequence[Declaration], base: DeclaredState = _NOTHING, gone: Collection[Key] = ()) -> Desired:
    """Build a state from declarations and from the resources of a base, without those that are gone."""
    touched = {kind for kind, _ in gone} | {declaration.kind for declaration in declarations}
    kinds: dict[Kind, dict[str, Resource]] = {kind: dict(base.of_kind(kind)) for kind in touched}
    for kind, name in gone:
        del kinds[kind][name]
    for kind, resource, _ in declarations:
        kinds[kind][resource.name] = resource
    origins = {(kind, resource.name): origin for kind, resource, origin in declarations}
    return Desired(with_resources(base, kinds), origins)
