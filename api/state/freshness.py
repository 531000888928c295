"""How old what is known of a directory account may be. Older than that it counts for nothing: it fails closed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from api.directory.settings import DirectorySettings
from api.state.reader import Reader
from reconciler.store.tables import instant_text


class Freshness:
    """The time for which a reading counts, by domain: until the next one is due, and the grace for controllers that are away."""

    def __init__(self, settings: Iterable[DirectorySettings]) -> None:
        self._limits = {each.dns_name: each.resync + each.grace for each in settings}

    def is_stale(self, domain: str | None, read_at: str | None, now: datetime) -> bool:
        """Whether a reading is too old, or of a domain that is not configured. A declared account has no domain."""
        if domain is None:
            return False
        limit = self._limits.get(domain)
        return limit is None or read_at is None or read_at <= instant_text(now - limit)

    def is_stale_account(self, reader: Reader, user_id: int, now: datetime) -> bool:
        """The same of an account, by what the database says at this moment. Raises StoreError."""
        row = reader.row("SELECT domain, read_at FROM directory_accounts WHERE user_id = ?", user_id)
        return row is None or self.is_stale(row[0], row[1], now)
