"""Which items of a list stay, and where new ones come, when it becomes another list."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from reconciler.access.resources import LINK_KEYS, linked_name


class Pairing(NamedTuple):
    """`kept`: the index of each item that stays → what it becomes; `inserted`: the index of an item that stays (-1: the
    beginning) → the new items after it."""

    kept: dict[int, Any]
    inserted: dict[int, list[Any]]


def paired(old: Sequence[Any], new: Sequence[Any]) -> Pairing:
    """Pair the items that are about the same thing; of those, as many stay as can without changing places."""
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    for index, item in enumerate(old):
        waiting[_about(item)].append(index)
    found = [(waiting[about].popleft() if waiting[about] else -1) for about in map(_about, new)]
    stays = _longest_rising(found)
    pairing, last = Pairing({}, {}), -1
    for number, (index, item) in enumerate(zip(found, new, strict=True)):
        if number in stays:
            last = index
            pairing.kept[index] = item
        else:
            pairing.inserted.setdefault(last, []).append(item)
    return pairing


def _about(item: Any) -> str:
    """Return what an item is about: its name, or else all that it says."""
    if isinstance(item, Mapping) and not LINK_KEYS.isdisjoint(item):
        return linked_name(item)
    return item if isinstance(item, str) else f"\0{json.dumps(item)}"


def _longest_rising(numbers: Sequence[int]) -> set[int]:
    """Return the places of a longest strictly rising subsequence of the numbers from 0."""
    ends: list[int] = []
    places: list[int] = []
    before: dict[int, int] = {}
    for place, number in enumerate(numbers):
        if number < 0:
            continue
        at = bisect_left(ends, number)
        before[place] = places[at - 1] if at else -1
        ends[at : at + 1] = [number]
        places[at : at + 1] = [place]
    found, place = set(), places[-1] if places else -1
    while place >= 0:
        found.add(place)
        place = before[place]
    return found


def keys_placed(old: Sequence[str], new: Mapping[str, Any], order: Callable[[str], Any]) -> dict[int, list[str]]:
    """Return the new keys of a mapping, by the index of the key that stays (-1: the beginning) after which they come.

    They go in order where the keys are in order, otherwise to the end.
    """
    kept = [(index, name) for index, name in enumerate(old) if name in new]
    ordered = all(order(before) <= order(after) for before, after in pairwise(old))
    found: dict[int, list[str]] = {}
    for name in new:
        if name not in old:
            before = [index for index, each in kept if not ordered or order(each) <= order(name)]
            found.setdefault(before[-1] if before else -1, []).append(name)
    return {index: sorted(names, key=order) for index, names in found.items()}
