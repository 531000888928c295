"""Every page that links lead to, and what would be wrong with it if text that somebody chose were more than text."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from visitor import Visitor

from api.console.routes import ROUTES

MARK = "x-evil"
HOSTILE = f"\"'></title></script><{MARK} data-{MARK}=1 onload=a>{{{{7*7}}}}&lt;\u202e\u200b"
"""What is put into every field that can hold it: it leaves attributes, texts and comments, and hides."""
_HIDDEN = re.compile("[\u200b\u202e\x00-\x08\x0b-\x1f]")
_SPELLED = re.compile(r"\\u[0-9a-f]{4}")
_SECRET = re.compile(r"accord_[0-9A-Za-z]{49}")
PATTERNS = {
    path: re.compile(re.sub(r"\\{\w+:path\\}", ".+", re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))))
    for path, page in ROUTES
    if hasattr(page, "on_get") and not path.endswith((".csv", ".jsonl"))
}


class Reader(HTMLParser):
    """The links and faults of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.faults: list[str] = []
        self.ids: set[str] = set()
        self._in_textarea = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if len(given) < len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        if tag == MARK or any(MARK in name for name in given):
            self.faults.append(f"text became markup: <{tag} {attrs}>")
        for name in given:
            if name.startswith("on") or name == "style":
                self.faults.append(f"<{tag}> has `{name}`")
        if tag in ("script", "iframe", "object", "embed", "base", "style") and (tag != "script" or "src" not in given):
            self.faults.append(f"<{tag}> is on the page")
        for name in ("href", "src", "action", "formaction"):
            value = given.get(name)
            if value is not None and not re.match(r"(?!//)[/?#]|https?://", value):
                self.faults.append(f"<{tag}> leads to {value!r}")
        if given.get("id") in self.ids:
            self.faults.append(f"two elements have the id {given['id']!r}")
        self.ids.add(given.get("id") or "")
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in ("input", "option", "button"):
            self._sent_back(tag, f"{given.get('name')}={given.get('value')}")
        self._in_textarea = tag == "textarea"

    def handle_endtag(self, tag: str) -> None:
        self._in_textarea = False

    def handle_data(self, data: str) -> None:
        if self._in_textarea:
            self._sent_back("textarea", data)

    def _sent_back(self, tag: str, text: str) -> None:
        if _SPELLED.search(text):
            self.faults.append(f"<{tag}> sends back what is spelled out, not the text itself: {text!r}")


def crawl(visitor: Visitor, start: tuple[str, ...], most: int = 400) -> Iterator[tuple[str, str, Reader]]:
    """Each page once, with its address, its HTML and what is to be read from it; several queries of one path, but not all."""
    waiting, seen, queries = deque(start), set(start), dict[str, int]()
    while waiting and most:
        address = waiting.popleft()
        most -= 1
        answer = visitor.send("GET", address, {"Accept": "text/html"})
        if answer.status_code == 303 or not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        page = Reader(answer.text)
        if _HIDDEN.search(answer.text):
            page.faults.append("characters that hide are on the page as they are")
        if _SECRET.search(answer.text):
            page.faults.append("a secret is on the page")
        if answer.status_code not in (200, 403, 404):
            page.faults.append(f"the answer is {answer.status}")
        yield address, answer.text, page
        for link in page.links:
            target = urljoin(address, link).partition("#")[0]
            path = urlsplit(target).path
            if target in seen or not target.startswith("/") or path.startswith("/static/"):
                continue
            queries[path] = queries.get(path, 0) + 1
            if queries[path] <= 6:
                seen.add(target)
                waiting.append(target)


def addresses(*values: str) -> list[str]:
    """The addresses that routes have with each of these values in them: some lead nowhere, and no link leads to some."""
    return [re.sub(r"\{[\w:]+\}", value, route) for route in PATTERNS for value in values]


def unvisited(addresses: list[str]) -> list[str]:
    """The routes with a page that none of these addresses is of."""
    paths = [urlsplit(each).path for each in addresses]
    return [route for route, pattern in PATTERNS.items() if not any(pattern.fullmatch(path) for path in paths)]
