"""Refuses what files declare beyond their delegation, with file, line and column."""

from __future__ import annotations

from reconciler.access.problems import Problem
from reconciler.plan.actual import Actual
from reconciler.plan.changes import Desired
from reconciler.plan.delegated import Undelegated, undelegated
from reconciler.plan.plan import Plan
from reconciler.run.errors import InvalidConfiguration
from reconciler.run.inputs import Source


def refuse_undelegated(plan: Plan, actual: Actual, desired: Desired, source: Source, commit: str) -> None:
    """Raise InvalidConfiguration if a plan changes what the delegation does not permit. Places are in `commit`.

    At the first apply, no delegation is in force.
    """
    in_force = None if actual.applied is None else actual.declared.settings
    found = [_problem(each, source, commit) for each in undelegated(plan, in_force, desired.declared, actual.files)]
    if found:
        raise InvalidConfiguration(sorted(found))


def _problem(found: Undelegated, source: Source, commit: str) -> Problem:
    from reconciler.source.positions import locate

    (file, line), (path, message) = found.origin, found.overstep
    content = source.repository.content(commit, file)
    at, column = (max(line, 1), 1) if content is None else locate(content, line, path)
    return Problem(file, at, column, "not-delegated", "error", message)
