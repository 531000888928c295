"""HTML for mails: completes a fragment into a page, and converts between plain text and HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape, unescape

_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
_RAW = ("style", "script", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "svg", "math", "plaintext")
"""Elements whose content is not text of the page, or follows other rules (which no mail needs)."""
_SPACE = r" \t\n\f\r"
_TAG_NAME = re.compile(rf"</?([A-Za-z][^{_SPACE}/>]*)")
_VALUE = rf"""(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^{_SPACE}>]*)"""
_ATTRIBUTE = re.compile(rf"[{_SPACE}/]*(?:(>)|=?[^{_SPACE}/>=]*(?:[{_SPACE}]*=[{_SPACE}]*{_VALUE})?)")
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


def text_of(page: str) -> str:
    """Return the text of a page that a reader sees, without tags, comments and styles.

    It reads tags as browsers do, so that it never takes an attribute for text. Its time is proportional to the page's length.
    """
    return unescape("".join(_texts(page)))


def _texts(page: str) -> Iterator[str]:
    at = 0
    while at < len(page):
        mark = page.find("<", at)
        if mark < 0:
            yield page[at:]
            return
        yield page[at:mark]
        name = _TAG_NAME.match(page, mark)
        if name is not None:
            at = _end_of_tag(page, name.end())
            if name[1].casefold() in _RAW and name[0][1] != "/":
                closing = re.compile(rf"</{re.escape(name[1])}(?=[{_SPACE}/>])", re.IGNORECASE).search(page, at)
                at = len(page) if closing is None else closing.start()
        elif page.startswith("<![CDATA[", mark):
            return  # programs disagree whether this is text or tags, so trust nothing after it
        elif page.startswith("<!--", mark):
            at = _after(page, "-->", mark + 2)
        elif page.startswith(("<!", "<?", "</"), mark):
            at = _after(page, ">", mark)
        else:
            yield "<"
            at = mark + 1


def _end_of_tag(page: str, at: int) -> int:
    """Return where a tag ends, given where its attributes begin."""
    while at < len(page):
        attribute = _ATTRIBUTE.match(page, at)
        assert attribute is not None
        at = max(attribute.end(), at + 1)
        if attribute[1]:
            return at
    return at


def _after(page: str, mark: str, start: int) -> int:
    found = page.find(mark, start)
    return len(page) if found < 0 else found + len(mark)
