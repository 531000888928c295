"""A problem in a config repository: a value, not an exception, so that all problems are reported at once."""

from __future__ import annotations

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
