"""Never locking an account in its directory: logins through here stop one wrong password before.

Where accounts are locked at all, a password counts from before it is sent, in the database that all replicas share, and what the
directory has counted is read again if others came since: so logins at the same moment know of each other, and one whose answer
was lost is not forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, select, update

from api.state.reader import Reader
from reconciler.store import tables
from reconciler.store.engine import Connection

_CLOCKS = timedelta(minutes=5)
"""How far the directory's clock may be from ours."""
_ABANDONED = timedelta(minutes=3)
"""A password is under way no longer than that, where whoever sent it was killed."""
_failures = tables.login_failures.c


class Policy(NamedTuple):
    """When an account is locked: after so many wrong passwords within a while; 0: never."""

    threshold: int
    window: timedelta


STRICTEST = Policy(2, timedelta(days=1))
"""What is taken for the policy of an account whose own may not be read."""


class Told(NamedTuple):
    """What the directory says of an account: its policy, and the wrong passwords counted there."""

    policy: Policy
    wrong: int
    last: datetime | None


class Others(NamedTuple):
    """The passwords for an account that came through here before one: wrong ones, and those whose answer is not there yet."""

    wrong: int
    under_way: int
    last: datetime | None = None

    def since(self, instant: datetime) -> bool:
        """Whether what the directory said at an instant may be without one of them."""
        return self.under_way > 0 or (self.last is not None and self.last > instant - _CLOCKS)


class Sending:
    """A password that is about to be sent, and what becomes of it."""

    def __init__(self, others: Others) -> None:
        self.others = others
        self.wrong_for: timedelta | None = None
        """How long it counts as wrong, which it does too where no answer came."""
        self.right = False


def could_lock(told: Told, others: Others, now: datetime) -> bool:
    """Whether one more password could lock the account, were it and all those under way wrong; pure."""
    recent = told.last is not None and told.last > now - told.policy.window - _CLOCKS
    before = max(others.wrong, told.wrong if recent else 0) + others.under_way
    return 0 < told.policy.threshold <= before + 1


@contextmanager
def under_way(reader: Reader, guid: str, now: datetime) -> Iterator[Sending]:
    """A password is sent for an account, from before that until it is known what became of it. Raises StoreError.

    One that was right is under way until `forget`, which is part of the login's own transaction.
    """
    with reader.database.recording() as connection:
        rows = _rows(connection, guid, now)
        wrong, last = rows.get(_wrong(guid), _NONE)
        sending = Sending(Others(wrong, rows.get(_sent(guid), _NONE)[0], last))
        _write(connection, _sent(guid), sending.others.under_way + 1, now, now + _ABANDONED)
    try:
        yield sending
    finally:
        if not sending.right:
            with reader.database.recording() as connection:
                _end(connection, guid)
                if sending.wrong_for is not None:
                    wrong = _rows(connection, guid, now).get(_wrong(guid), _NONE)[0]
                    _write(connection, _wrong(guid), wrong + 1, now, now + sending.wrong_for)


def forget(connection: Connection, guid: str) -> None:
    """The right password was sent: the directory, too, begins anew."""
    _end(connection, guid)
    connection.execute(delete(tables.login_failures).where(_failures.address == _wrong(guid)))


def _end(connection: Connection, guid: str) -> None:
    left = update(tables.login_failures).where(_failures.address == _sent(guid), _failures.failures > 0)
    connection.execute(left.values(failures=_failures.failures - 1))


_NONE = (0, None)


def _wrong(guid: str) -> str:
    return f"wrong:{guid}"


def _sent(guid: str) -> str:
    return f"sent:{guid}"


def _rows(connection: Connection, guid: str, now: datetime) -> dict[str, tuple[int, datetime | None]]:
    """How many count, and when the last came, by key."""
    mine = _failures.address.in_((_wrong(guid), _sent(guid))), _failures.next_login_at > now
    query = select(_failures.address, _failures.failures, _failures.last_failed_at).where(*mine)
    return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


def _write(connection: Connection, key: str, count: int, now: datetime, until: datetime) -> None:
    connection.execute(delete(tables.login_failures).where(_failures.address == key))
    row = {"address": key, "failures": count, "last_failed_at": now, "next_login_at": until}
    connection.execute(tables.login_failures.insert().values(**row))
