"""Judges a mail as it was rendered, just before it is sent: what it brings is in it, and nothing of it can go elsewhere.

A template is judged before it is declared (`checking.py`), but with samples, and somebody may have written it so that they do
not show what it does. What is rendered cannot hide anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from reconciler.mail.grammar import Field
from reconciler.mail.links import Hosts, leads_elsewhere, links_elsewhere
from reconciler.mail.markup import Hidden, Tag, parts_of, text_of
from reconciler.mail.rendering import Rendered

_ACTIVE = {
    *("applet", "base", "button", "embed", "form", "frame", "frameset", "iframe", "input", "link", "math", "noscript"),
    *("object", "option", "script", "select", "svg", "template", "textarea"),
}
"""Elements that fetch, send, run or change how the rest is read. Mail programs remove most of them, but not all do."""
_FETCHING = {
    *("action", "archive", "background", "cite", "classid", "codebase", "data", "dynsrc", "formaction", "href", "icon"),
    *("imagesrcset", "longdesc", "lowsrc", "manifest", "ping", "poster", "profile", "src", "srcset", "usemap", "xlink:href"),
}
"""Attributes whose value is an address, which a mail program follows or fetches."""
_HARMLESS = re.compile(r"(?:mailto:|tel:|cid:|#|data:image/(?:gif|jpeg|png);).*|", re.IGNORECASE)
_IGNORED = re.compile(r"[\t\n\r]|^[\x00-\x20]+|[\x00-\x20]+$")
"""What browsers ignore in an address (WHATWG URL, section 4.4)."""
_BEFORE = re.compile(r"""(?:[^\W_]+[:=])?["'`(\[{«»„“”‘’‹›*]*""")
_AFTER = re.compile(r"""["'`)\]}«»“”‘’‹›*]*[.,;:!?…]*["')\]}»”’]*""")
"""What may touch a password: no address can be made with it."""
_BARE = re.compile(r"(?<![\w@./:-])(?:www\.|(?=[A-Za-z0-9.-]+/))((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})")
"""An address without a scheme, which mail programs make a link of too."""
_NAMESPACE = re.compile(r"xmlns(?::|$)")


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
        yield from (_leads_to(field, link) for link in links_elsewhere(text, hosts))
        if password is not None:
            yield from (_leads_to(field, found[0]) for found in _BARE.finditer(text) if found[0].lower() not in hosts)
    for part in parts_of(mail.html):
        if isinstance(part, Tag):
            yield from _about_tag(part, hosts)
        elif isinstance(part, Hidden) and part[:9].lower() != "<!doctype":
            yield from _about_style(part, hosts)


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
    if tag.name in _ACTIVE or (tag.name == "meta" and any(name == "http-equiv" for name, _ in tag.attributes)):
        yield Objection("html", "element", f"a mail cannot contain `<{tag.name[:20]}>`")
    for name, value in tag.attributes:
        if name in _FETCHING:
            address = _IGNORED.sub("", value)
            if not _HARMLESS.fullmatch(address) and leads_elsewhere(address, hosts):
                yield _leads_to("html", address[:60])
        elif name == "style":
            yield from _about_style(value, hosts)
        elif not _NAMESPACE.match(name):
            yield from (_leads_to("html", link) for link in links_elsewhere(value, hosts))


def _about_style(text: str, hosts: Hosts) -> Iterator[Objection]:
    """Judge what a mail program may read as a style, or, in a comment, as more of the page."""
    yield from (_leads_to("html", link) for link in links_elsewhere(text, hosts))
    if re.search(r"(?<!:)//|\\[0-9A-Fa-f]|@import", text, re.IGNORECASE):
        yield Objection("html", "link", "a style or a comment may fetch something from another host")


def _leads_to(field: Field, link: str) -> Objection:
    return Objection(field, "link", f"it leads to `{link}`, a host that this mail's links may not lead to")
