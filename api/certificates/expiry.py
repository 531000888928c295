"""When certificates expire: how many in each month to come, and which are next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from api.authentication.principal import Principal
from api.certificates import search
from api.state.reader import Reader
from reconciler.store.tables import OPEN, instant_text

MONTHS = 13


class Month(NamedTuple):
    """The certificates that expire in a calendar month (UTC) and are neither renewed nor revoked."""

    year: int
    month: int
    number: int


def expiring_by_month(reader: Reader, caller: Principal, now: datetime) -> list[Month]:
    """This month, without what has expired already, and the twelve after it: what the caller may see. Raises StoreError."""
    starts = [_month(now, later) for later in range(MONTHS + 1)]
    conditions = search.visible_to(caller)
    first, last = instant_text(max(now, starts[0])), instant_text(starts[-1])
    tables = "certificates c" + (" LEFT JOIN issuers i ON i.id = c.issuer_id" if conditions else "")
    open_ones = OPEN.replace("revoked_at", "c.revoked_at").replace("renewed_at", "c.renewed_at")
    where = " AND ".join([open_ones, "c.not_after > ?", "c.not_after < ?", *(each.text for each in conditions)])
    values = [first, last, *(value for each in conditions for value in each.values)]
    query = f"SELECT substr(c.not_after, 1, 7), count(*) FROM {tables} WHERE {where} GROUP BY 1"
    counted = {row[0]: row[1] for row in reader.rows(query, *values)}
    return [Month(start.year, start.month, counted.get(f"{start:%Y-%m}", 0)) for start in starts[:-1]]


def _month(now: datetime, later: int) -> datetime:
    year, month = divmod(now.astimezone(UTC).year * 12 + now.astimezone(UTC).month - 1 + later, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def next_expiring(reader: Reader, caller: Principal, now: datetime, limit: int) -> list[dict[str, Any]]:
    """The next to expire that are neither renewed nor revoked, as the API shows certificates. Raises StoreError."""
    query = {"expiringWithin": "3650d", "revoked": False, "renewed": False, "limit": limit}
    items: list[dict[str, Any]] = search.list_certificates(reader, caller, query, now)["items"]
    return items
