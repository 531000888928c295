"""When certificates expire: how many in each month to come, and which are next."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from api.authentication.principal import Principal
from api.certificates import search
from api.certificates.search import Condition
from api.state.counting import Count
from api.state.reader import Reader
from reconciler.store.tables import instant_text

MONTHS = 13


class Month(NamedTuple):
    """The certificates that expire in a calendar month (UTC) and are neither renewed nor revoked."""

    year: int
    month: int
    number: int


def expiring_by_month(reader: Reader, caller: Principal, now: datetime, about: Iterable[Condition] = ()) -> list[Month]:
    """This month, without what has expired already, and the twelve after it: what the caller may see, about something.

    Raises StoreError.
    """
    starts = [_month(now, later) for later in range(MONTHS + 1)]
    conditions = [*search.visible_to(caller), *about]
    first, last = instant_text(max(now, starts[0])), instant_text(starts[-1])
    tables = "certificates c" + (" LEFT JOIN issuers i ON i.id = c.issuer_id" if conditions else "")
    where = " AND ".join([search.STILL_OPEN.text, "c.not_after > ?", "c.not_after < ?", *(each.text for each in conditions)])
    values = [first, last, *(value for each in conditions for value in each.values)]
    query = f"SELECT substr(c.not_after, 1, 7), count(*) FROM {tables} WHERE {where} GROUP BY 1"
    counted = {row[0]: row[1] for row in reader.rows(query, *values)}
    return [Month(start.year, start.month, counted.get(f"{start:%Y-%m}", 0)) for start in starts[:-1]]


def month_bounds(year: int, month: int) -> tuple[datetime, datetime]:
    """The beginning of a calendar month (UTC), and that of the next."""
    start = datetime(year, month, 1, tzinfo=UTC)
    return start, _month(start, 1)


def count_expiring(reader: Reader, caller: Principal, now: datetime, within: timedelta) -> Count:
    """How many that the caller may see have to be renewed within a time. Raises StoreError."""
    wanted = [search.STILL_OPEN, *search.dated("not_after", now, now + within), *search.visible_to(caller)]
    return search.count(reader, wanted)


def _month(now: datetime, later: int) -> datetime:
    year, month = divmod(now.astimezone(UTC).year * 12 + now.astimezone(UTC).month - 1 + later, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def next_expiring(reader: Reader, caller: Principal, now: datetime, limit: int) -> list[dict[str, Any]]:
    """The next to expire that are neither renewed nor revoked, as the API shows certificates. Raises StoreError."""
    query = {"expiringWithin": "3650d", "revoked": False, "renewed": False, "limit": limit}
    items: list[dict[str, Any]] = search.list_certificates(reader, caller, query, now)["items"]
    return items
