"""accord drift: how the database differs from the applied revision, since when, and how to resolve it either way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from reconciler.access.references import references
from reconciler.access.resources import DeclaredState, Key, Kind, Resource, with_resources
from reconciler.plan.actual import Actual, access_state
from reconciler.plan.changes import Desired, conflicts, find_changes
from reconciler.plan.guards import overridden
from reconciler.plan.make import make_plan
from reconciler.plan.objections import Override
from reconciler.plan.plan import Change, Plan
from reconciler.plan.renames import find_renames
from reconciler.plan.unmanaged import Given, given_by
from reconciler.run.applying import Outcome, permitted
from reconciler.run.deployment import Deployment
from reconciler.run.errors import InvalidConfiguration, RunError, Stale
from reconciler.run.gather import read_alike
from reconciler.run.inputs import Progress, Source, open_source, read_declarations, reading, refuse_absent, state_of
from reconciler.store.apply import apply_plan
from reconciler.store.audit import AuditEntry, last_entry_for
from reconciler.store.digests import drifted
from reconciler.store.engine import open_database
from reconciler.store.read import AppliedRevision, Scope, read_actual, read_applied, read_clocks, read_unmanaged
from reconciler.store.schema import check

if TYPE_CHECKING:
    from reconciler.source.declarable import Flaw
    from reconciler.store.engine import Connection


class NothingApplied(RunError):
    """No revision has been applied, so there is nothing to compare with."""


class Difference(NamedTuple):
    """One resource that differs: the change that would repair it, and the last audit entry about it."""

    change: Change
    since: AuditEntry | None


class Drift(NamedTuple):
    """Everything that differs from the applied revision, unmanaged rows, and what those give people."""

    applied: AppliedRevision
    differences: tuple[Difference, ...]
    unmanaged: tuple[Key, ...]
    given: Given
    plan: Plan | None = None
    """The plan that repairs it; None if nothing differs."""

    @property
    def is_none(self) -> bool:
        """Whether people may do exactly what the applied revision declares."""
        return not self.differences and not any(self.given)


def find_drift(
    deployment: Deployment,
    chosen: Collection[Key] | None = None,
    *,
    overrides: Collection[str] = (),
    now: datetime,
    progress: Progress = None,
) -> Drift:
    """Compare the database, or only the chosen resources, with what the applied revision declares.

    The plan that repairs it is judged with the named guards overridden.
    Raises NothingApplied, and RunError if a chosen resource does not differ.
    """
    with reading(deployment) as connection:
        applied = _applied(connection)
        if not drifted(connection) and chosen is None:
            unmanaged = tuple(sorted(read_unmanaged(connection)))
            return Drift(applied, (), unmanaged, _given(connection, unmanaged, now))
        plan, _ = _repair_plan(connection, open_source(deployment), applied, now, chosen, progress)
        differences = tuple(Difference(change, last_entry_for(connection, change.kind, change.name)) for change in plan.changes)
        plan = plan._replace(guards=overridden(plan.guards, overrides))
        return Drift(applied, differences, plan.unmanaged, _given(connection, plan.unmanaged, now), plan if differences else None)


def _given(connection: Connection, unmanaged: Collection[Key], now: datetime) -> Given:
    """Return what unmanaged teams give. Other unmanaged rows give nothing, except through a declared team, which then differs."""
    teams = frozenset(name for kind, name in unmanaged if kind == "Team")
    if not teams:
        return Given()
    actual = read_actual(connection, Scope(whole_teams=teams), now=now)
    return given_by(access_state(actual.declared, actual.runtime), teams, now)


def adopting(deployment: Deployment, drift: Drift, *, now: datetime) -> tuple[str, list[Flaw]]:
    """Return the patch that makes the config repository declare the differences, and what would then be invalid."""
    from reconciler.source.declarable import conflicts
    from reconciler.source.patch import adopting_patch, patched

    source, commit = open_source(deployment)._replace(path=drift.applied.path), drift.applied.revision.commit
    changes = [difference.change for difference in drift.differences]
    patch = adopting_patch(changes, partial(source.repository.content, commit))
    declarations, _ = read_declarations(source, commit, now)
    return patch, conflicts(patched(state_of(declarations).declared, changes), now)


def _applied(connection: Connection) -> AppliedRevision:
    applied = read_applied(connection)
    if applied is None:
        raise NothingApplied("no revision has been applied to this database; apply one with `accord apply`")
    return applied


def _repair_plan(
    connection: Connection,
    source: Source,
    applied: AppliedRevision,
    now: datetime,
    chosen: Collection[Key] | None = None,
    progress: Progress = None,
) -> tuple[Plan, bool]:
    """Return the plan that repairs the chosen resources (None means all), and whether nothing else differs."""
    refuse_absent(source, applied)
    source = source._replace(path=applied.path)
    declarations, _ = read_declarations(source, applied.revision.commit, now, progress)
    actual, desired = read_actual(connection, now=now), state_of(declarations)
    # Git owns what the revision declares, even if somebody marked the row as unmanaged; otherwise it would be left alone
    actual = actual._replace(unmanaged=actual.unmanaged - desired.origins.keys())
    alike = read_alike(applied, source)  # otherwise what differs may come of another version's rules
    renames = find_renames(actual, desired.declared, repair=alike)
    differing = {(change.kind, change.name): change for change in find_changes(actual, desired, renames)}
    if chosen is not None:
        desired = _only(actual, desired, chosen, differing)
    found = conflicts(actual, desired)
    if found:
        raise InvalidConfiguration(found)
    clocks, partial = read_clocks(connection), chosen is not None and not differing.keys() <= set(chosen)
    plan = make_plan(
        actual, desired, revision=applied.revision, now=now, path=applied.path, clocks=clocks, repair=alike, partial=partial
    )
    return plan, not partial


def _only(actual: Actual, desired: Desired, chosen: Collection[Key], differing: Mapping[Key, Change]) -> Desired:
    """Return a desired state that repairs only the chosen resources. Raises RunError if one does not differ or needs another."""
    for kind, name in chosen:
        if (kind, name) not in differing:
            raise RunError(
                f"{kind} `{name}` does not differ from the applied revision; `accord drift` lists the resources that do"
            )
    kinds: dict[Kind, dict[str, Resource]] = {}
    for key in chosen:
        change = differing[key]
        resources = kinds.setdefault(change.kind, dict(actual.declared.of_kind(change.kind)))
        resources.pop(change.previous_name or change.name, None)
        if change.after is not None:
            resources[change.name] = change.after
    declared = with_resources(actual.declared, kinds)
    _refuse_torn(declared, chosen)
    return Desired(declared, {key: origin for key, origin in desired.origins.items() if key in chosen})


def _refuse_torn(declared: DeclaredState, chosen: Collection[Key]) -> None:
    """Raise RunError if a team would refer to a missing resource, naming what must be repaired with it."""
    for team in declared.teams.values():
        referred: list[Key] = [(kind, name) for kind, _, names in references(team) for name in names if kind != "Team"]
        torn = [(kind, name) for kind, name in referred if name not in declared.of_kind(kind)]
        names = ", ".join(f"{kind}/{name}" for kind, name in torn)
        if torn and ("Team", team.name) in chosen:
            raise RunError(f"Team/{team.name} cannot be repaired without {names}; name them as well")
        if any(key in chosen for key in torn):
            raise RunError(f"{names} cannot be repaired without Team/{team.name}; name it as well")


def _reach(plan: Plan) -> tuple[object, ...]:
    """Return what a repair does and whom it affects."""
    return plan.changes, plan.access, plan.administrators, plan.effects


def repair(
    deployment: Deployment,
    shown: Plan,
    *,
    overrides: Sequence[Override] = (),
    applied_by: str,
    clock: Callable[[], datetime],
    progress: Progress = None,
) -> Outcome:
    """Repair exactly what was shown, in one transaction. Guards apply as to any plan.

    Raises Unsafe if a guard refuses, and Stale if the resources now differ in another way.
    """
    chosen = frozenset((change.kind, change.name) for change in shown.changes)
    source = open_source(deployment)
    with open_database(deployment.database_url) as database:
        check(database)
        with database.writing() as connection:
            applied, known = _applied(connection), drifted(connection)
            plan, whole = _repair_plan(connection, source, applied, clock(), chosen, progress)
            if _reach(plan) != _reach(shown):
                raise Stale("the database has changed since this was shown; review it again")
            plan = permitted(plan, overrides)
            revision_id = apply_plan(
                connection,
                plan,
                repository=applied.repository,
                branch=applied.branch,
                applied_by=applied_by,
                overrides=overrides,
                now=clock(),
                whole=whole,
                known=known,
                action="repair",
            )
            return Outcome(plan, revision_id)
