"""Finds where in a file something is written. Computed on demand, since most files are never asked."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache

import yaml

from reconciler.access.resources import LINK_KEYS
from reconciler.source.documents import ANCHOR, MARKER, Unreadable, compose

_ANCHOR, _COMMENT = re.compile(ANCHOR), re.compile("#.*")
Path = Sequence[str | int]
"""Keys and indexes from the top of a document; a list item can also be given by its name: ("spec", "members", "alice").

A place within a text is a line and a column in it, from 1: ("spec", "text", 3, 7).
"""


def locate(content: bytes, document_line: int, path: Path, *, key: bool = False) -> tuple[int, int]:
    """Return the line and column (from 1) of the value, or with `key` of the key, at a path of the document on a line.

    If the path does not exist, return the place of its deepest part that does.
    """
    places = _places(content, document_line)
    return (document_line, 1) if places is None else places.find(path, key=key)


def stands_at(content: bytes, document_line: int, path: Path) -> bool:
    """Tell whether the document that begins on a line has a value at a path."""
    places = _places(content, document_line)
    return places is not None and places.holds(path)


class Places:
    """The places in one document. Lookups are remembered: a list of 50,000 names may have as many problems.

    `content` is the text of the node, for places within texts, and begins after some lines of the file.
    """

    def __init__(self, node: yaml.Node, content: bytes = b"", lines_before: int = 0) -> None:
        self._node, self._content, self._before = node, content, lines_before
        self._children: dict[int, dict[str | int, tuple[yaml.Node | None, yaml.Node]]] = {}

    def find(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Return the line and column (from 1) of a path's value or key."""
        found, steps = self._node, 0
        for key_node, node in self._follow(path):
            found = key_node if key and key_node is not None else node
            steps += 1
        rest, (line, column) = path[steps:], (found.start_mark.line + 1, found.start_mark.column + 1)
        if self._content and isinstance(found, yaml.ScalarNode) and len(rest) == 2:
            line, column = _within(found, self._content, *(int(step) for step in rest))
        return self._before + line, column

    def written(self, path: Path) -> str | None:
        """Return the text of the scalar at a path, as the file has it."""
        *_, (_, node) = ((None, self._node), *self._follow(path))
        return str(node.value) if isinstance(node, yaml.ScalarNode) else None

    def holds(self, path: Path) -> bool:
        """Tell whether the whole path leads to a value."""
        return sum(1 for _ in self._follow(path)) == len(path)

    def _follow(self, path: Path) -> Iterator[tuple[yaml.Node | None, yaml.Node]]:
        node = self._node
        for step in path:
            by_name = isinstance(node, yaml.SequenceNode) and isinstance(step, str)
            found = self._children_of(node).get(str(step).casefold() if by_name else step)
            if found is None:
                return
            yield found
            node = found[1]

    def _children_of(self, node: yaml.Node) -> dict[str | int, tuple[yaml.Node | None, yaml.Node]]:
        if id(node) not in self._children:
            found: dict[str | int, tuple[yaml.Node | None, yaml.Node]] = {}
            if isinstance(node, yaml.MappingNode):
                found.update((key.value, (key, value)) for key, value in node.value if isinstance(key, yaml.ScalarNode))
            elif isinstance(node, yaml.SequenceNode):
                for index, item in enumerate(node.value):
                    found[index] = (None, item)
                    for name, named in _names(item):
                        found.setdefault(name, (None, named))
            self._children[id(node)] = found
        return self._children[id(node)]


def _within(node: yaml.ScalarNode, content: bytes, line: int, column: int) -> tuple[int, int]:
    """Find a place in a text: exactly if its lines are the file's (`|`), otherwise the text's beginning or line."""
    mark = node.start_mark
    lines = content.decode("utf-8-sig", "replace").split("\n")
    if node.style == "|":
        at = mark.line + line
        written = lines[at] if at < len(lines) else ""
        shown = node.value.split("\n")[line - 1] if line <= node.value.count("\n") + 1 else ""
        return at + 1, len(written.removesuffix("\r")) - len(shown) + column
    quotes = 1 if node.style in ("'", '"') else 0
    start = mark.column + quotes
    if node.end_mark.line == mark.line and lines[mark.line][start : start + len(node.value)] == node.value:
        return mark.line + 1, start + column
    return mark.line + 1, mark.column + 1


def last_line(node: yaml.Node) -> int:
    """Return the line (from 0) where a node's own text ends, before any comments that follow it."""
    if isinstance(node, yaml.ScalarNode):
        block = node.style in ("|", ">")
        return int(node.end_mark.line - (1 if block and node.end_mark.column == 0 else 0))
    assert isinstance(node, yaml.CollectionNode)
    if node.flow_style or not node.value:
        return int(node.end_mark.line)
    last = node.value[-1]
    return last_line(last[1] if isinstance(last, tuple) else last)


Span = tuple[int, int]


def texts(node: yaml.Node, text: str) -> list[Span]:
    """Return where each scalar of a document begins and ends. A comment may follow an anchor, or the `|` of a block."""
    if isinstance(node, yaml.ScalarNode):
        anchor = _ANCHOR.match(text, node.start_mark.index)
        start = anchor.end() if anchor else node.start_mark.index
        return [(max(text.find("\n", start), start) if node.style in ("|", ">") else start, node.end_mark.index)]
    parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    return [inner for part in parts for inner in texts(part, text)]


def comments(text: str, known: Sequence[Span], start: int = 0, end: int | None = None) -> Iterator[tuple[int, str]]:
    """Yield the place of each comment with its text: libyaml begins one at every `#` outside the scalars, which are `known`."""
    last = len(text) if end is None else end
    for before, after in (*sorted(known), (last, last)):
        yield from ((found.start(), found[0]) for found in _COMMENT.finditer(text, start, before))
        start = max(start, before, after)


def item_lines(node: yaml.Node, lists: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the lines (from 1) of the items in lists below `spec`, by list and casefolded name."""
    found: dict[str, dict[str, int]] = {}
    for key, value in _pairs(node):
        for name, items in _pairs(value) if key == "spec" else ():
            if name in lists and isinstance(items, yaml.SequenceNode):
                lines = found[name] = {}
                for item, at in _names(items):
                    lines.setdefault(item, at.start_mark.line + 1)
    return {name: lines for name, lines in found.items() if lines}


def _pairs(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    return ((key.value, value) for key, value in node.value) if isinstance(node, yaml.MappingNode) else iter(())


@lru_cache(maxsize=1)
def _places(content: bytes, line: int) -> Places | None:
    starts, lines = _parts(content)
    part = bisect_right(lines, line - 1) - 1
    text = content[starts[part] : starts[part + 1]]
    try:
        found = (node for node, _ in compose(text) if lines[part] + node.start_mark.line + 1 == line)
        return next((Places(node, text, lines[part]) for node in found), None)
    except Unreadable:
        return None


@lru_cache(maxsize=1)
def _parts(content: bytes) -> tuple[list[int], list[int]]:
    """Return where each document of a file begins and the last one ends, and how many lines are before each.

    Each is composed alone, so that a file of many documents with a problem in each is not composed as often.
    """
    starts, lines = [0], [0]
    for marker in MARKER.finditer(content):
        lines.append(lines[-1] + content.count(b"\n", starts[-1], marker.start()))
        starts.append(marker.start())
    return [*starts, len(content)], lines


def _names(item: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """Yield the casefolded name of a list item (`alice` or `{user: alice}`), or the names in an inner list."""
    if isinstance(item, yaml.ScalarNode):
        yield item.value.casefold(), item
    elif isinstance(item, yaml.MappingNode):
        for key, value in item.value:
            if key.value in LINK_KEYS and isinstance(value, yaml.ScalarNode):
                yield value.value.casefold(), item
    else:
        yield from (named for inner in item.value for named in _names(inner))
