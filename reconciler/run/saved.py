"""A saved plan as an order: it says what was seen, and is compared with what its revision gives now, never executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.access.resources import Revision
from reconciler.plan.plan import Plan
from reconciler.plan.render.document import plan_document
from reconciler.run.errors import Stale
from reconciler.run.inputs import Source
from reconciler.store.engine import Connection
from reconciler.store.read import read_applied, read_generation


def refuse_moved_ground(saved: Mapping[str, Any], connection: Connection | None) -> None:
    """Raise Stale if the database is not what it was when a plan was saved; without a connection it has no tables yet."""
    applied, generation = (None, 0) if connection is None else (read_applied(connection), read_generation(connection))
    before = saved.get("applied")
    if (before.get("commit") if isinstance(before, dict) else before) != (applied and applied.revision.commit):
        raise Stale("stale: another revision was applied since this plan was made; plan again")
    if saved.get("generation") != generation:
        raise Stale("stale: the database has changed since this plan was made; plan again")


def saved_revision(
    source: Source, saved: Mapping[str, Any], asked: Revision, *, rev: str | None, branch: str, adopt: bool
) -> Revision:
    """The revision that a saved plan is for.

    The file may not widen what this run is for: it raises Stale if that revision is not on the branch whose head was asked for
    (or not the one asked for by name), if it reads another folder, or if it takes over unmanaged rows unasked.
    """
    revision = source.repository.resolve(saved["revision"]["commit"])
    same = revision.commit == asked.commit
    if not same and (rev is not None or not source.repository.is_ancestor(revision.commit, asked.commit)):
        what = f"revision `{rev}`" if rev is not None else f"on branch `{branch}`"
        raise Stale(f"this plan is for {revision.commit[:12]}, which is not {what}; if it is meant, name it with --rev")
    if saved.get("path") != source.path:
        raise Stale(f"this plan is for the folder `{saved.get('path')}`, and not `{source.path}`; if it is meant, give --path")
    if saved.get("adopt") is not adopt:
        raise Stale("this plan and this run differ in whether foreign rows are taken over; --adopt must be given for both")
    return revision


def refuse_other_plan(saved: Mapping[str, Any], plan: Plan) -> None:
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
