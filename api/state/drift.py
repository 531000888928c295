"""Drift as the database knows it by its digests: which declared tables were written by hand. `accord drift` says what differs.

Comparing takes as long as reading every declared row, so it is done by one caller at a time, and its result is kept until the
stamp moves, or for a while: a hand moves no stamp.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from api.state.reader import Reader
from api.state.snapshots import Stamp, read_stamp
from reconciler.store.digests import drifted
from reconciler.store.errors import StoreError

KEPT_FOR = timedelta(minutes=5)


class Drifted(NamedTuple):
    """What is known of drift, and since when."""

    tables: dict[str, int] | None
    """How many groups of rows were written by hand, by table; empty: none. None: not compared yet."""
    unmanaged: dict[str, int]
    """How many rows Git never declared, by table."""
    at: datetime | None


class DriftWatch:
    """Compares in the background, when somebody asks and what is known is old."""

    def __init__(self, reader: Reader, start: Callable[[Callable[[], None]], None] | None = None) -> None:
        """`start` runs a function beside the caller; by default, in a thread."""
        self._reader = reader
        self._start = start or _in_a_thread
        self._lock = threading.Lock()
        self._known = Drifted(None, {}, None)
        self._stamp: Stamp | None = None
        self._running = False

    def latest(self, now: datetime) -> Drifted:
        """What is known by now; if that is old, the next call may know more. Raises StoreError."""
        stamp = read_stamp(self._reader)
        with self._lock:
            known = self._known
            is_old = known.at is None or stamp != self._stamp or now - known.at > KEPT_FOR
            starts = is_old and not self._running
            self._running = self._running or starts
        if starts:
            self._start(lambda: self._compare(stamp, now))
        return known

    def _compare(self, stamp: Stamp, now: datetime) -> None:
        try:
            found = compare(self._reader, now)
            with self._lock:
                self._known, self._stamp = found, stamp
        except StoreError:  # the next call tries again
            pass
        finally:
            with self._lock:
                self._running = False


def compare(reader: Reader, now: datetime) -> Drifted:
    """Compare now. Takes a second or more for a hundred thousand users. Raises StoreError."""
    tables: dict[str, int] = {}
    with reader.database.reading() as connection:
        for table, _ in drifted(connection):
            tables[table] = tables.get(table, 0) + 1
    unmanaged = {
        table: number
        for table, condition in _UNMANAGED.items()
        for ((number,),) in [reader.rows(f"SELECT count(*) FROM {table} WHERE {condition}")]
        if number
    }
    return Drifted(tables, unmanaged, now)


_UNMANAGED = {
    "users": "file IS NULL AND source = 'declared'",
    "teams": "file IS NULL",
    "issuers": "file IS NULL",
    "email_templates": "file IS NULL",
    "settings": "file IS NULL",
}


def _in_a_thread(function: Callable[[], None]) -> None:
    threading.Thread(target=function, name="drift", daemon=True).start()
