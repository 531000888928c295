"""Objections of guards as values: what each is about, how far it goes, whether it stood before; overrides that are remembered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from reconciler.access.resources import Kind

Subject = tuple[str, str]
"""What an objection is about: a kind, and a name."""
FOREVER = 2**62
"""The weight of what never ends."""


class Objection(NamedTuple):
    """One objection to a state. Of two about the same subjects, the one with more weight goes further."""

    subjects: tuple[Subject, ...]
    message: str
    """Says it of a state that a plan would bring."""
    fact: str
    """Says it of a state that stands."""
    weight: int = 0


class Override(NamedTuple):
    """That somebody overrides a guard, and why: for one plan, or until an instant for what the guard refuses in it."""

    guard: str
    reason: str
    until: datetime | None = None


class Remembered(NamedTuple):
    """An override that holds until an instant, for one objection as far as it went: who gave it, and why."""

    guard: str
    subjects: tuple[Subject, ...]
    weight: int
    until: datetime
    by: str
    reason: str


class Standing(NamedTuple):
    """An objection that does not refuse a plan: it stood before, or somebody overrode it. The override, if one is remembered."""

    objection: Objection
    override: Remembered | None = None
    holds: bool = False
    """Whether the override covers the objection: it has not ended, and went as far."""
    why: str = "stands already"
    """Why the plan is not refused for it, if no override covers it."""


def weight_of(until: datetime | None) -> int:
    """Return the weight of what ends at an instant: the later, the more."""
    return FOREVER if until is None else int(until.timestamp())


def worse(objections: Iterable[Objection], before: Iterable[Objection]) -> list[Objection]:
    """Return the objections that did not stand before, or go further than before."""
    stood = {objection.subjects: objection.weight for objection in before}
    return [each for each in objections if each.subjects not in stood or each.weight > stood[each.subjects]]


def override_renamed(remembered: Remembered, renames: Mapping[Kind, Mapping[str, str]]) -> Remembered:
    """Let an override follow the renames of what it is about."""
    new: dict[str, Mapping[str, str]] = dict(renames.items())
    subjects = sorted((kind, new.get(kind, {}).get(name, name)) for kind, name in remembered.subjects)
    return remembered._replace(subjects=tuple(subjects))


def looked_up(objection: Objection, guard: str, overrides: Sequence[Remembered], now: datetime) -> Standing:
    """Return an objection with the override that is about it, if there is one. One that is about nobody covers nobody."""
    about = (guard, objection.subjects)
    override = next((each for each in overrides if each.subjects and (each.guard, each.subjects) == about), None)
    return Standing(objection, override, override is not None and override.until > now and objection.weight <= override.weight)
