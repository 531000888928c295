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


class InvalidBase(RunError):
    """The revision to compare with has errors, but the one to plan has none. Its problems name the files as Git does."""

    def __init__(self, commit: str, problems: Sequence[Problem]) -> None:
        self.base = commit[:12]
        super().__init__(f"the base {self.base} is invalid, so there is nothing to compare with; this revision has no errors")
        errors = [problem for problem in problems if problem.severity == "error"]
        self.problems = [problem._replace(file=f"{self.base}:{problem.file}") for problem in errors]


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
