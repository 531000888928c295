"""Text from elsewhere in Markdown: in a code span, where nothing is a mention, a link, an image, HTML or a reference."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.wording.text import printable


def code(text: str) -> str:
    """Put text in a code span, on one line, that the text cannot close. Nor can it end a table's cell."""
    safe = printable(text).replace("|", "\\u007c") or " "
    fence = "`"
    while fence in safe:
        fence += "`"
    padding = " " if fence != "`" else ""
    return f"{fence}{padding}{safe}{padding}{fence}"


def spans(names: Iterable[str]) -> str:
    """Put each name in a code span of its own."""
    return ", ".join(map(code, names))
