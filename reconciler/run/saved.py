"""Saved plans: what somebody saw, compared with what the plan's revision gives now, and never executed."""

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
    """Raise Stale if the database has changed since a plan was saved; without a connection it has no tables yet."""
    applied, generation = (None, 0) if connection is None else (read_applied(connection), read_generation(connection))
    before = saved.get("applied")
    if (before.get("commit") if isinstance(before, dict) else before) != (applied and applied.revision.commit):
        raise Stale("stale: another revision has been applied since this plan was made; plan again")
    if saved.get("generation") != generation:
        raise Stale("stale: the database has changed since this plan was made; plan again")


def saved_revision(
    source: Source, saved: Mapping[str, Any], asked: Revision, *, rev: str | None, branch: str, adopt: bool, welcome: bool
) -> Revision:
    """Return the revision that a saved plan is for.

    The file must not do more than this run was asked to do. Raises Stale if its revision is not on the requested branch (or not
    the revision requested by name), if it reads another folder, or if it takes over unmanaged rows, or sends welcome mails,
    although this run does not.
    """
    if saved.get("merge") or saved.get("workingTree"):
        what = "files in a folder, committed or not" if saved.get("workingTree") else "a branch merged with the applied revision"
        raise Stale(f"this plan is of {what}, which cannot be applied; commit and merge, then plan again")
    revision = source.repository.resolve(saved["revision"]["commit"])
    same = revision.commit == asked.commit
    if not same and (rev is not None or not source.repository.is_ancestor(revision.commit, asked.commit)):
        what = f"revision `{rev}`" if rev is not None else f"on branch `{branch}`"
        raise Stale(f"this plan is for {revision.commit[:12]}, which is not {what}; if this is intended, name it with --rev")
    if saved.get("path") != source.path:
        raise Stale(f"this plan is for the folder `{saved.get('path')}`, not `{source.path}`; if this is intended, give --path")
    if saved.get("adopt") is not adopt:
        raise Stale("only one of this plan and this run takes over unmanaged rows; give --adopt to both or neither")
    if saved.get("welcome") is not welcome:
        raise Stale("only one of this plan and this run sends no welcome mails; give --no-welcome to both or neither")
    return revision


def refuse_other_plan(saved: Mapping[str, Any], plan: Plan) -> None:
    """Raise Stale unless a saved plan is exactly what its revision now gives on this database.

    The saved file never decides what is done: only the plan computed here is applied.
    """
    document = plan_document(plan)
    saved = {**saved, "checkout": None}  # beside the plan, not part of it
    if document["endedOverrides"] != saved.get("endedOverrides", []):
        raise Stale("this plan and this run do not end the same overrides; give --end-override to both or neither, or plan again")
    if document != saved:
        parts = [key for key in document if document[key] != saved.get(key)] or ["unknown keys"]
        raise Stale(
            f"this file is not the plan that its revision gives now (they differ in: {', '.join(parts)}): "
            "the file was edited, or somebody's access has ended since; plan again"
        )
