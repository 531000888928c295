"""Passwords that are sent to a directory: no more than Accord's own count permits, and never so many that the account is locked
there. Accord stops one attempt short of the threshold.

An attempt is judged, and counted as a failure, before its password is sent, in the database that all replicas share. What turns
out not to be wrong is taken back. The directory's own count is read again if other attempts may have changed it. So logins at
the same moment know of each other, and an attempt whose answer was lost still counts there. A password that was set anew in the
directory ends all counts here, by the directory's own clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update

from api.authentication import account_failures
from api.authentication.account_failures import Failures, Tries
from api.state.clock import AHEAD, is_from_the_future
from api.state.policies import Policies
from api.state.reader import Reader
from reconciler.access.permitted_ips import Address
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


NEAR_LOCK_OUT = "near-lock-out-in-directory"
NOBODY = "00000000-0000-0000-0000-000000000000"
"""The GUID of no account. A name without an account is taken through the same steps with it, so that it takes the same time."""
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

    def is_outdated(self, password_set_at: datetime | None) -> bool:
        """Whether the password set at an instant is newer than the one that was tried."""
        return password_set_at is not None and (self.password_set_at is None or password_set_at > self.password_set_at)

    def since(self, password_set_at: datetime | None) -> LocalCount:
        """What still counts now that the password is one set at an instant: a newer password starts anew."""
        return self._replace(wrong=0, password_set_at=password_set_at) if self.is_outdated(password_set_at) else self

    def may_be_missing(self, asked_at: datetime) -> bool:
        """Whether the directory may not have counted one of them yet when it was asked."""
        return self.under_way > 0 or (self.last is not None and self.last > asked_at - _CLOCKS)


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


class Attempt:
    """A password that is about to be sent, or why it must not be, and what becomes of it."""

    def __init__(
        self,
        connection: Connection,
        guid: str,
        directory: DirectoryCount,
        address: Address | None,
        policies: Policies,
        now: datetime,
    ) -> None:
        """Judge it by all attempts before it, and count it unless it is refused."""
        self._guid, self._address, self._set_at = guid, address, directory.password_set_at
        self.wrong_for: timedelta | None = None
        """How long the directory counts it as wrong. An attempt without an answer counts there as well."""
        self.right = False
        self.guessed = False
        """The directory said that the password was wrong."""
        earlier = _read(connection, guid, now)
        if earlier.is_outdated(self._set_at):
            account_failures.forget(connection, guid)
        tries = account_failures.read_tries(connection, guid, address, now)
        self.earlier, self.reserve, self.at = earlier, _reserve(tries), now
        self.refusal: str | None = None
        if tries.must_wait(policies, now):
            self.refusal = "too-many-failures"
        elif could_lock(directory, earlier, now, self.reserve):
            self.refusal = NEAR_LOCK_OUT
        else:
            self._before = self._begin(connection)

    def _begin(self, connection: Connection) -> Failures:
        counts = self.earlier.since(self._set_at)
        values = {"under_way": counts.under_way + 1, "under_way_until": self.at + _ABANDONED}
        _write(connection, self._guid, **values, password_set_at=counts.password_set_at, wrong=counts.wrong)
        if self._guid == NOBODY:
            return Failures()
        known = tables.directory_accounts.c
        user_id = connection.execute(select(known.user_id).where(known.guid == self._guid)).scalar()
        return account_failures.record(connection, self._guid, user_id, self._address, self.at)

    def end(self, connection: Connection) -> None:
        """Write what became of it: right passwords end the directory's count and ours, and only wrong ones stay counted."""
        if self.refusal is not None:
            return
        ended = update(tables.directory_attempts).where(_attempts.guid == self._guid, _attempts.under_way > 0)
        connection.execute(ended.values(under_way=_attempts.under_way - 1))
        if self.right:
            _write(connection, self._guid, wrong=0, wrong_until=None)
        elif self.wrong_for is not None:
            wrong = _read(connection, self._guid, self.at).wrong + 1
            _write(connection, self._guid, wrong=wrong, last_wrong_at=self.at, wrong_until=self.at + self.wrong_for)
        if not self.guessed and self._guid != NOBODY:
            account_failures.take_back(connection, self._guid, self._address, self.at, self._before)


@contextmanager
def attempting(
    reader: Reader, guid: str, directory: DirectoryCount, address: Address | None, policies: Policies, now: datetime
) -> Iterator[Attempt]:
    """An attempt to log in with an account, counted from before its password is sent until its outcome is known.

    To `end` it belongs to the login's own transaction; it ends here if the login fails by an exception. Raises StoreError.
    """
    with reader.database.recording() as connection:
        attempt = Attempt(connection, guid, directory, address, policies, max(now, datetime.now(UTC)))
    try:
        yield attempt
    except BaseException:
        with reader.database.recording() as connection:
            attempt.end(connection)
        raise


def _reserve(tries: Tries) -> Reserve:
    if not tries.anywhere:
        return Reserve.NOBODY
    return Reserve.OWN if tries.known else Reserve.OTHERS


def forget_ended(connection: Connection, now: datetime) -> None:
    """Delete counts that no longer matter. While failures count, so does which password they were tried for."""
    is_forgotten = func.coalesce(_attempts.last_wrong_at, "") <= now - account_failures.LONGEST
    ended = [until.is_(None) | (until <= now) for until in (_attempts.wrong_until, _attempts.under_way_until)]
    connection.execute(delete(tables.directory_attempts).where(is_forgotten, *ended))


def _read(connection: Connection, guid: str, now: datetime) -> LocalCount:
    """The counts of an account that still matter, and the password that it was last tried with."""
    row = connection.execute(select(tables.directory_attempts).where(_attempts.guid == guid)).first()
    if row is None:
        return LocalCount()
    # what a clock that was ahead left behind ends as well: the directory counted it too
    counts = row.wrong_until is not None and row.wrong_until > now and not is_from_the_future(row.last_wrong_at or now, now)
    goes_on = row.under_way_until is not None and now < row.under_way_until <= now + _ABANDONED + AHEAD
    under_way = row.under_way if goes_on else 0
    wrong, last = (row.wrong, row.last_wrong_at) if counts else (0, None)
    return LocalCount(wrong, under_way, last, row.password_set_at)


def _write(connection: Connection, guid: str, **values: Any) -> None:
    mine = update(tables.directory_attempts).where(_attempts.guid == guid)
    if connection.execute(mine.values(**values)).rowcount == 0:
        connection.execute(tables.directory_attempts.insert().values(guid=guid, **values))
