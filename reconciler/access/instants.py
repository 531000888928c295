"""Instants and durations as resources write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})")
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DAY = timedelta(days=1)
_LAST = datetime.max.replace(tzinfo=UTC)
"""The end of the calendar's last day, which no midnight follows."""
_LONGEST = timedelta(days=365_000)
"""A thousand years: the calendar reaches that far on either side of any day on which Accord runs."""


@lru_cache(maxsize=4_096)  # many memberships end on the same day
def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 instant, or a plain date, which means the end of that day in UTC: the midnight after it.

    Return an aware datetime in UTC. Raises ValueError, with a message for people, for anything else.
    """
    try:
        if _DATE.fullmatch(text):
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return _LAST if day.date() == _LAST.date() else day + _DAY
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"`{text}` is not on the calendar") from None
    raise ValueError(f"`{text}` is not an instant; write a date, `2099-12-31`, or an RFC 3339 instant, `2099-12-31T18:00:00Z`")


def parse_moment(text: str) -> datetime:
    """Read a moment to ask about: as `parse_instant`, but a plain date means the last instant of that day.

    What holds until a day includes that day, so whoever asks about the day is told that it holds.
    """
    found = parse_instant(text)
    return found - datetime.resolution if _DATE.fullmatch(text) else found


@lru_cache(maxsize=4_096)
def format_instant(instant: datetime) -> str:
    """Write an instant in UTC as in RFC 3339, with a fraction only if there is one."""
    text = instant.astimezone(UTC).isoformat(timespec="microseconds" if instant.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z"


def show_instant(instant: datetime) -> str:
    """Show an end to people: as the last day if it is a midnight, as a plain date means it, otherwise as the instant."""
    utc = instant.astimezone(UTC)
    if utc == _LAST:
        return utc.date().isoformat()
    if utc.time() == datetime.min.time() and utc.year > 1:
        return (utc - _DAY).date().isoformat()
    return format_instant(utc)


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `30m`, `12h` or `90d`, at most a thousand years.

    Raises ValueError for anything else.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a duration; write a number and s, m, h or d, such as `30m`")
    return min(timedelta(**{_UNITS[match[2]]: int(match[1])}), _LONGEST)
