"""accord apply: plans again under the writer's lock, and applies that plan in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from reconciler.plan.guards import GUARDS, overridden
from reconciler.plan.objections import Override
from reconciler.plan.plan import Plan
from reconciler.plan.render.document import plan_digest
from reconciler.run.deployment import Deployment
from reconciler.run.errors import Misconfigured, Stale, Unsafe
from reconciler.run.inputs import Progress, Source, desired_revision, is_new, open_source
from reconciler.run.planning import plan_against
from reconciler.run.saved import refuse_moved_ground, refuse_other_plan, saved_revision
from reconciler.store.apply import apply_plan
from reconciler.store.digests import Bucket, drifted
from reconciler.store.engine import Connection, open_database
from reconciler.store.schema import create


class Order(NamedTuple):
    """What to apply: a revision (None means the branch's head), and the conditions.

    `expected` is a plan's digest, `saved` a saved plan's document. The remembered overrides of the guards in `ending` end, and
    `why_ended` says why.
    """

    rev: str | None
    adopt: bool = False
    allow_rewind: bool = False
    overrides: Sequence[Override] = ()
    expected: str | None = None
    saved: Mapping[str, Any] | None = None
    welcome: bool = True
    ending: Sequence[str] = ()
    why_ended: str = ""


class Outcome(NamedTuple):
    """The plan that was applied, and the id of its history entry, or None if there was nothing to do."""

    plan: Plan
    revision_id: int | None


def apply_revision(
    deployment: Deployment,
    order: Order,
    *,
    applied_by: str,
    clock: Callable[[], datetime],
    progress: Progress = None,
    reading_progress: Progress = None,
) -> Outcome:
    """Plan and apply in one transaction, under the writer's lock.

    Raises Unsafe if a guard refuses, and Stale if the plan is not the expected one; nothing is changed then.
    """
    for override in order.overrides:
        if override.guard not in GUARDS:
            raise Misconfigured(f"there is no guard `{override.guard}`; the guards are {', '.join(GUARDS)}")
    source = open_source(deployment)
    with open_database(deployment.database_url) as database:
        # plan before creating tables, so that a refused plan leaves nothing behind
        first = _planned(deployment, source, order, None, [], clock(), reading_progress) if is_new(database) else None
        with database.writing() as connection:
            if first is not None and create(connection):
                known, plan = [], first
            else:
                known = drifted(connection)
                plan = _planned(deployment, source, order, connection, known, clock(), reading_progress)
            revision_id = apply_plan(
                connection,
                plan,
                repository=_named_anywhere(source.repository.origin()),
                branch=deployment.branch,
                applied_by=applied_by,
                overrides=order.overrides,
                now=clock(),
                progress=progress,
                known=known,
                why_ended=order.why_ended,
            )
            return Outcome(plan, revision_id)


def _planned(
    deployment: Deployment,
    source: Source,
    order: Order,
    connection: Connection | None,
    known: Collection[Bucket],
    now: datetime,
    progress: Progress,
) -> Plan:
    """Return the plan to apply; without a connection, for a database without tables. Write nothing."""
    revision = desired_revision(deployment, source, order.rev)
    if order.saved is not None:
        refuse_moved_ground(order.saved, connection)
        revision = saved_revision(
            source, order.saved, revision, rev=order.rev, branch=deployment.branch, adopt=order.adopt, welcome=order.welcome
        )
    plan = plan_against(
        connection,
        source,
        revision,
        now=now,
        in_accord=not known,
        branch=deployment.branch,
        adopt=order.adopt,
        allow_rewind=order.allow_rewind,
        welcome=order.welcome,
        ending=order.ending,
        progress=progress,
    )
    if order.saved is not None:
        refuse_other_plan(order.saved, plan)
    if order.expected is not None and plan_digest(plan) != order.expected:
        raise Stale(f"the plan is now {plan_digest(plan)}, not {order.expected}; review it again")
    return permitted(plan, order.overrides)


def permitted(plan: Plan, overrides: Sequence[Override]) -> Plan:
    """Override the named guards of a plan. Raises Unsafe if another guard refuses."""
    plan = plan._replace(guards=overridden(plan.guards, [override.guard for override in overrides]))
    if plan.refusals:
        raise Unsafe(plan)
    return plan


def _named_anywhere(repository: str) -> str:
    """Return a repository's name that is valid outside the current folder as well."""
    folder = Path(repository)
    return str(folder.resolve()) if folder.exists() else repository
