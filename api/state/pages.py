"""Lists in pages: a cursor is the key of the last item, opaque to clients, so that no page skips or repeats."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from api.errors import NotFound
from api.http.schemas import Schema

PAGE: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 500, "default": 100},
    "cursor": {"type": "string", "maxLength": 256, "pattern": "^[A-Za-z0-9_-]*$"},
}
"""The parameters by which a page is asked for."""
_INSTANT_AND_NUMBER = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z) ([0-9]{1,9})", re.ASCII)


def start(cursor: str | None) -> str:
    """The key that the page begins behind; empty: the first page. Raises NotFound."""
    try:
        found = base64.urlsafe_b64decode((cursor or "") + "=" * (-len(cursor or "") % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        found = "\0"
    if "\0" in found:
        raise NotFound("there is no page at this cursor; begin without one")
    return found


def start_number(cursor: str | None) -> int:
    """The number that the page begins before; very large: the first page. Raises NotFound."""
    found = start(cursor)
    if found == "":
        return 2**31 - 1
    if not (found.isascii() and found.isdigit() and len(found) < 10):
        raise NotFound("there is no page at this cursor; begin without one")
    return int(found)


def start_instant(cursor: str | None) -> tuple[str, int]:
    """The instant, as the tables hold it, and the number behind which the page begins; before all: the first. Raises NotFound."""
    found = start(cursor)
    if found == "":
        return "", 0
    match = _INSTANT_AND_NUMBER.fullmatch(found)
    if match is None:
        raise NotFound("there is no page at this cursor; begin without one")
    return match[1], int(match[2])


def cut(items: list[dict[str, Any]], limit: int, key: str | Callable[[dict[str, Any]], str]) -> dict[str, Any]:
    """A page of at most so many items; one more than that was asked for, to know whether another follows.

    `key` makes the cursor of an item, or names the property that is it.
    """
    more = len(items) > limit
    last = "" if not more else key(items[limit - 1]) if callable(key) else str(items[limit - 1][key])
    return {"items": items[:limit], "next": base64.urlsafe_b64encode(last.encode()).decode().rstrip("=") if more else None}
