"""HTML for mails: completes a fragment into a page, and converts between plain text and HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape, unescape
from typing import NamedTuple

_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
_SPACE = r"[ \t\n]"
_QUOTED = r"""(?:"[^"<>]*"|'[^'<>]*')"""
_VALUE = rf"(?:{_QUOTED}|[A-Za-z0-9#%._-]+(?![A-Za-z0-9#%._/-]))"
_ATTRIBUTE = re.compile(rf"{_SPACE}+([A-Za-z][A-Za-z0-9:-]*)(?:{_SPACE}*={_SPACE}*({_VALUE}))?")
# no group is repeated possessively: Python 3.11.2, which Debian 12 has, goes on behind one that did not match
_ATTRIBUTES = rf"((?:{_SPACE}+[A-Za-z][A-Za-z0-9:-]*(?:{_SPACE}*={_SPACE}*{_VALUE})?)*){_SPACE}*"
_PIECE = re.compile(
    r"([^<]++)"
    rf"|<(style|title){_ATTRIBUTES}>([^<]*+)</\2{_SPACE}*+>"  # browsers read no tags in them
    rf"|<(?!(?:style|title)\b)([a-z][a-z0-9]*){_ATTRIBUTES}/?>"
    rf"|</([a-z][a-z0-9]*){_SPACE}*+>"
    rf"|<(!)doctype{_SPACE}+html(?:{_SPACE}+public(?:{_SPACE}+{_QUOTED}){{1,2}})?{_SPACE}*>"
    r"|<",
    re.IGNORECASE | re.ASCII,
)
"""A piece of a page: text, an element without tags in it, a tag, a doctype, or whatever else begins with `<`."""
_WITHIN_A_LINE = {
    *("a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd", "mark"),
    *("nobr", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
}
"""Elements that do not end a line."""
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif">
<div style="max-width: 600px; margin: 0 auto">
{}
</div>
</body>
</html>
"""


def whole_page(html: str) -> str:
    """Return HTML as a whole page; a fragment gets what every page needs around it."""
    return html if "<html" in html.casefold() else _PAGE.format(html.strip())


def html_of(text: str) -> str:
    """Convert plain text into HTML, with its lines kept and its links clickable."""
    pieces: list[str] = []
    end = 0
    for link in _LINK.finditer(text):
        address = escape(link[0])
        pieces += [escape(text[end : link.start()]), f'<a href="{address}">{address}</a>']
        end = link.end()
    return f'<div style="white-space: pre-wrap; overflow-wrap: anywhere">{"".join(pieces)}{escape(text[end:])}</div>'


class Tag(NamedTuple):
    """A tag of a page: its name in lower case, and its attributes with their values as they are written."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    opens: bool


class Style(str):
    """What a `<style>` says."""

    __slots__ = ()


class Unclear(str):
    """The beginning of the first thing that programs could read differently, so that nothing after it can be trusted."""

    __slots__ = ()


Part = Tag | Style | Unclear | str


def text_of(page: str) -> str:
    """Return the text of a page that a reader sees, without tags and styles.

    Where an element begins or ends a line, so does the text. Its time is proportional to the page's length.
    """
    return "".join(_text(part) for part in parts_of(page))


def _text(part: Part) -> str:
    if isinstance(part, Tag):
        return "" if part.name in _WITHIN_A_LINE else "\n"
    return "" if isinstance(part, Style | Unclear) else unescape(part)


def parts_of(page: str) -> Iterator[Part]:
    """Yield the parts of a page: its tags, styles, and its text as it is written. The title is left out.

    It reads only what every program reads alike: whole tags without `<` and `>` in their values, and a doctype, but no comments
    or anything else that begins with `<`. After the first other thing, it only guesses.
    """
    is_clear = True
    for found in _PIECE.finditer(page):
        text, literal, attributes, content, opened, more, closed, doctype = found.groups()
        if text:
            yield text
        elif literal or opened or closed:
            values = tuple((name.lower(), _unquoted(value)) for name, value in _ATTRIBUTE.findall(attributes or more or ""))
            yield Tag((literal or opened or closed).lower(), values, opens=not closed)
            if literal and literal.lower() == "style":
                yield Style(content)
        elif not doctype and is_clear:
            yield Unclear(page[found.start() : found.start() + 20])
            is_clear = False


def _unquoted(value: str) -> str:
    return value[1:-1] if value[:1] in ("'", '"') else value
