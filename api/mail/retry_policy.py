"""How long to wait after failures, and when to give up. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from api.mail.errors import Fault


class RetryPolicy(NamedTuple):
    """Delays double up to a limit. After a permanent refusal they are longer, and there are few."""

    first: timedelta = timedelta(minutes=1)
    longest: timedelta = timedelta(hours=1)
    refused_first: timedelta = timedelta(minutes=15)
    refused_tries: int = 6
    """A misconfigured mail server permanently refuses messages that it accepts once somebody has mended it."""
    away_first: timedelta = timedelta(seconds=5)
    away_longest: timedelta = timedelta(minutes=5)
    """Delays of the whole sender while the server is away."""
    patience: int = 10
    """After this many refusals in a row, the sender pauses after each further one."""
    refused_pause: timedelta = timedelta(seconds=1)
    """Short, because the messages may be at fault: anybody can make up many addresses, and others wait behind them."""

    def delay(self, tries: int, fault: Fault) -> timedelta:
        """The time from a message's failed try, counted from 1, to its next."""
        if fault == "permanent":
            return _doubled(self.refused_first, tries, timedelta(days=1))
        return _doubled(self.first, tries, self.longest)

    def is_over(self, tries: int, fault: Fault, give_up: timedelta) -> bool:
        """Whether to give up a message after this many tries: the next would come later than `give_up` after the first."""
        if fault == "permanent" and tries >= self.refused_tries:
            return True
        waited = timedelta()
        for number in range(1, tries + 1):
            waited += self.delay(number, fault)
            if waited > give_up:
                return True
        return False

    def pause(self, failures: int) -> timedelta:
        """How long the sender leaves the server alone after this many failures in a row."""
        return _doubled(self.away_first, failures, self.away_longest)


def spread(wait: timedelta, chance: float) -> timedelta:
    """A delay made up to a quarter longer by a chance from 0 to 1, so that messages that failed together come apart."""
    return wait * (1 + chance / 4)


def _doubled(first: timedelta, number: int, longest: timedelta) -> timedelta:
    doubled: timedelta = first * 2 ** min(number - 1, 24)
    return min(doubled, longest)
