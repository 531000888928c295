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
    """Return the text with parts replaced; they must not overlap, but one may be given twice.

    What is inserted at one place stays in the order in which it is given. Raises ValueError if parts overlap.
    """
    pieces, done = [], 0
    for start, end, new in sorted(dict.fromkeys(splices), key=lambda splice: splice[:2]):
        if start < done:
            raise ValueError("parts to be replaced overlap")
        pieces += [text[done:start], new]
        done = end
    return "".join([*pieces, text[done:]])
