"""Never locking an account in its directory: Accord stops one attempt short of the threshold.

If a domain locks accounts at all, an attempt is counted before its password is sent, in the database that all replicas share. The
directory's own count is read again if other attempts may have changed it. So logins at the same moment know of each other, and
an attempt whose answer was lost still counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import delete, select, update

from api.state.clock import AHEAD, is_from_the_future
from api.state.reader import Reader
from reconciler.store import tables
from reconciler.store.engine import Connection

_CLOCKS = timedelta(minutes=5)
"""How far the directory's clock may be from ours."""
_ABANDONED = timedelta(minutes=3)
"""An attempt is over after this time, even if its process was killed and never said so."""
_attempts = tables.directory_attempts.c


class Policy(NamedTuple):
    """When a directory locks an account: after `threshold` wrong passwords within `window`; never if the threshold is 0."""

    threshold: int
    window: timedelta
    assumed: bool = False
    """It could not be read."""


STRICTEST = Policy(2, timedelta(days=1), assumed=True)
"""Assumed for an account whose own policy cannot be read."""


class Reserve(Enum):
    """Who tries, as far as the account's last tries before a lock-out are concerned."""

    NOBODY = "nobody has a try of their own: the account never logged in"
    OTHERS = "a try is kept for the networks that the account logged in from, and this is none of them"
    OWN = "this is one of them"


class DirectoryCount(NamedTuple):
    """What the directory says of an account: its policy, the wrong passwords it counted, and when the password was last set."""

    policy: Policy
    wrong: int
    last: datetime | None
    password_set_at: datetime | None = None


class LocalCount(NamedTuple):
    """Earlier attempts through Accord: passwords that were wrong, and passwords whose answer is still to come."""

    wrong: int = 0
    under_way: int = 0
    last: datetime | None = None
    password_set_at: datetime | None = None
    """When the password that the wrong ones were tried for was set, by the directory's own clock."""

    def since(self, password_set_at: datetime | None) -> LocalCount:
        """What still counts now that the password is one set at an instant: a newer password starts anew."""
        before = self.password_set_at
        is_newer = password_set_at is not None and (before is None or password_set_at > before)
        return self._replace(wrong=0, password_set_at=password_set_at) if is_newer else self

    def may_be_missing(self, asked_at: datetime) -> bool:
        """Whether the directory may not have counted one of them yet when it was asked."""
        return self.under_way > 0 or (self.last is not None and self.last > asked_at - _CLOCKS)


class Attempt:
    """A password that is about to be sent, and what becomes of it."""

    def __init__(self, earlier: LocalCount) -> None:
        self.earlier = earlier
        self.wrong_for: timedelta | None = None
        """How long it counts as wrong. An attempt without an answer counts as well."""
        self.right = False


def could_lock(directory: DirectoryCount, local: LocalCount, now: datetime, reserve: Reserve = Reserve.NOBODY) -> bool:
    """Whether one more password could lock the account, or take the try that is kept for somebody else, if it and all those under
    way were wrong; pure.

    Of a threshold of 2 nothing can be kept. If that is only assumed, the account's own networks have one try more.
    """
    threshold = directory.policy.threshold
    recent = directory.last is not None and directory.last > now - directory.policy.window - _CLOCKS
    before = max(local.since(directory.password_set_at).wrong, directory.wrong if recent else 0) + local.under_way
    if reserve is Reserve.OTHERS and threshold > STRICTEST.threshold:
        before += 1
    if reserve is Reserve.OWN and directory.policy.assumed:
        before -= 1
    return 0 < threshold <= before + 1


@contextmanager
def attempting(
    reader: Reader, guid: str, directory: DirectoryCount, now: datetime, reserve: Reserve = Reserve.NOBODY
) -> Iterator[Attempt | None]:
    """An attempt to log in with an account, counted from before its password is sent until its outcome is known; None, and not
    counted, if it could lock the account.

    One that was right stays under way until `forget`, which belongs to the login's own transaction. Raises StoreError.
    """
    with reader.database.recording() as connection:
        attempt = Attempt(_read(connection, guid, now))
        refused = could_lock(directory, attempt.earlier, now, reserve)
        if not refused:
            _write(connection, guid, under_way=attempt.earlier.under_way + 1, under_way_until=now + _ABANDONED)
    if refused:
        yield None
        return
    try:
        yield attempt
    finally:
        if not attempt.right:
            with reader.database.recording() as connection:
                _end(connection, guid)
                if attempt.wrong_for is not None:
                    count = _read(connection, guid, now).since(directory.password_set_at)
                    until = now + attempt.wrong_for
                    values = {"wrong": count.wrong + 1, "last_wrong_at": now, "wrong_until": until}
                    _write(connection, guid, **values, password_set_at=count.password_set_at)


def forget(connection: Connection, guid: str) -> None:
    """End an attempt with the right password: the directory starts its count again, and so does Accord."""
    _end(connection, guid)
    connection.execute(update(tables.directory_attempts).where(_attempts.guid == guid).values(wrong=0, wrong_until=None))


def forget_ended(connection: Connection, now: datetime) -> None:
    """Delete counts that no longer matter."""
    ended = [until.is_(None) | (until <= now) for until in (_attempts.wrong_until, _attempts.under_way_until)]
    connection.execute(delete(tables.directory_attempts).where(*ended))


def _end(connection: Connection, guid: str) -> None:
    mine = update(tables.directory_attempts).where(_attempts.guid == guid, _attempts.under_way > 0)
    connection.execute(mine.values(under_way=_attempts.under_way - 1))


def _read(connection: Connection, guid: str, now: datetime) -> LocalCount:
    """The counts of an account that still matter."""
    row = connection.execute(select(tables.directory_attempts).where(_attempts.guid == guid)).first()
    if row is None:
        return LocalCount()
    # what a clock that was ahead left behind ends as well: the directory counted it too
    counts = row.wrong_until is not None and row.wrong_until > now and not is_from_the_future(row.last_wrong_at or now, now)
    goes_on = row.under_way_until is not None and now < row.under_way_until <= now + _ABANDONED + AHEAD
    under_way = row.under_way if goes_on else 0
    return LocalCount(row.wrong, under_way, row.last_wrong_at, row.password_set_at) if counts else LocalCount(under_way=under_way)


def _write(connection: Connection, guid: str, **values: Any) -> None:
    mine = update(tables.directory_attempts).where(_attempts.guid == guid)
    if connection.execute(mine.values(**values)).rowcount == 0:
        connection.execute(tables.directory_attempts.insert().values(guid=guid, **values))
