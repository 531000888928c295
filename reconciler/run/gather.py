"""Gathering: the desired state from Git and the actual state from the database, of everything or of what a change can touch.

The short way is open when the database is exactly what the applied revision declared (its digests say so) and the two
revisions differ in known files. Then only those files are read, and only the rows they can touch. Otherwise everything is
read. Both ways end in the same plan; a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from reconciler import __version__
from reconciler.access.problems import Problem
from reconciler.access.resources import Declaration, DeclaredState, Key, Kind, Resource, Revision, with_resources
from reconciler.plan.actual import Actual
from reconciler.plan.changes import Desired, conflicts
from reconciler.run.errors import InvalidConfiguration
from reconciler.store.read import AppliedRevision, read_actual

if TYPE_CHECKING:
    from reconciler.source.cache import BlobCache
    from reconciler.source.repository import ChangedFile, Repository
    from reconciler.store.engine import Connection

Progress = Callable[[int, int], None] | None


class Gathered(NamedTuple):
    """Both states, over the same resources, and the warnings of the files that the revision changes."""

    actual: Actual
    desired: Desired
    warnings: tuple[Problem, ...]


class Source(NamedTuple):
    """Where desired state comes from: a repository, the folder in it, and the cache of what was parsed before."""

    repository: Repository
    path: str
    cache: BlobCache


def gather(
    connection: Connection,
    source: Source,
    revision: Revision,
    applied: AppliedRevision | None,
    *,
    now: datetime,
    in_accord: bool,
    adopt: bool = False,
    progress: Progress = None,
) -> Gathered:
    """Both states for a revision, by the short way where it is open: `in_accord` says that nothing has drifted.

    Raises InvalidConfiguration with every problem where the resources have errors, or names that belong to others.
    """
    changed = _changed_files(source, revision, applied)
    gathered = None
    if changed is not None and applied is not None and not adopt and _comparable(applied, source) and in_accord:
        gathered = _gather_changed(connection, source, changed, now)
    if gathered is None:
        gathered = _gather_all(connection, source, revision, changed, now, progress)
    found = conflicts(gathered.actual, gathered.desired, adopt=adopt)
    if found:
        raise InvalidConfiguration(found)
    return gathered


def _changed_files(source: Source, revision: Revision, applied: AppliedRevision | None) -> list[ChangedFile] | None:
    if applied is None or applied.path != source.path:
        return None
    if applied.revision.commit == revision.commit:
        return []
    return source.repository.changed(applied.revision.commit, revision.commit, source.path)


def _comparable(applied: AppliedRevision, source: Source) -> bool:
    """Whether the applied revision was judged by the same rules: another Accord may know others."""
    return applied.accord_version == __version__ and applied.path == source.path


def read_declarations(
    source: Source, commit: str, now: datetime, progress: Progress = None
) -> tuple[Sequence[Declaration], list[Problem]]:
    """Everything a commit declares, and what is to be warned of.

    Raises InvalidConfiguration where there are errors.
    """
    from reconciler.source.load import load_revision
    from reconciler.source.rules import problems_of

    loaded = load_revision(source.repository, commit, source.path, cache=source.cache, progress=progress)
    return loaded.declarations, _without_errors(problems_of(loaded, now))


def _without_errors(problems: Iterable[Problem]) -> list[Problem]:
    found = list(problems)
    if any(problem.severity == "error" for problem in found):
        raise InvalidConfiguration(found)
    return found


def state_of(declarations: Iterable[Declaration]) -> Desired:
    """Declarations, each name once, as a state."""
    kinds: dict[Kind, dict[str, Resource]] = {}
    for declaration in declarations:
        kinds.setdefault(declaration.kind, {})[declaration.resource.name] = declaration.resource
    origins = {(declaration.kind, declaration.resource.name): declaration.origin for declaration in declarations}
    return Desired(with_resources(DeclaredState(), kinds), origins)


def _gather_all(
    connection: Connection,
    source: Source,
    revision: Revision,
    changed: Sequence[ChangedFile] | None,
    now: datetime,
    progress: Progress,
) -> Gathered:
    declarations, warnings = read_declarations(source, revision.commit, now, progress)
    if changed is not None:
        files = {file.path for file in changed}
        warnings = [warning for warning in warnings if warning.file in files]
    return Gathered(read_actual(connection, now=now), state_of(declarations), tuple(warnings))


def _gather_changed(connection: Connection, source: Source, changed: Sequence[ChangedFile], now: datetime) -> Gathered | None:
    """The part that the changed files can touch; None where only the long way can tell."""
    from reconciler.run.delta import check_delta, read_delta, scope_of

    if source.path and changed and all(file.new_blob is None for file in changed):
        return None  # the folder itself may be gone, which is an error and empties nothing
    if any(file.old_blob is None and file.new_blob is None for file in changed):
        return None  # a link, which is warned of where everything is listed
    delta = read_delta(source, changed)
    if delta is None:
        return None
    warnings = sorted(check_delta(connection, delta, now))
    if any(problem.severity == "error" for problem in warnings):
        return None  # the long way finds it again, with every place
    actual = read_actual(connection, scope_of(connection, delta, now), now=now)
    if any(actual.declared.of_kind(kind).get(name) != resource for (kind, name), resource in delta.old.items()):
        return None
    desired = _desired(actual.declared, delta.old, delta.loaded.declarations)
    return Gathered(actual, desired, tuple(warnings)) if _is_closed(desired) else None


def _is_closed(desired: Desired) -> bool:
    """Whether all that the changed teams refer to was read: else somebody's access could change and the plan not say so."""
    declared = desired.declared
    teams = [declared.teams[name] for kind, name in desired.origins if kind == "Team"]
    return all(
        all(member.user in declared.users for member in team.members)
        and all(permission.issuer in declared.issuers for permission in team.permissions)
        for team in teams
    )


def _desired(declared: DeclaredState, old: Mapping[Key, Resource], declarations: Sequence[Declaration]) -> Desired:
    touched = {kind for kind, _ in old} | {declaration.kind for declaration in declarations}
    kinds: dict[Kind, dict[str, Resource]] = {kind: dict(declared.of_kind(kind)) for kind in touched}
    for kind, name in old:
        del kinds[kind][name]
    for declaration in declarations:
        kinds[declaration.kind][declaration.resource.name] = declaration.resource
    origins = {(declaration.kind, declaration.resource.name): declaration.origin for declaration in declarations}
    return Desired(with_resources(declared, kinds), origins)
