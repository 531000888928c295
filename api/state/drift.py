"""Drift, as far as the database alone tells: groups of rows that differ from what was applied, and rows that Git never declared.

Which rows of a group differ, and how, only the config repository tells: `accord drift` compares with it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from api.state.reader import Reader
from reconciler.access.resources import Kind
from reconciler.store.digests import drifted

MOST_NAMED = 50
"""So many rows that Git never declared are named, of each kind."""
_UNDECLARED: dict[Kind, str] = {
    "User": "users WHERE file IS NULL AND source = 'declared'",
    "Team": "teams WHERE file IS NULL",
    "Issuer": "issuers WHERE file IS NULL",
    "EmailTemplate": "email_templates WHERE file IS NULL",
    "Settings": "settings WHERE file IS NULL",
}


class Undeclared(NamedTuple):
    """Rows of a kind that Git never declared: the first of their names, and whether there are more."""

    kind: Kind
    names: Sequence[str]
    is_more: bool


class Drift(NamedTuple):
    """What a comparison found."""

    compared_at: datetime
    generation: int
    """Of the state that was compared."""
    differing: tuple[tuple[str, int], ...]
    """Tables, and how many groups of their rows somebody wrote by hand."""
    undeclared: tuple[Undeclared, ...]

    @property
    def is_none(self) -> bool:
        """Whether nothing differs; rows that Git never declared are no difference."""
        return not self.differing


class Comparisons:
    """The last comparison, which several pages show. Comparing reads all declared rows, within the database."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._last: Drift | None = None

    def latest(self, now: datetime, at_most: timedelta) -> Drift:
        """A comparison that is not older than this, nor of another generation. Raises StoreError."""
        (row,) = self._reader.rows("SELECT generation FROM state")
        with self._lock:  # whoever comes meanwhile waits, and has the same answer
            last = self._last
            if last is None or last.generation != row[0] or not timedelta() <= now - last.compared_at <= at_most:
                last = self._last = compare(self._reader, now, row[0])
            return last


def compare(reader: Reader, now: datetime, generation: int) -> Drift:
    """Compare the declared tables with what the last apply left. Raises StoreError."""
    with reader.database.reading() as connection:
        groups = Counter(table for table, _ in drifted(connection))
    return Drift(
        now, generation, tuple(sorted(groups.items())), tuple(filter(None, (_undeclared(reader, kind) for kind in _UNDECLARED)))
    )


def _undeclared(reader: Reader, kind: Kind) -> Undeclared | None:
    rows = reader.rows(f"SELECT name FROM {_UNDECLARED[kind]} ORDER BY name LIMIT {MOST_NAMED + 1}")
    return Undeclared(kind, [name for (name,) in rows[:MOST_NAMED]], len(rows) > MOST_NAMED) if rows else None
