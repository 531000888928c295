"""Judges a mail as it was rendered, just before it is sent: what it brings is in it, and nothing of it can go elsewhere.

A template is judged before it is declared (`checking.py`), but with samples, and somebody may have written it so that they do
not show what it does. What is rendered cannot hide anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from typing import Literal, NamedTuple

from reconciler.mail.grammar import Field
from reconciler.mail.links import Hosts, leads_elsewhere, links_elsewhere
from reconciler.mail.markup import Part, Style, Tag, Unclear, parts_of, text_of
from reconciler.mail.rendering import Rendered

_ELEMENTS = {
    *("html", "head", "title", "meta", "style", "body", "a", "abbr", "address", "article", "aside", "b", "bdi", "bdo", "big"),
    *("blockquote", "br", "center", "cite", "code", "dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font"),
    *("footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins", "kbd", "li", "main", "mark", "nav", "ol"),
    *("p", "pre", "q", "s", "samp", "section", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "ul"),
    *("var", "wbr", "table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"),
}
"""Elements of mails. None of them runs, sends, or changes how the rest is read."""
_ATTRIBUTES = {
    *("abbr", "align", "alt", "aria-hidden", "aria-label", "bgcolor", "border", "cellpadding", "cellspacing", "charset", "class"),
    *("color", "colspan", "content", "dir", "face", "headers", "height", "href", "hspace", "id", "lang", "name", "nowrap", "rel"),
    *("role", "rowspan", "scope", "size", "span", "src", "start", "style", "summary", "target", "title", "type", "valign"),
    *("vspace", "width", "xmlns"),
}
"""Attributes of mails. Only `href` and `src` are addresses, and only `style` is a style."""
_ONLY = {"charset": "utf-8", "xmlns": "http://www.w3.org/1999/xhtml"}
"""Attributes that can say only this."""
_ROWS = {"table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"}
_CELLS = {"caption", "th", "td"}
_HARMLESS = re.compile(
    r"(?:(?:mailto|tel):[^\s<>\"'`\\]*|cid:[^\s<>\"'`\\]+|#[\w.-]*|data:image/(?:gif|jpeg|png);base64,[A-Za-z0-9+/]+=*)?",
    re.IGNORECASE | re.ASCII,
)
"""Addresses that lead to no host."""
_REFERENCE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#34|#39|#x27);)")
"""An `&` that browsers may read differently in an attribute than in text (WHATWG HTML, section 13.2.5.73)."""
_CALL = re.compile(r"(?<![\w-])(?:rgba?|hsla?|calc)\(|(?<=[ ])\([a-z-]+:[ ]?[a-z0-9.]+\)", re.IGNORECASE)
"""The functions of styles that fetch nothing; and a condition of `@media`."""
_BEFORE = re.compile(r"""(?:[^\W_]+[:=])?["'`(\[{«»„“”‘’‹›*]*""")
_AFTER = re.compile(r"""["'`)\]}«»“”‘’‹›*]*[.,;:!?…]*["')\]}»”’]*""")
"""What may touch a password: no address can be made with it."""


class Objection(NamedTuple):
    """Why a part of a mail must not be sent: for its password, a link, or an element that no mail needs."""

    field: Field
    about: Literal["password", "link", "element"]
    message: str


def objections(mail: Rendered, hosts: Hosts, password: str | None = None) -> Iterator[Objection]:
    """Yield what makes a rendered mail unfit to be sent.

    `hosts`: where its links may lead. `password`: what the mail must bring, as plain text for its reader and nowhere else.
    """
    if password is not None:
        yield from _about_password(mail, password)
        mail = Rendered(*(part.replace(password, "***") for part in mail))  # no message may quote it, not even in part
    shown: dict[Field, str] = {"subject": mail.subject, "text": mail.text, "html": text_of(mail.html)}
    for field, text in shown.items():
        yield from (_leads_to(field, link) for link in links_elsewhere(text, hosts, names=password is not None))
    yield from _about_page(parts_of(mail.html), hosts)


def _about_page(parts: Iterable[Part], hosts: Hosts) -> Iterator[Objection]:
    between = [False]
    """For each table around a part: whether the part is in no cell of it, whence browsers move it before the table."""
    for part in parts:
        if isinstance(part, Tag):
            if between[-1] and part.name not in _ROWS:
                yield _element(f"`<{part.name[:20]}>` is in a table, but in no cell of it")
            yield from _about_tag(part, hosts)
            if part.name == "table":
                if part.opens:
                    between.append(True)
                elif len(between) > 1:
                    between.pop()
            elif part.name in _ROWS and len(between) > 1:
                between[-1] = not (part.opens and part.name in _CELLS)
        elif isinstance(part, Unclear):
            yield _element(
                f"a mail can contain tags and text, in which `<` is `&lt;`, and nothing else such as `{part.split()[0]}`"
            )
        elif isinstance(part, Style):
            yield from _about_style(part, hosts)
        elif between[-1] and not part.isspace():
            yield _element("text is in a table, but in no cell of it")


def _about_password(mail: Rendered, password: str) -> Iterator[Objection]:
    if password in mail.subject:
        message = "the subject cannot show the password: programs and servers display and log subjects"
        yield Objection("subject", "password", message)
    page = text_of(mail.html)
    shown: tuple[tuple[Field, str, str], ...] = (("text", "text", mail.text), ("html", "HTML", page))
    for field, name, text in shown:
        if password not in text:
            yield Objection(field, "password", f"nobody could log in: the {name} never shows `{{{{ password }}}}`")
        if not stands_alone(text, password):
            message = "the password is part of a link or a word; show it by itself, with a space or a line break on each side"
            yield Objection(field, "password", message)
    if mail.html.count(password) > page.count(password):
        message = "the password is inside a tag or a style, which could send it elsewhere; show it as text"
        yield Objection("html", "password", message)


def stands_alone(text: str, password: str) -> bool:
    """Whether no word or address in a text is made with the password: only spaces, quotes and the like touch it."""
    at = text.find(password)
    while at >= 0:
        end = at + len(password)
        before = re.search(r"\S*\Z", text[max(0, at - 200) : at])
        after = re.match(r"\S*", text[end : end + 200])
        assert before is not None and after is not None
        if not (_BEFORE.fullmatch(before[0]) and _AFTER.fullmatch(after[0])):
            return False
        opened = text.rfind("<", 0, at)  # an address within <…> may have several lines (RFC 3986, appendix C)
        if opened > text.rfind(">", 0, at) and not text[opened + 1].isspace():
            return False
        at = text.find(password, end)
    return True


def _about_tag(tag: Tag, hosts: Hosts) -> Iterator[Objection]:
    if tag.name not in _ELEMENTS:
        yield _element(f"a mail cannot contain `<{tag.name[:20]}>`")
    for name, written in tag.attributes:
        value = unescape(written)
        if name not in _ATTRIBUTES or value.lower() != _ONLY.get(name, value.lower()):
            yield _element(f"a mail cannot contain the attribute `{name[:20]}`, or not with this value")
        elif name in _ONLY:
            continue
        elif name in ("href", "src", "style") and _REFERENCE.search(written):
            yield _element(f"in `{name}`, write `&` as `&amp;`, and nothing but quotes, `<` and `>` by name")
        elif name == "style":
            yield from _about_style(value, hosts)
        elif name in ("href", "src"):
            address = value.strip(" \t\n")
            if not _HARMLESS.fullmatch(address) and leads_elsewhere(address, hosts):
                yield _leads_to("html", address[:60])
        else:
            yield from (_leads_to("html", link) for link in links_elsewhere(value, hosts))


def _about_style(text: str, hosts: Hosts) -> Iterator[Objection]:
    """Judge a style: without escapes, it fetches something only by a function or an at-rule."""
    yield from (_leads_to("html", link) for link in links_elsewhere(text, hosts))
    if "\\" in text or "(" in _CALL.sub("", text) or re.search(r"@(?!media[ ])", text, re.IGNORECASE):
        message = "a style may fetch something: it can contain no backslash, no at-rule but `@media`, and no `url()`"
        yield _element(message)


def _element(message: str) -> Objection:
    return Objection("html", "element", message)


def _leads_to(field: Field, link: str) -> Objection:
    return Objection(field, "link", f"it leads to `{link}`, a host that this mail's links may not lead to")
