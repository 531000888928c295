"""How old a reading of a directory account may be. An older one counts for nothing: Accord fails closed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from api.state.clock import is_from_the_future
from api.state.reader import Reader
from reconciler.store.tables import read_instant


class Freshness:
    """Which readings of directory accounts count. One from the future does not: nobody knows when it was."""

    def __init__(self, limits: Mapping[str, timedelta]) -> None:
        """`limits`: how long a reading counts, by the DNS name of its domain."""
        self._limits = limits

    def is_stale(self, domain: str | None, read_at: str | None, now: datetime) -> bool:
        """Whether a reading is too old, or of a domain that is not configured. A declared account has no domain."""
        if domain is None:
            return False
        limit = self._limits.get(domain)
        if limit is None or read_at is None:
            return True
        read = read_instant(read_at)
        return read <= now - limit or is_from_the_future(read, now)

    def is_stale_account(self, reader: Reader, user_id: int, now: datetime) -> bool:
        """The same of an account, by what the database says at this moment. Raises StoreError."""
        row = reader.row("SELECT domain, read_at FROM directory_accounts WHERE user_id = ?", user_id)
        return row is None or self.is_stale(row[0], row[1], now)
