"""What imports of other tools' configurations share: safe names, and places in the files that they read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import NamedTuple

from reconciler.access.problems import Problem, Severity

_LONGEST_NAME = 64
Path = tuple[str | int, ...]
"""The keys and positions that lead to a place in a document."""


class Place(NamedTuple):
    """A place in a file, looked up only when there is a problem to report."""

    file: str
    locate: Callable[[Path], tuple[int, int]]
    path: Path
    rule: str
    """What its problems are called."""

    def problem(self, message: str, severity: Severity = "error", suggestion: str | None = None) -> Problem:
        """Return a problem at this place."""
        return Problem(self.file, *self.locate(self.path), self.rule, severity, message, suggestion)


def safe_name(text: str) -> str:
    """Make a resource's name from a text: lower case, hyphens for unsafe characters, a hash at the end of a long one.

    Return an empty text if no safe character is left.
    """
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-")
    name = re.sub(r"^[^a-z0-9]+", "", name)
    if len(name) <= _LONGEST_NAME:
        return name
    return name[: _LONGEST_NAME - 9] + "-" + hashlib.sha256(text.encode()).hexdigest()[:8]
