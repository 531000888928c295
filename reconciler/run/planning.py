"""accord plan: compares a revision with the database, or with another revision and no database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import NamedTuple

from reconciler.access.problems import Problem, told_apart
from reconciler.access.resources import Declaration, Revision
from reconciler.plan.actual import Actual, Clocks, Runtime, Totals
from reconciler.plan.make import make_plan
from reconciler.plan.objections import Remembered
from reconciler.plan.plan import Checkout, Plan
from reconciler.run.delegated import refuse_undelegated
from reconciler.run.deployment import Deployment
from reconciler.run.descent import find_detour, merged
from reconciler.run.errors import InvalidBase, InvalidConfiguration, Misconfigured, Rewind
from reconciler.run.gather import gather, read_alike
from reconciler.run.inputs import Progress, Source, desired_revision, is_new, open_source, read_declarations, state_of
from reconciler.store.digests import drifted
from reconciler.store.engine import Connection, open_database
from reconciler.store.read import read_applied, read_clocks


@contextmanager
def _desired(
    deployment: Deployment, source: Source, rev: str | None, *, working_tree: bool
) -> Iterator[tuple[Source, Revision, Revision]]:
    """Yield where to read, the revision to read there, and the revision to show, which is another one for a folder's files."""
    if not working_tree:
        revision = desired_revision(deployment, source, rev)
        yield source, revision, revision
        return
    from reconciler.source.work_tree import as_commit

    with as_commit(source.repository, source.path) as (repository, head, commit):
        yield source._replace(repository=repository), head._replace(commit=commit), head


def plan_revision(
    deployment: Deployment,
    rev: str | None,
    *,
    now: datetime,
    working_tree: bool = False,
    merging: bool = True,
    adopt: bool = False,
    allow_rewind: bool = False,
    welcome: bool = True,
    ending: Sequence[str] = (),
    progress: Progress = None,
) -> Plan:
    """Plan what applying a revision (by default the configured branch's head), or the files in the folder, would do now.

    If `merging`, a branch that is behind the applied revision is planned as their merge. A database without any tables yet
    is an empty one.
    """
    opened = open_source(deployment)
    with (
        _desired(deployment, opened, rev, working_tree=working_tree) as (source, revision, shown),
        open_database(deployment.database_url, read_only=True) as database,
        nullcontext() if is_new(database) else database.reading() as connection,
    ):
        plan = plan_against(
            connection,
            source,
            revision,
            now=now,
            in_accord=connection is not None and not drifted(connection),
            branch=deployment.branch,
            merging=merging,
            adopt=adopt,
            allow_rewind=allow_rewind,
            welcome=welcome,
            ending=ending,
            progress=progress,
        )
        return plan._replace(revision=shown, working_tree=working_tree)


def plan_against(
    connection: Connection | None,
    source: Source,
    revision: Revision,
    *,
    now: datetime,
    in_accord: bool,
    branch: str | None = None,
    merging: bool = False,
    adopt: bool = False,
    allow_rewind: bool = False,
    welcome: bool = True,
    ending: Sequence[str] = (),
    progress: Progress = None,
) -> Plan:
    """Plan against the database on this connection; without one, for a database that has no tables yet.

    Raises Rewind unless the revision descends from the applied one, or, if `merging`, can be planned as their merge.
    """
    applied = None if connection is None else read_applied(connection)
    repair = applied is not None and applied.revision.commit == revision.commit and read_alike(applied, source)
    detour = find_detour(source, applied, revision, branch)
    merge = detour.merge if detour is not None and merging and not allow_rewind else None
    if detour is not None and merge is None and not allow_rewind:
        raise Rewind(detour.message)
    with (
        nullcontext((source, revision.commit))
        if applied is None or merge is None
        else merged(source, applied, revision, merge) as (place, commit)
    ):
        gathered = gather(
            connection,
            place,
            revision._replace(commit=commit),
            applied,
            now=now,
            in_accord=in_accord,
            adopt=adopt,
            progress=progress,
        )
        _refuse_unremembered(ending, gathered.actual.overrides)
        plan = make_plan(
            gathered.actual,
            gathered.desired,
            revision=revision,
            now=now,
            path=source.path,
            warnings=gathered.warnings.new,
            warned_before=gathered.warnings.stood,
            adopt=adopt,
            rewind=detour is not None and merge is None,
            merge=merge,
            clocks=Clocks() if connection is None else read_clocks(connection),
            repair=repair,
            welcome=welcome,
            ending=ending,
        )
        if adopt or not repair:  # otherwise nobody declares anything new, and what is in force may be what was written by hand
            by_hand = connection is not None and not in_accord and bool(drifted(connection, ("settings",)))
            refuse_undelegated(plan, gathered.actual, gathered.desired, place, commit, by_hand=by_hand)
    return plan


def _refuse_unremembered(ending: Sequence[str], overrides: Sequence[Remembered]) -> None:
    """Raise Misconfigured unless an override of each of these guards is remembered, so that there is something to end."""
    known = sorted({each.guard for each in overrides})
    for guard in ending:
        if guard not in known:
            others = f"only of {', '.join(known)}" if known else "nor of any other guard"
            raise Misconfigured(f"no override of `{guard}` is remembered, {others}")


def find_checkout(deployment: Deployment, planned: Plan) -> Checkout | None:
    """Tell where the work tree stands beside the branch that was planned; None if the plan is all there is to say."""
    from reconciler.source.errors import SourceError
    from reconciler.source.location import is_remote
    from reconciler.source.work_tree import find_standing

    if is_remote(deployment.repository):
        return None
    try:
        standing = find_standing(deployment.repository, planned.revision.commit, deployment.path)
    except (SourceError, OSError):  # the plan is made, and does not depend on it
        return None
    if standing is None or (standing.commit == planned.revision.commit and not standing.uncommitted):
        return None
    return Checkout(deployment.branch, *standing)


def compare_revisions(
    deployment: Deployment,
    rev: str | None,
    against: str,
    *,
    now: datetime,
    working_tree: bool = False,
    progress: Progress = None,
) -> Plan:
    """Plan what a revision changes compared with another, from Git alone: without a database and without secrets.

    It assumes that what only a database knows is harmless: everyone has a password, and nobody is disabled elsewhere.
    Raises InvalidConfiguration, or InvalidBase if only the other revision has errors.
    """
    opened = open_source(deployment)
    base = opened.repository.resolve(against)
    with _desired(deployment, opened, rev, working_tree=working_tree) as (source, revision, shown):
        after, warnings = read_declarations(source, revision.commit, now, progress)
        try:
            before, stood = read_declarations(opened, base.commit, now, progress)
        except InvalidConfiguration as error:
            raise InvalidBase(base.commit, error.problems) from None
        return compare(
            Read(opened, base, before, stood),
            Read(source, revision, after, warnings),
            now=now,
            shown=shown,
            working_tree=working_tree,
        )


class Read(NamedTuple):
    """A revision, where it was read, what it declares and the warnings about it."""

    source: Source
    revision: Revision
    declarations: Sequence[Declaration]
    problems: Sequence[Problem]


def compare(before: Read, after: Read, *, now: datetime, shown: Revision | None = None, working_tree: bool = False) -> Plan:
    """Plan what one revision changes beside another; `shown` is the revision to name, if it is another one."""
    base, source, revision = before.revision, after.source, after.revision
    changed = source.repository.changed(base.commit, revision.commit, source.path)
    files = None if changed is None else {file.path for file in changed}  # None: an ignore file may concern any file
    told = told_apart([warning for warning in after.problems if files is None or warning.file in files], before.problems)
    held, desired = state_of(before.declarations), state_of(after.declarations)
    actual = Actual(
        declared=held.declared,
        runtime=Runtime(can_set_password=frozenset(held.declared.users)),
        files={key: origin.file for key, origin in held.origins.items()},
        totals=Totals(len(held.declared.users), len(held.declared.teams), len(held.declared.issuers)),
        applied=base,
        earlier=None,
    )
    plan = make_plan(
        actual,
        desired,
        revision=shown or revision,
        now=now,
        path=source.path,
        warnings=told.new,
        warned_before=told.stood,
        against=True,
        working_tree=working_tree,
    )
    refuse_undelegated(plan, actual, desired, source, revision.commit)
    return plan
