"""Refuses what files declare beyond their delegation, with file, line and column."""

from __future__ import annotations

from reconciler.access.problems import Problem
from reconciler.plan.actual import Actual
from reconciler.plan.changes import Desired
from reconciler.plan.delegated import Undelegated, undelegated
from reconciler.plan.plan import Plan
from reconciler.run.errors import InvalidConfiguration
from reconciler.run.inputs import Source

_IN_FORCE = "the settings in force decide as well; apply the settings that permit it first"
_BY_HAND = (
    "the settings in force decide as well, and they were changed by hand in the database; undo that first: accord drift --repair"
)


def refuse_undelegated(
    plan: Plan, actual: Actual, desired: Desired, source: Source, commit: str, *, by_hand: bool = False
) -> None:
    """Raise InvalidConfiguration if a plan changes what the delegation does not permit. Places are in `commit`.

    At the first apply, no delegation is in force. `by_hand` says that somebody else wrote the settings in force.
    """
    in_force = None if actual.applied is None else actual.declared.settings
    hint = _BY_HAND if by_hand else _IN_FORCE
    found = [_problem(each, source, commit, hint) for each in undelegated(plan, in_force, desired.declared, actual.files)]
    if found:
        raise InvalidConfiguration(sorted(found))


def _problem(found: Undelegated, source: Source, commit: str, hint: str) -> Problem:
    from reconciler.source.positions import locate

    (file, line, _), (path, message) = found.origin, found.overstep
    content = source.repository.content(commit, file)
    at, column = (max(line, 1), 1) if content is None else locate(content, line, path)
    return Problem(file, at, column, "not-delegated", "error", f"{message} ({hint})" if found.in_force else message)
