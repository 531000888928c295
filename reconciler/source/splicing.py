"""Replaces parts of a text and keeps the rest of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Splice(NamedTuple):
    """Characters of a text, and what replaces them."""

    start: int
    end: int
    text: str


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """Return the text with parts replaced; they must not overlap, but one may be given twice."""
    pieces, done = [], 0
    for start, end, new in sorted(set(splices)):
        pieces += [text[done:start], new]
        done = end
    return "".join([*pieces, text[done:]])
