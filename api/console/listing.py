"""Lists on pages: how many rows, and what the query asks for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from api.console.forms import Fields
from api.errors import Invalid, NotFound
from api.state.pages import Page
from reconciler.access.instants import parse_instant

ROWS = 50
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


def page_of(query: Fields) -> Page:
    """The page of a list that a query asks for."""
    return Page(query.text("cursor") or None, ROWS)


LONGEST_SEARCH = 128
"""Characters, as for the API."""


def read_search(query: Fields) -> str:
    """The text that is searched for. Raises Invalid if it is longer than any name: databases refuse very long patterns."""
    text = query.text("search")
    if len(text) > LONGEST_SEARCH:
        raise Invalid(f"a search has at most {LONGEST_SEARCH} characters")
    return text


def read_number(text: str, what: str) -> int:
    """The number in an address. Raises NotFound if it is none."""
    if not _NUMBER.fullmatch(text):
        raise NotFound(f"there is no {what} `{text[:20]}`, or you may not see it")
    return int(text)


def read_since(query: Fields, name: str) -> datetime | None:
    """The instant from which on something is asked for: a day counts from its beginning, in UTC. Raises Invalid."""
    return _instant(query.text(name), name, timedelta())


def read_until(query: Fields, name: str) -> datetime | None:
    """The instant before which something is asked for: a day counts to its end, in UTC. Raises Invalid."""
    return _instant(query.text(name), name, timedelta(days=1))


def _instant(text: str, name: str, added: timedelta) -> datetime | None:
    if not text:
        return None
    try:
        if _DAY.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC) + added
        return parse_instant(text)
    except (ValueError, OverflowError):
        raise Invalid(f"`{name}` must be a day such as 2026-11-30 or an instant such as 2026-11-30T18:00:00Z") from None
