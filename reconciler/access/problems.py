"""A problem in a config repository: a value, not an exception, so that all problems are reported at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]
"""A note is for reviewers to know, and nothing to mend."""


class Problem(NamedTuple):
    """What is wrong, where (line and column start at 1), and what to write instead, if known.

    `rule` is a stable identifier such as `unknown-reference`. Problems sort by place.
    """

    file: str
    line: int
    column: int
    rule: str
    severity: Severity
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message} [{self.rule}]"


_OF_WHAT_IS_MISSING = ("grants-nothing", "unused-issuer")
"""The rules of warnings that are about no value; their messages name the resource."""


class Warnings(NamedTuple):
    """What a change makes worth a warning, and how many warnings about the same files stood before it."""

    new: tuple[Problem, ...] = ()
    stood: int = 0


def told_apart(found: Sequence[Problem], before: Iterable[Problem]) -> Warnings:
    """Tell the warnings that stood before a change, wherever in their file, from new ones; if one becomes two, both are new.

    A warning about a value is always new: somebody may just have written that value.
    """
    had = Counter(map(_said, before))
    has = Counter(map(_said, found))
    new = tuple(each for each in found if each.rule not in _OF_WHAT_IS_MISSING or has[_said(each)] > had[_said(each)])
    return Warnings(new, len(found) - len(new))


def _said(problem: Problem) -> tuple[str, str, str]:
    return problem.file, problem.rule, problem.message
