"""accord apply: plan again under the writer's lock, and apply that very plan in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.plan.guards import GUARDS, overridden
from reconciler.plan.plan import Plan
from reconciler.plan.render.document import plan_digest, plan_document
from reconciler.run.deployment import Deployment
from reconciler.run.errors import Misconfigured, Stale, Unsafe
from reconciler.run.gather import Progress
from reconciler.run.planning import desired_revision, is_new, open_source, plan_against, plan_first
from reconciler.store.apply import apply_plan
from reconciler.store.digests import drifted
from reconciler.store.engine import open_database
from reconciler.store.read import AppliedRevision, read_applied, read_generation
from reconciler.store.schema import create

if TYPE_CHECKING:
    from reconciler.access.resources import Revision
    from reconciler.run.gather import Source
    from reconciler.store.engine import Connection

Override = tuple[str, str]
"""A guard's id and the reason why it is overridden."""


class Order(NamedTuple):
    """What to apply: a revision (None: the branch's head) and under which conditions.

    `expected` is a digest, `saved` a saved plan's document.
    """

    rev: str | None
    adopt: bool = False
    allow_rewind: bool = False
    overrides: Sequence[Override] = ()
    expected: str | None = None
    saved: Mapping[str, Any] | None = None


class Outcome(NamedTuple):
    """The plan that was applied, and the id of its entry in the history; None where there was nothing to do."""

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
    """Plan and apply in one transaction, under the lock that keeps reconcilers apart.

    Raises Unsafe where a guard refuses, Stale where the plan is not the one that was expected; nothing is changed then.
    """
    for guard, _ in order.overrides:
        if guard not in GUARDS:
            raise Misconfigured(f"there is no guard `{guard}`; there are {', '.join(GUARDS)}")
    source = open_source(deployment)
    with open_database(deployment.database_url) as database:
        # where there are no tables, the plan comes before them: one that is refused leaves nothing behind
        first = _planned(None, source, deployment, order, clock(), reading_progress) if is_new(database) else None
        with database.writing() as connection:
            if first is not None and create(connection):
                known, plan = [], first
            else:
                known = drifted(connection)
                plan = _planned(connection, source, deployment, order, clock(), reading_progress, in_accord=not known)
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
            )
            return Outcome(plan, revision_id)


def _named_anywhere(repository: str) -> str:
    """A repository by a name that holds outside the current folder, too."""
    folder = Path(repository)
    return str(folder.resolve()) if folder.exists() else repository


def _planned(
    connection: Connection | None,
    source: Source,
    deployment: Deployment,
    order: Order,
    now: datetime,
    progress: Progress,
    *,
    in_accord: bool = False,
) -> Plan:
    """The plan that is to be applied; without a connection, to a database that has no tables yet."""
    revision = desired_revision(deployment, source, order.rev)
    if order.saved is not None:
        ground = (None, 0) if connection is None else (read_applied(connection), read_generation(connection))
        refuse_moved_ground(order.saved, *ground)
        revision = _saved_revision(source, order, deployment, revision)
    if connection is None:
        plan = plan_first(source, revision, now=now, adopt=order.adopt, progress=progress)
    else:
        plan = plan_against(
            connection,
            source,
            revision,
            now=now,
            in_accord=in_accord,
            adopt=order.adopt,
            allow_rewind=order.allow_rewind,
            progress=progress,
        )
    if order.saved is not None:
        refuse_other_plan(plan, order.saved)
    if order.expected is not None and plan_digest(plan) != order.expected:
        raise Stale(f"the plan is {plan_digest(plan)} now, not {order.expected}; look at it again")
    return permitted(plan, order.overrides)


def permitted(plan: Plan, overrides: Sequence[Override]) -> Plan:
    """The plan with the named guards overridden. Raises Unsafe where another one refuses."""
    plan = plan._replace(guards=overridden(plan.guards, [guard for guard, _ in overrides]))
    if plan.refusals:
        raise Unsafe(plan)
    return plan


def _saved_revision(source: Source, order: Order, deployment: Deployment, asked: Revision) -> Revision:
    """The revision that a saved plan is for.

    The file may not widen what this run is for: it raises Stale where that is not of the configured branch (nor the one that is
    asked for by name), reads another folder, or takes over unmanaged rows unasked.
    """
    saved = order.saved or {}
    revision = source.repository.resolve(saved["revision"]["commit"])
    same = revision.commit == asked.commit
    if not same and (order.rev is not None or not source.repository.is_ancestor(revision.commit, asked.commit)):
        what = f"revision `{order.rev}`" if order.rev is not None else f"on branch `{deployment.branch}`"
        raise Stale(f"this plan is for {revision.commit[:12]}, which is not {what}; if it is meant, name it with --rev")
    if saved.get("path") != deployment.path:
        raise Stale(
            f"this plan is for the folder `{saved.get('path')}`, and not `{deployment.path}`; if it is meant, give --path"
        )
    if saved.get("adopt") is not order.adopt:
        raise Stale("this plan and this run differ in whether foreign rows are taken over; --adopt must be given for both")
    return revision


def refuse_moved_ground(saved: Mapping[str, Any], applied: AppliedRevision | None, generation: int) -> None:
    """Raise Stale where the database is not what it was when a saved plan was made."""
    before = saved.get("applied")
    if (before.get("commit") if isinstance(before, dict) else before) != (applied and applied.revision.commit):
        raise Stale("stale: another revision was applied since this plan was made; plan again")
    if saved.get("generation") != generation:
        raise Stale("stale: the database has changed since this plan was made; plan again")


def refuse_other_plan(plan: Plan, saved: Mapping[str, Any]) -> None:
    """Raise Stale unless a saved plan says exactly what its revision gives on this database now.

    The saved file is never trusted with what is done: only the plan worked out here is applied.
    """
    document = plan_document(plan)
    if document != saved:
        parts = [key for key in document if document[key] != saved.get(key)] or ["keys that no plan has"]
        raise Stale(
            f"this file is not the plan that its revision gives now (it differs in: {', '.join(parts)}): "
            "it was edited, or time has ended somebody's access since; plan again"
        )
