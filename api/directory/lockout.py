"""Never locking an account in its directory: Accord stops one attempt short of the threshold.

If a domain locks accounts at all, an attempt is counted before its password is sent, in the database that all replicas share. The
directory's own count is read again if other attempts may have changed it. So logins at the same moment know of each other, and
an attempt whose answer was lost still counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, select, update

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


STRICTEST = Policy(2, timedelta(days=1))
"""Assumed for an account whose own policy cannot be read."""


class DirectoryCount(NamedTuple):
    """What the directory says of an account: its policy, and the wrong passwords it counted."""

    policy: Policy
    wrong: int
    last: datetime | None


class LocalCount(NamedTuple):
    """Earlier attempts through Accord: passwords that were wrong, and passwords whose answer is still to come."""

    wrong: int = 0
    under_way: int = 0
    last: datetime | None = None

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


def could_lock(directory: DirectoryCount, local: LocalCount, now: datetime) -> bool:
    """Whether one more password could lock the account if it and all those under way were wrong; pure."""
    recent = directory.last is not None and directory.last > now - directory.policy.window - _CLOCKS
    before = max(local.wrong, directory.wrong if recent else 0) + local.under_way
    return 0 < directory.policy.threshold <= before + 1


@contextmanager
def attempting(reader: Reader, guid: str, now: datetime) -> Iterator[Attempt]:
    """An attempt to log in with an account, counted from before its password is sent until its outcome is known.

    One that was right stays under way until `forget`, which belongs to the login's own transaction. Raises StoreError.
    """
    with reader.database.recording() as connection:
        attempt = Attempt(_read(connection, guid, now))
        _write(connection, guid, under_way=attempt.earlier.under_way + 1, under_way_until=now + _ABANDONED)
    try:
        yield attempt
    finally:
        if not attempt.right:
            with reader.database.recording() as connection:
                _end(connection, guid)
                if attempt.wrong_for is not None:
                    wrong = _read(connection, guid, now).wrong + 1
                    _write(connection, guid, wrong=wrong, last_wrong_at=now, wrong_until=now + attempt.wrong_for)


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
    counts = row.wrong_until is not None and row.wrong_until > now
    goes_on = row.under_way_until is not None and row.under_way_until > now
    return LocalCount(row.wrong if counts else 0, row.under_way if goes_on else 0, row.last_wrong_at if counts else None)


def _write(connection: Connection, guid: str, **values: Any) -> None:
    mine = update(tables.directory_attempts).where(_attempts.guid == guid)
    if connection.execute(mine.values(**values)).rowcount == 0:
        connection.execute(tables.directory_attempts.insert().values(guid=guid, **values))
