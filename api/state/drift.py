"""Drift as the database knows it by its digests: which declared tables were written by hand. `accord drift` says what differs.

Comparing takes as long as reading every declared row, so it is done by one caller at a time, and its result is kept until the
stamp moves, or for a while: a hand moves no stamp.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from api.background import log_failure
from api.state.reader import Reader
from api.state.snapshots import Stamp, read_stamp
from reconciler.access.resources import Kind
from reconciler.store.digests import drifted
from reconciler.store.errors import StoreError

KEPT_FOR = timedelta(minutes=5)
_PATIENCE = 0.1
"""Seconds that a caller waits for a comparison: it takes less unless there are very many rows."""


class Drifted(NamedTuple):
    """What is known of drift, and since when."""

    tables: dict[str, int] | None
    """How many groups of rows were written by hand, by table; empty: none. None: not compared yet."""
    at: datetime | None

    @property
    def is_none(self) -> bool:
        """Whether nothing was written by hand, as far as is known; rows that Git never declared are no drift."""
        return not self.tables


class DriftWatch:
    """Compares in the background, when somebody asks and what is known is old."""

    def __init__(self, reader: Reader, start: Callable[[Callable[[], None]], None] | None = None) -> None:
        """`start` runs a function beside the caller; by default, in a thread."""
        self._reader = reader
        self._start = start or _in_a_thread
        self._lock = threading.Lock()
        self._known = Drifted(None, None)
        self._stamp: Stamp | None = None
        self._running = False
        self._done = threading.Event()

    def latest(self, now: datetime, at_most: timedelta = KEPT_FOR) -> Drifted:
        """What is known. If that is older, or of another state, it is compared anew; if that takes long, a later call knows it.

        Raises StoreError.
        """
        stamp = read_stamp(self._reader)
        with self._lock:
            known = self._known
            is_old = known.at is None or stamp != self._stamp or not timedelta() <= now - known.at <= at_most
            starts = is_old and not self._running
            self._running = self._running or starts
            if starts:
                self._done.clear()
        if starts:
            self._start(lambda: self._compare(stamp, now))
        if is_old:
            self._done.wait(_PATIENCE)
            with self._lock:
                known = self._known
        return known

    def _compare(self, stamp: Stamp, now: datetime) -> None:
        try:
            found = compare(self._reader, now)
            with self._lock:
                self._known, self._stamp = found, stamp
        except StoreError:  # the next call tries again
            pass
        except Exception as error:  # noqa: BLE001 - in its thread, nobody else would log it
            log_failure("comparing for drift", error)
        finally:
            with self._lock:
                self._running = False
            self._done.set()


def compare(reader: Reader, now: datetime) -> Drifted:
    """Compare now. Takes a second or more for a hundred thousand users. Raises StoreError."""
    tables: dict[str, int] = {}
    with reader.database.reading() as connection:
        for table, _ in drifted(connection):
            tables[table] = tables.get(table, 0) + 1
    return Drifted(tables, now)


class Undeclared(NamedTuple):
    """Rows of a kind that Git never declared: the first of their names, and whether there are more."""

    kind: Kind
    names: Sequence[str]
    is_more: bool


def find_undeclared(reader: Reader) -> list[Undeclared]:
    """The rows that Git never declared, by kind. Raises StoreError."""
    found = []
    for kind, condition in _UNDECLARED.items():
        rows = reader.rows(f"SELECT name FROM {condition} ORDER BY name LIMIT {MOST_NAMED + 1}")
        if rows:
            found.append(Undeclared(kind, [name for (name,) in rows[:MOST_NAMED]], len(rows) > MOST_NAMED))
    return found


MOST_NAMED = 50
"""So many rows that Git never declared are named, of each kind."""
_UNDECLARED: dict[Kind, str] = {
    "User": "users WHERE file IS NULL AND source = 'declared'",
    "Team": "teams WHERE file IS NULL",
    "Issuer": "issuers WHERE file IS NULL",
    "EmailTemplate": "email_templates WHERE file IS NULL",
    "Settings": "settings WHERE file IS NULL",
}


def _in_a_thread(function: Callable[[], None]) -> None:
    threading.Thread(target=function, name="drift", daemon=True).start()
