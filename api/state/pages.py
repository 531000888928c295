"""Lists in pages. A cursor is the key of the last item, opaque to clients, so that no page skips or repeats an item."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from api.errors import NotFound

_Item = TypeVar("_Item")
_INSTANT_AND_NUMBER = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z) ([0-9]{1,9})", re.ASCII)
_NO_PAGE = "there is no page at this cursor; begin without one"


class Page(NamedTuple):
    """The page that a client asks for: at most `limit` items, after the one of the cursor."""

    cursor: str | None
    limit: int

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Page:
        """The page that a query of the API asks for."""
        return cls(query.get("cursor"), query["limit"])

    @property
    def after_name(self) -> str:
        """The name that the page begins after; empty for the first page. Raises NotFound."""
        cursor = self.cursor or ""
        try:
            found = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        except ValueError:  # not of base64, or not text
            raise NotFound(_NO_PAGE) from None
        if "\0" in found:
            raise NotFound(_NO_PAGE)
        return found

    @property
    def before_number(self) -> int:
        """The number that the page begins before; very large for the first page. Raises NotFound."""
        found = self.after_name
        if found == "":
            return 2**31 - 1
        if not (found.isascii() and found.isdigit() and len(found) < 10):
            raise NotFound(_NO_PAGE)
        return int(found)

    @property
    def after_number(self) -> int:
        """The number that the page begins after; 0 for the first page. Raises NotFound."""
        return 0 if self.after_name == "" else self.before_number

    @property
    def after_instant(self) -> tuple[str, int]:
        """The instant, in the form of the tables, and the number that the page begins after. Raises NotFound."""
        found = self.after_name
        if found == "":
            return "", 0
        match = _INSTANT_AND_NUMBER.fullmatch(found)
        if match is None:
            raise NotFound(_NO_PAGE)
        return match[1], int(match[2])

    def cut(self, items: list[dict[str, Any]], key: str | Callable[[dict[str, Any]], str]) -> dict[str, Any]:
        """The page, out of one item more than it holds, which tells whether another page follows.

        `key` makes the cursor of an item, or names the property that is it.
        """
        return self.cut_by(items, key if callable(key) else lambda item: str(item[key]))

    def cut_by(self, items: list[_Item], key: Callable[[_Item], str]) -> dict[str, Any]:
        """The same of items of any type."""
        if len(items) <= self.limit:
            return {"items": items, "next": None}
        text = key(items[self.limit - 1])
        return {"items": items[: self.limit], "next": base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")}


def contains(columns: Iterable[str], text: str) -> tuple[str, tuple[str, ...]]:
    """The SQL condition that one of some columns contains text, without regard to case, and the values for its places."""
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    tests = [f"lower({column}) LIKE lower(CAST(? AS TEXT)) ESCAPE '\\'" for column in columns]
    return f"({' OR '.join(tests)})", (pattern,) * len(tests)


def among(column: str, names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The SQL condition that a column is one of some names, and the values for its places."""
    return (f"{column} IN ({', '.join('?' * len(names))})", tuple(names)) if names else ("FALSE", ())
