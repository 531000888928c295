"""Whether this machine's clock can be believed, before anything is done by it that cannot be undone; and what was written while a
clock was ahead."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from api.state.reader import Reader
from reconciler.store.tables import read_instant

JUMP = timedelta(days=1)
"""How far the clock may jump while a process runs. It is set right now and then, but not by days."""
APART = timedelta(hours=1)
"""How far it may be from the clock of the database server."""
AHEAD = timedelta(minutes=5)
"""How far the clock of another machine that writes to the database may be ahead of this one."""
LONGEST_PAUSE = timedelta(days=30)
"""For how long no API may have run, by default, before a person must say that this much time has passed."""


def is_from_the_future(instant: datetime, now: datetime) -> bool:
    """Whether something was written by a clock that was ahead and has been set right since: its instant says nothing."""
    return instant > now + AHEAD


class Signs(NamedTuple):
    """What the time should be about, by other signs than this clock; None: it does not say."""

    elapsed: datetime
    """The time when the process started, and as much as has passed since then."""
    served: datetime | None
    """When an API that believed its clock last looked for reminders, which each does every minute."""
    server: datetime | None
    """The time by the database server's clock, which is perhaps this very clock."""


def doubt(now: datetime, signs: Signs, longest_pause: timedelta) -> str | None:
    """Why a clock that says `now` is not believed; None if it is."""
    if abs(now - signs.elapsed) > JUMP:
        return f"{_apart(now, signs.elapsed)} what it was when this process started; if it is right now, restart"
    if signs.server is not None and abs(now - signs.server) > APART:
        return f"{_apart(now, signs.server)} the database server's"
    if signs.served is not None and now - signs.served > longest_pause:
        days = (now - signs.served).days + 1
        return f"{_apart(now, signs.served)} when an API last ran; if it is right, start once with ACCORD_LONGEST_PAUSE={days}d"
    return None


def _apart(one: datetime, other: datetime) -> str:
    apart = abs(one - other)
    length = f"{apart.days} days" if apart.days > 1 else f"{apart.total_seconds() / 3600:.1f} hours"
    return f"this machine's clock is {length} {'ahead of' if one > other else 'behind'}"


def now_utc() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Clock:
    """The clock of a process, from its start on."""

    def __init__(self, reader: Reader, longest_pause: timedelta, *, wall: Callable[[], datetime] = now_utc) -> None:
        self._reader = reader
        self._longest_pause = longest_pause
        self._started, self._since = wall(), _running()

    def doubt(self, now: datetime) -> str | None:
        """Why `now`, which this clock says, is not believed; None if it is. Raises StoreError."""
        elapsed = self._started + timedelta(seconds=_running() - self._since)
        return doubt(now, Signs(elapsed, *self._in_database()), self._longest_pause)

    def _in_database(self) -> tuple[datetime | None, datetime | None]:
        row = self._reader.row("SELECT reminded_until FROM state")
        served = None if row is None or row[0] is None else read_instant(row[0])
        if self._reader.database.is_sqlite:
            return served, None  # it has no clock but this one
        ((server,),) = self._reader.rows("SELECT clock_timestamp()")
        return served, server


def _running() -> float:
    """Seconds that no clock setting changes, and that go on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
