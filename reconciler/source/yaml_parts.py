"""The parts of a YAML document with their exact places in the text, anchors and aliases among them.

libyaml's nodes do not tell where an alias stands, and end only where the next part begins; these do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml
from yaml._yaml import CParser

from reconciler.source.documents import ANCHOR

_ANCHOR = re.compile(ANCHOR)
_SPACE = re.compile(r"(?:\s|#[^\n]*)*")
_BLANK_END = re.compile(r"(?:\r?\n[ \t]*)*\Z")


@dataclass(slots=True)
class Part:
    """One node. `start`: where its text begins, `body`: where it begins behind an anchor, `end`: where its own text ends."""

    kind: Literal["scalar", "list", "mapping", "alias"]
    start: int
    body: int
    end: int
    style: str = ""
    """Of a scalar: its quotes, `|` or `>`; empty if it is plain."""
    flow: bool = False
    anchor: str = ""
    """The anchor that it has, or the one that an alias refers to."""
    text: str = ""
    keys: list[Part] = field(default_factory=list)
    items: list[Part] = field(default_factory=list)

    @property
    def is_block_text(self) -> bool:
        """Whether it is a text of lines that are indented (`|` or `>`)."""
        return self.style in ("|", ">")

    def inner(self) -> Iterator[Part]:
        """Yield the part and all parts within it, in the order of the text."""
        yield self
        for number, item in enumerate(self.items):
            if self.keys:
                yield self.keys[number]
            yield from item.inner()


def part_of(text: str, start: int, end: int) -> Part:
    """Return the root of the one document between two places of a text; it must be readable."""
    parser = CParser(text[start:end])
    try:
        while not isinstance(parser.peek_event(), yaml.NodeEvent):
            parser.get_event()
        return _read(parser, text, start)
    finally:
        parser.dispose()


def _read(parser: CParser, text: str, offset: int) -> Part:
    event: Any = parser.get_event()
    start, end = event.start_mark.index + offset, event.end_mark.index + offset
    if isinstance(event, yaml.AliasEvent):
        return Part("alias", start, start, end, anchor=str(event.anchor))
    found = _ANCHOR.match(text, start) if event.anchor else None
    body = found.end() if found else start
    anchor: str = event.anchor or ""
    if isinstance(event, yaml.ScalarEvent):
        style = event.style or ""
        if style in ("|", ">"):
            end = _own_end(text, body, end)
        return Part("scalar", start, min(body, end), end, style, anchor=anchor, text=event.value)
    flow = bool(event.flow_style)
    is_list = isinstance(event, yaml.SequenceStartEvent)
    part = Part("list" if is_list else "mapping", start, body, end, flow=flow, anchor=anchor)
    while not isinstance(parser.peek_event(), yaml.CollectionEndEvent):
        if not is_list:
            part.keys.append(_read(parser, text, offset))
        part.items.append(_read(parser, text, offset))
    closing: Any = parser.get_event()
    part.end = closing.end_mark.index + offset if flow or not part.items else part.items[-1].end
    return part


def _own_end(text: str, body: int, end: int) -> int:
    """Return where the last line of a block of text ends, before its line break; blank lines count only if it keeps them."""
    header = text[body : max(text.find("\n", body, end), body)]
    if "+" in header.partition("#")[0]:
        return end - (2 if text.endswith("\r\n", body, end) else 1 if text.endswith("\n", body, end) else 0)
    found = _BLANK_END.search(text, body, end)
    return found.start() if found else end


def skipped(text: str, index: int) -> int:
    """Return the next place that is neither white space nor in a comment."""
    found = _SPACE.match(text, index)
    return found.end() if found else index


def line_start(text: str, index: int) -> int:
    """Return where the line of a place begins."""
    return text.rfind("\n", 0, index) + 1


def after_line(text: str, index: int) -> int:
    """Return where the line after the one of a place begins, or the end of the text."""
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def line_break(text: str, index: int) -> str:
    """Return the line break that ends the line before a place, or the first one of the text."""
    found = text.rfind("\n", 0, index)
    if found < 0:
        found = text.find("\n")
    return "\r\n" if found > 0 and text[found - 1] == "\r" else "\n"


class UnusualLayout(Exception):
    """A layout that cannot be edited this way; a cruder way may do."""
