"""The HTML around what a mail says: a whole page of a fragment, and HTML of plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape, unescape

_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
_RAW = ("style", "script", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "svg", "math", "plaintext")
"""Elements whose content is no text of the page, or is read by other rules (which nobody needs in a mail)."""
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
    """A page for a mail program: as it is where it is one, else with what every page needs around it."""
    return html if "<html" in html.casefold() else _PAGE.format(html.strip())


def html_of(text: str) -> str:
    """What a plain text says, as HTML: its lines as they are, its links to be followed."""
    pieces: list[str] = []
    end = 0
    for link in _LINK.finditer(text):
        address = escape(link[0])
        pieces += [escape(text[end : link.start()]), f'<a href="{address}">{address}</a>']
        end = link.end()
    return f'<div style="white-space: pre-wrap; overflow-wrap: anywhere">{"".join(pieces)}{escape(text[end:])}</div>'


def text_of(page: str) -> str:
    """What a reader sees of a page: its text, and nothing that stands in tags, comments or styles.

    It reads tags as a browser does, so that what it takes for text is no attribute to one. Takes time in proportion to the page.
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
            return  # text to some, tags to others: what follows is not to be trusted
        elif page.startswith("<!--", mark):
            at = _after(page, "-->", mark + 2)
        elif page.startswith(("<!", "<?", "</"), mark):
            at = _after(page, ">", mark)
        else:
            yield "<"
            at = mark + 1


def _end_of_tag(page: str, at: int) -> int:
    """Where a tag ends whose attributes begin here."""
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
