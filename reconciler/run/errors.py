"""What stops a run. Each becomes one message and one exit code, in `cli/`."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.access.problems import Problem
from reconciler.plan.plan import Plan


class RunError(Exception):
    """A run cannot go on; the message says why and what to do."""


class Misconfigured(RunError):
    """A deployment setting that cannot be understood."""


class InvalidConfiguration(RunError):
    """The revision's resources have errors."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("the config repository has errors")
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
    """A saved plan whose ground has moved, or that is not what its revision gives."""
