"""Text from elsewhere in Markdown: in a code span, where nothing is a mention, a link, an image, HTML or a reference."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from reconciler.wording.text import inert, printable


def code(text: str) -> str:
    """Put text in a code span, on one line, that the text cannot close. Nor can it end a table's cell."""
    safe = printable(text).replace("|", "\\u007c") or " "
    fence = "`"
    while fence in safe:
        fence += "`"
    padding = " " if fence != "`" else ""
    return inert(f"{fence}{padding}{safe}{padding}{fence}")  # here already, so that nobody has to make it longer later


def cut_code(text: str, room: int) -> str:
    """Put text in a code span; if that is longer than the room for it, its beginning, and say how much is left out."""
    whole = code(text)
    if len(whole) <= room:
        return whole
    left = room - len(f" … ({len(text):,} more characters)")
    most = max(0, bisect_right(range(max(0, min(len(text), left))), left, key=lambda most: len(code(text[:most]))) - 1)
    return f"{code(text[:most])} … ({len(text) - most:,} more characters)"


def rest_words(items: Sequence[object], most: int | None) -> str:
    """Return how many items are left out of a list that shows so many at most, or nothing."""
    return f" and {len(items) - most:,} more" if most is not None and len(items) > most else ""


def spans(names: Iterable[str]) -> str:
    """Put each name in a code span of its own."""
    return ", ".join(map(code, names))
