"""Replaces parts of a text and keeps the rest of it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
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
    for start, end, new in _in_order(splices):
        pieces += [text[done:start], new]
        done = end
    return "".join([*pieces, text[done:]])


def refuse_overlaps(splices: Iterable[Splice]) -> None:
    """Raise ValueError if parts to be replaced overlap."""
    _in_order(splices)


def _in_order(splices: Iterable[Splice]) -> list[Splice]:
    found = sorted(dict.fromkeys(splices), key=lambda splice: splice[:2])
    if any(before.end > after.start for before, after in pairwise(found)):
        raise ValueError("parts to be replaced overlap")
    return found
