"""How long to wait after failures, and when to give up. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from api.mail.errors import Fault


class Pace(NamedTuple):
    """Delays double from a first one to a longest one; those of a refusal for good are longer, and few."""

    first: timedelta = timedelta(minutes=1)
    longest: timedelta = timedelta(hours=1)
    refused_first: timedelta = timedelta(minutes=15)
    refused_tries: int = 6
    """A mail server that is configured wrongly refuses for good what it will accept in the afternoon."""
    away_first: timedelta = timedelta(seconds=5)
    away_longest: timedelta = timedelta(minutes=5)
    """Of the sender as a whole, while the server is away."""
    patience: int = 10
    """So many messages that the server refuses one after the other, and the sender takes a pause after each that follows."""
    refused_pause: timedelta = timedelta(seconds=1)
    """A short one: it may be the messages, of whose addresses anybody may have made up many, and others wait behind them."""


def delay(pace: Pace, tries: int, fault: Fault) -> timedelta:
    """The time from a message's failed try, counted from 1, to its next."""
    if fault == "permanent":
        return _doubled(pace.refused_first, tries, timedelta(days=1))
    return _doubled(pace.first, tries, pace.longest)


def is_over(pace: Pace, tries: int, fault: Fault, give_up: timedelta) -> bool:
    """Whether a message is given up after so many tries: the next would be later than `give_up` after the first."""
    if fault == "permanent" and tries >= pace.refused_tries:
        return True
    waited = timedelta()
    for number in range(1, tries + 1):
        waited += delay(pace, number, fault)
        if waited > give_up:
            return True
    return False


def pause(pace: Pace, failures: int) -> timedelta:
    """How long the sender leaves the server alone after so many failures in a row."""
    return _doubled(pace.away_first, failures, pace.away_longest)


def spread(wait: timedelta, chance: float) -> timedelta:
    """A delay up to a quarter longer, by a chance from 0 to 1, so that what failed together does not come together again."""
    return wait * (1 + chance / 4)


def _doubled(first: timedelta, number: int, longest: timedelta) -> timedelta:
    doubled: timedelta = first * 2 ** min(number - 1, 24)
    return min(doubled, longest)
