"""The pages of the documentation, and what stands on them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from docs.examples import TOP, pages

PAGES = {str(page.relative_to(TOP)): page for page in pages()}
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<kind>\w+)?(?: (?P<about>\S+))?\n(?P<body>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
OUTPUTS = {
    "accord validate": "problems",
    "accord plan": "plan",
    "accord access": "access",
    "accord explain": "explanation",
    "accord drift": "drift",
    "accord propose from-json": "proposal",
    "accord proposals list": "proposals",
    "accord history": "history",
    "accord show": "show",
    "accord audit list": "audit",
    "accord audit verify": "verification",
    "accord mail preview": "mail",
    "accord db current": "version",
    "accord db check": "version",
}
"""Every command that prints JSON, and the schema of that."""


def fences(kind: str) -> Iterator[tuple[str, str, str]]:
    """Every fenced block of a kind: its page, the word after the kind, and what it holds."""
    for name, page in PAGES.items():
        for found in FENCE.finditer(page.read_text()):
            if found["kind"] == kind:
                yield name, found["about"] or "", found["body"]


def prose(name: str) -> str:
    """A page without its fenced blocks and comments."""
    return re.sub(r"<!--.*?-->", "", FENCE.sub("", PAGES[name].read_text()), flags=re.DOTALL)
