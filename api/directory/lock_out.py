"""Never locking an account in its directory: logins through here stop one wrong password before.

A password counts from before it is sent, in the database that all replicas share, and what the directory has counted is read only
then: so logins at the same moment know of each other, and one whose answer was lost is not forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, select

from api.reader import Reader
from reconciler.store import tables
from reconciler.store.engine import Connection

_CLOCKS = timedelta(minutes=5)
"""How far the directory's clock may be from ours."""
_ABANDONED = timedelta(minutes=5)
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


def could_lock(told: Told, others: Others, now: datetime) -> bool:
    """Whether one more password could lock the account, were it and all those under way wrong; pure."""
    recent = told.last is not None and told.last > now - told.policy.window - _CLOCKS
    before = max(others.wrong, told.wrong if recent else 0) + others.under_way
    return 0 < told.policy.threshold <= before + 1


@contextmanager
def under_way(reader: Reader, guid: str, now: datetime) -> Iterator[Others]:
    """A password is being sent for an account; the others before it. Raises StoreError."""
    with reader.database.recording() as connection:
        others = Others(*_counts(connection, now, _wrong(guid), _sent(guid)))
        _write(connection, _sent(guid), others.under_way + 1, now, now + _ABANDONED)
    try:
        yield others
    finally:
        with reader.database.recording() as connection:
            (count,) = _counts(connection, now, _sent(guid))
            _write(connection, _sent(guid), count - 1, now, now + _ABANDONED)


def count_wrong(reader: Reader, guid: str, window: timedelta, now: datetime) -> None:
    """Count a password that the directory has counted, or may have, for as long as it does. Raises StoreError."""
    with reader.database.recording() as connection:
        (count,) = _counts(connection, now, _wrong(guid))
        _write(connection, _wrong(guid), count + 1, now, now + window)


def forget(connection: Connection, guid: str) -> None:
    """The right password was sent: the directory, too, begins anew."""
    connection.execute(delete(tables.login_failures).where(_failures.address == _wrong(guid)))


def _wrong(guid: str) -> str:
    return f"wrong:{guid}"


def _sent(guid: str) -> str:
    return f"sent:{guid}"


def _counts(connection: Connection, now: datetime, *keys: str) -> list[int]:
    query = select(_failures.address, _failures.failures).where(_failures.address.in_(keys), _failures.next_login_at > now)
    found = {row[0]: row[1] for row in connection.execute(query)}
    return [found.get(key, 0) for key in keys]


def _write(connection: Connection, key: str, count: int, now: datetime, until: datetime) -> None:
    connection.execute(delete(tables.login_failures).where(_failures.address == key))
    if count > 0:
        row = {"address": key, "failures": count, "last_failed_at": now, "next_login_at": until}
        connection.execute(tables.login_failures.insert().values(**row))
