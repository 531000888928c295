"""Who may log in now, if more want to than can: places are few, since each holds a thread, and turns to hash are fewer.

Callers from networks that somebody logged in from before have a share that strangers cannot take, get their turns first, and
take the place of a stranger who only waits. Among equals, a network that has a place already never takes the last. So many
connections, or many addresses of one network, keep nobody else out.
"""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager
from typing import NamedTuple

from reconciler.access.permitted_ips import Address

_SITE = {4: 32 - 24, 6: 128 - 48}
"""The bits of an address that do not tell one network from another: a provider gives one customer that much (RFC 6177)."""


class Guest(NamedTuple):
    """Who wants a place. `known`: somebody logged in from there before."""

    network: str
    known: bool


INSIDER = Guest("", True)
"""A caller with a credential, or Accord itself."""


class Room:
    """Places that nobody waits for. Every request with a body takes one, so that must cost nearly nothing."""

    def __init__(self, places: int) -> None:
        self._free: deque[_Place] = deque()  # whose `pop` and `append` need no lock
        self._free.extend(_Place(self._free) for _ in range(places))

    def place(self) -> AbstractContextManager[object] | None:
        """A place, free again at the end of the context; None if all are taken."""
        try:
            return self._free.pop()
        except IndexError:
            return None


class _Place(AbstractContextManager["_Place"]):
    def __init__(self, free: deque[_Place]) -> None:
        self._free = free

    def __exit__(self, *_: object) -> None:
        self._free.append(self)


class Visit:
    """A place that is taken, and what its guest does with it."""

    def __init__(self, guest: Guest, number: int) -> None:
        self.guest = guest
        self.number = number
        self.waits = False
        self.hashes = False
        self.is_displaced = False


class Places:
    """The places and turns of one process. Pure: it knows no threads and no clock."""

    def __init__(self, number: int, turns: int) -> None:
        self.number = number
        self._for_strangers = number - number // 2
        self._turns = turns
        self._visits: list[Visit] = []
        self._arrived = 0
        self._turning: list[Visit] = []
        """Who waits for a turn, or has one."""

    def enter(self, guest: Guest, *, alone: bool = False) -> Visit | None:
        """A place for a guest; None if there is none. It may displace a stranger who waits for a turn.

        `alone`: only if its network has none.
        """
        if alone and self._holds(guest):
            return None
        free = self.free
        if not guest.known:
            free = min(free, self._for_strangers - sum(not each.guest.known for each in self._visits))
        elif free <= 0 and not (self.number > 1 and guest.network and self._holds(guest)):
            free += self._displace()
        if free <= 0 or (free == 1 and self.number > 1 and guest.network and self._holds(guest)):
            return None
        visit = self.attend(guest)
        self._visits.append(visit)
        return visit

    @property
    def free(self) -> int:
        """How many places nobody has."""
        return self.number - len(self._visits)

    def attend(self, guest: Guest) -> Visit:
        """A visit that takes no place."""
        self._arrived += 1
        return Visit(guest, self._arrived)

    def leave(self, visit: Visit) -> None:
        """Give a place back."""
        if visit in self._visits:
            self._visits.remove(visit)

    def ask(self, visit: Visit) -> None:
        """Wait for a turn to hash."""
        visit.waits = True
        self._turning.append(visit)

    def begin(self, visit: Visit) -> bool:
        """Take a turn to hash, if it is this visit's."""
        hashing = [each.guest for each in self._turning if each.hashes]
        strangers = sum(not guest.known for guest in hashing)
        if len(hashing) >= self._turns or (not visit.guest.known and strangers >= max(1, self._turns - 1)):
            return False  # one turn, of several, is never a stranger's
        waiting = (each for each in self._turning if each.waits and not each.is_displaced)
        if visit is not min(waiting, key=lambda each: (not each.guest.known, each.number), default=None):
            return False
        visit.waits, visit.hashes = False, True
        return True

    def end(self, visit: Visit) -> None:
        """Give a turn back, or wait no longer."""
        visit.waits = visit.hashes = False
        self._turning.remove(visit)

    def _holds(self, guest: Guest) -> bool:
        return any(each.guest.network == guest.network for each in self._visits)

    def _displace(self) -> int:
        """Make the stranger who came last, of those who wait, give up its place. Returns how many became free."""
        waiting = [each for each in self._visits if each.waits and not each.guest.known]
        if not waiting:
            return 0
        last = max(waiting, key=lambda each: each.number)
        last.is_displaced = True
        self._visits.remove(last)
        return 1


def site_of(address: Address | None) -> str:
    """The network that shares its places; all unknown addresses are one."""
    if address is None:
        return "unknown"
    return f"{address.version}:{address.value >> _SITE.get(address.version, 0):x}"
