"""Errors that stop a run. `cli/` turns each into one message and one exit code."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.access.problems import Problem
from reconciler.plan.plan import Plan
from reconciler.plan.render.problems import tally


class RunError(Exception):
    """A run cannot continue; the message says why and what to do."""


class Misconfigured(RunError):
    """A deployment setting is invalid."""


class InvalidConfiguration(RunError):
    """The revision's resources have errors."""

    def __init__(self, problems: Sequence[Problem], message: str | None = None) -> None:
        super().__init__(message or f"the config repository has errors: {tally(problems)}")
        self.problems = list(problems)


class Unsafe(RunError):
    """Guards refuse the plan."""

    def __init__(self, plan: Plan) -> None:
        names = ", ".join(guard.id for guard in plan.refusals)
        super().__init__(f"refused by {names}; nothing was changed")
        self.plan = plan


class Rewind(RunError):
    """The revision does not descend from the applied one."""


class Stale(RunError):
    """A saved plan no longer matches the database or its revision."""
