"""HTML for mails: completes a fragment into a page, and converts between plain text and HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape, unescape
from typing import NamedTuple

_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
_RAW = ("style", "script", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "svg", "math", "plaintext")
"""Elements whose content is not text of the page, or follows other rules (which no mail needs)."""
_SPACE = r" \t\n\f\r"
_TAG_NAME = re.compile(rf"</?([A-Za-z][^{_SPACE}/>]*)")
_VALUE = rf"""(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^{_SPACE}>]*)"""
_ATTRIBUTE = re.compile(rf"[{_SPACE}/]*(?:(>)|(=?[^{_SPACE}/>=]*)(?:[{_SPACE}]*=[{_SPACE}]*({_VALUE}))?)")
_WITHIN_A_LINE = {
    *_RAW,
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
    """A tag of a page: its name in lower case, and its attributes with their values as a browser reads them."""

    name: str
    attributes: tuple[tuple[str, str], ...]


class Hidden(str):
    """A part of a page that is not its text: a comment, a style, a declaration."""

    __slots__ = ()


def text_of(page: str) -> str:
    """Return the text of a page that a reader sees, without tags, comments and styles.

    It reads tags as browsers do, so that it never takes an attribute for text. Where an element begins or ends a line, so does
    the text. Its time is proportional to the page's length.
    """
    return "".join(_text(part) for part in parts_of(page))


def _text(part: Tag | Hidden | str) -> str:
    if isinstance(part, Tag):
        return "" if part.name in _WITHIN_A_LINE else "\n"
    return "" if isinstance(part, Hidden) else unescape(part)


def parts_of(page: str) -> Iterator[Tag | Hidden | str]:
    """Yield the parts of a page: its tags, what is hidden, and its text as it is written."""
    at = 0
    while at < len(page):
        mark = page.find("<", at)
        if mark < 0:
            yield page[at:]
            return
        yield page[at:mark]
        name = _TAG_NAME.match(page, mark)
        if name is not None:
            tag, at = _tag(page, name)
            yield tag
            if tag.name in _RAW and name[0][1] != "/":
                closing = re.compile(rf"</{re.escape(tag.name)}(?=[{_SPACE}/>])", re.IGNORECASE).search(page, at)
                end = len(page) if closing is None else closing.start()
                yield Hidden(page[at:end])
                at = end
        elif page.startswith("<![CDATA[", mark):
            yield Hidden(page[mark:])
            return  # programs disagree whether this is text or tags, so trust nothing after it
        elif page.startswith("<!--", mark):
            at = _after(page, "-->", mark + 2)
            yield Hidden(page[mark:at])
        elif page.startswith(("<!", "<?", "</"), mark):
            at = _after(page, ">", mark)
            yield Hidden(page[mark:at])
        else:
            yield "<"
            at = mark + 1


def _tag(page: str, name: re.Match[str]) -> tuple[Tag, int]:
    """Return the tag that begins with a name, and where it ends. A tag that does not end holds all that follows."""
    attributes: list[tuple[str, str]] = []
    at = name.end()
    while at < len(page):
        attribute = _ATTRIBUTE.match(page, at)
        assert attribute is not None
        at = max(attribute.end(), at + 1)
        if attribute[1]:
            break
        attributes.append((attribute[2].lower(), unescape(_unquoted(attribute[3] or ""))))
    return Tag(name[1].lower(), tuple(attributes)), at


def _unquoted(value: str) -> str:
    quote = value[:1]
    return value[1:].removesuffix(quote) if quote in ("'", '"') and quote else value


def _after(page: str, mark: str, start: int) -> int:
    found = page.find(mark, start)
    return len(page) if found < 0 else found + len(mark)
