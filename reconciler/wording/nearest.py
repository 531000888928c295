"""The valid name nearest to one that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the most similar name, ignoring case, or None if no name is similar."""
    by_folded = {candidate.casefold(): candidate for candidate in names}
    found = get_close_matches(name.casefold()[:200], by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean …?` to end a message with, or nothing."""
    found = nearest(name, names)
    return "" if found is None else f"; did you mean `{found}`?"
