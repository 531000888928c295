"""Where the comments of a text are, and which of them an edit concerns."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reconciler.source.yaml_parts import Part, after_line, line_start

_COMMENT = re.compile(r"#[^\r\n]*")


class Orphan(NamedTuple):
    """Where a comment whose subject is gone begins and ends, and whether it is still there."""

    start: int
    end: int
    stays: bool = False


class Comments:
    """The comments of documents, whose parts tell which `#` begins one."""

    def __init__(self, text: str, roots: Iterable[Part]) -> None:
        self._text = text
        self._leaves = sorted(leaf for root in roots for leaf in _leaves(text, root))
        self._ends = [end for _, end in self._leaves]

    def within(self, start: int, end: int) -> list[Orphan]:
        """Return the comments between two places; those on lines of their own that follow each other are one."""
        found: list[Orphan] = []
        for at, stop in self._spans(start, end):
            if not self.is_alone(at):
                found.append(Orphan(at, stop))
                continue
            begin = line_start(self._text, at)
            if found and found[-1].end == begin and self.is_alone(found[-1].start):
                begin = found.pop().start
            found.append(Orphan(begin, min(after_line(self._text, at), end)))
        return found

    def is_alone(self, index: int) -> bool:
        """Tell whether a comment has its line to itself."""
        return not self._text[line_start(self._text, index) : self._text.index("#", index)].strip(" \t")

    def _spans(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        at = start
        for leaf in [*self._leaves[bisect_right(self._ends, start) :], (end, end)]:
            yield from (found.span() for found in _COMMENT.finditer(self._text, at, min(leaf[0], end)))
            at = max(at, leaf[1])
            if at >= end:
                return


def _leaves(text: str, root: Part) -> Iterator[tuple[int, int]]:
    """Yield where the text of each scalar and alias is, in which no comment can be."""
    for part in root.inner():
        if part.kind in ("scalar", "alias") and part.start < part.end:
            yield (min(after_line(text, part.body), part.end) if part.is_block_text else part.start), part.end
