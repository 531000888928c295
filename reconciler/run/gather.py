"""Gathers the desired state from Git and the actual state from the database: everything, or only what a change can touch.

The short way is open if the database is exactly what the applied revision declared, by its digests, and the two revisions
differ in known files. Then only those files are read, and only the rows that they can touch. Otherwise everything is read.
Both ways lead to the same plan; a test compares them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from reconciler import __version__
from reconciler.access.problems import Problem, Warnings, told_apart
from reconciler.access.references import references
from reconciler.access.resources import Declaration, Revision
from reconciler.plan.actual import Actual
from reconciler.plan.changes import Desired, conflicts
from reconciler.plan.identity import in_doubt
from reconciler.plan.renames import find_renames
from reconciler.run.delta import check_delta, read_delta, scope_of
from reconciler.run.errors import InvalidConfiguration
from reconciler.run.inputs import Progress, Source, read_declarations, state_of
from reconciler.store.earlier import read_earlier
from reconciler.store.engine import Connection
from reconciler.store.read import AppliedRevision, read_actual

if TYPE_CHECKING:
    from reconciler.source.repository import ChangedFile


class Gathered(NamedTuple):
    """Both states, of the same resources, and warnings about what the revision changes."""

    actual: Actual
    desired: Desired
    warnings: Warnings


def gather(
    connection: Connection | None,
    source: Source,
    revision: Revision,
    applied: AppliedRevision | None,
    *,
    now: datetime,
    in_accord: bool,
    adopt: bool = False,
    progress: Progress = None,
) -> Gathered:
    """Gather both states for a revision, by the short way if it is open; `in_accord` says that nothing has drifted.

    Without a connection the database has no tables yet.

    Raises InvalidConfiguration with every problem where the resources have errors, or names that belong to others.
    """
    changed = _changed_files(source, revision, applied)
    gathered = None
    if (
        connection is not None
        and applied is not None
        and changed is not None
        and in_accord
        and not adopt
        and read_alike(applied, source)
    ):
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


def read_alike(applied: AppliedRevision, source: Source) -> bool:
    """Tell whether the applied revision was read and checked as now: another version of Accord may have other rules."""
    return applied.accord_version == __version__ and applied.path == source.path


def _gather_all(
    connection: Connection | None,
    source: Source,
    revision: Revision,
    changed: Sequence[ChangedFile] | None,
    now: datetime,
    progress: Progress,
) -> Gathered:
    declarations, warnings = read_declarations(source, revision.commit, now, progress)
    told = Warnings(tuple(warnings))
    if changed is not None:
        files = {file.path for file in changed}
        warnings = [warning for warning in warnings if warning.file in files]
        rest = [declaration for declaration in declarations if declaration.origin.file not in files] if warnings else []
        told = told_apart(warnings, _problems_before(source, changed, rest, now) if warnings else ())
    desired = state_of(declarations)
    actual = Actual() if connection is None else _with_earlier(connection, read_actual(connection, now=now), desired)
    return Gathered(actual, desired, told)


def _with_earlier(connection: Connection, actual: Actual, desired: Desired) -> Actual:
    """Add what the audit log knows of users of whom nothing else says whether they stay who they are."""
    return actual._replace(earlier=read_earlier(connection, in_doubt(actual.declared.users, desired.declared.users)))


def _problems_before(
    source: Source, changed: Collection[ChangedFile], rest: Sequence[Declaration], now: datetime
) -> list[Problem]:
    """Return the problems, without places, that changed files had before, beside the rest of what is declared."""
    from reconciler.source.load import load_files
    from reconciler.source.rules import check, nowhere

    before = [(file.path, file.old_blob) for file in changed if file.old_blob is not None]
    was = load_files(source.repository, before, cache=source.cache)
    return [*was.problems, *check([*rest, *was.declarations], now, locate=nowhere)]


def _gather_changed(connection: Connection, source: Source, changed: Sequence[ChangedFile], now: datetime) -> Gathered | None:
    """Gather what the changed files can touch; return None if only the long way can tell."""
    if source.path and changed and all(file.new_blob is None for file in changed):
        return None  # the folder itself may be gone, which must be an error and not delete everything
    if any(file.old_blob is None and file.new_blob is None for file in changed):
        return None  # not read: the long way warns about it
    delta = read_delta(source, changed)
    if delta is None or delta.delegates():
        return None  # with other delegations, files that did not change may be wrong
    found, before = check_delta(connection, delta, now)
    if any(problem.severity == "error" for problem in found):
        return None  # the long way finds the errors again, with every place
    actual = read_actual(connection, scope_of(connection, delta, now), now=now)
    if any(actual.declared.of_kind(kind).get(name) != resource for (kind, name), resource in delta.old.items()):
        return None
    desired = state_of(delta.loaded.declarations, actual.declared, gone=delta.old)
    actual = _with_earlier(connection, actual, desired)
    return Gathered(actual, desired, told_apart(sorted(found), before)) if _is_closed(actual, desired) else None


def _is_closed(actual: Actual, desired: Desired) -> bool:
    """Tell whether everything was read that changed teams refer to, and that refers to a name which passes to another resource.

    Otherwise a plan could miss changed access.
    """
    declared = desired.declared
    if any(old in declared.of_kind(kind) for kind, names in find_renames(actual, declared).items() for old in names):
        return False
    teams = [declared.teams[name] for kind, name in desired.origins if kind == "Team"]
    return all(
        set(names) <= declared.of_kind(kind).keys() for team in teams for kind, _, names in references(team) if kind != "Team"
    )
