"""Lays out documents in block style: parts in the usual order, two spaces a level, each comment with its part.

A comment above an item or a key moves with it; a blank line ends a group of items, and a comment beside it
heads the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import yaml

from reconciler.source.arrangement import ANY, Shape, key_order, shape_of, written_name
from reconciler.source.documents import Unreadable, read
from reconciler.source.positions import last_line

_MARKER = re.compile(r"(?:---|\.\.\.)(?:\s|$)")
_OUT = re.compile(r"#\s*-\s")
"""An item that was taken out of a list by making it a comment."""
_STEP = 2
"""How many spaces each level is indented."""


class NotFormatted(Exception):
    """A file that stays as it is, and why; `invalid`: it has errors."""

    def __init__(self, reason: str, line: int = 1, *, invalid: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.line, self.invalid = reason, line, invalid


class _Gap(NamedTuple):
    """A line between parts: a comment and its column, or a blank line (an empty text)."""

    column: int
    text: str


class _Part(NamedTuple):
    """A key or an item with its lines: those above it, and its own."""

    name: str
    lead: list[str]
    body: list[str]


def laid_out(text: str) -> str:
    """Lay out the documents in block style; whatever is before, between and after them stays."""
    lines = text.removesuffix("\n").split("\n")
    done, found = 0, []
    for document, root in read(text.encode()):
        assert not isinstance(document, Unreadable)
        if not isinstance(root, yaml.MappingNode) or root.flow_style:
            continue
        layout, start, end = _Layout(lines), root.start_mark.line, _end_of(lines, root)
        found += lines[done:start]
        tail = layout.gap(_last(root, lines) + 1, end)
        while end == len(lines) and tail and not tail[-1].text:
            tail.pop()
        found += layout.collection(root, shape_of(document.value["kind"]), 0, start, tail)
        done = end
    found += lines[done:]
    return "\n".join([*found, ""]) if text else text


def _end_of(lines: Sequence[str], root: yaml.Node) -> int:
    """Return the line (from 0) of the marker that ends a document, or the end of the file."""
    first = _last(root, lines) + 1
    return next((number for number in range(first, len(lines)) if _MARKER.match(lines[number])), len(lines))


def _last(node: yaml.Node, lines: Sequence[str]) -> int:
    """Return the last line of a node; blank lines at the end of a text belong to it if it keeps them (`|+`)."""
    end = last_line(node)
    deepest = node
    while isinstance(deepest, yaml.CollectionNode) and deepest.value and not deepest.flow_style:
        inner = deepest.value[-1]
        deepest = inner[1] if isinstance(inner, tuple) else inner
    if isinstance(deepest, yaml.ScalarNode) and deepest.style in ("|", ">"):
        header = lines[deepest.start_mark.line][deepest.start_mark.column :].partition("#")[0]
        while "+" in header and end + 1 < len(lines) and not lines[end + 1].strip():
            end += 1
        while "+" not in header and end > deepest.start_mark.line and not lines[end].strip():
            end -= 1
    return end


class _Layout:
    """Writes the parts of one document anew, at their columns."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    def gap(self, start: int, end: int) -> list[_Gap]:
        """Return the lines between two parts, which are comments or blank."""
        found = [_Gap(len(line) - len(line.lstrip()), line.strip()) for line in self._lines[start:end]]
        odd = next((number for number, line in enumerate(found, start) if line.text and not line.text.startswith("#")), None)
        if odd is not None:
            raise NotFormatted("its layout is unusual, and was not understood", odd + 1)
        return found

    def collection(self, node: yaml.Node, shape: Shape, column: int, begin: int, tail: Sequence[_Gap]) -> list[str]:
        """Lay out a mapping or a list in block style whose lines start at `begin`, and what follows it up to the next part."""
        children = self._children(node)
        at = node.start_mark.column
        gaps, before = [], begin
        for start, last, _, _ in children:
            gaps.append(self.gap(before, start))
            before = last + 1
        parts = []
        for index, (start, last, key, value) in enumerate(children):
            after = gaps[index + 1] if index + 1 < len(children) else tail
            lead = gaps[index] if index == 0 else gaps[index][self._belonging(gaps[index], at, children[index - 1][3]) :]
            own = after[: self._belonging(after, at, value)]
            if key is None:
                item = shape.items or ANY
                body = self._item(value, item, column, start, last, own)
            else:
                body = self._entry(key, value, shape.properties.get(key.value, ANY), column, last, own, first=index == 0)
            parts.append(_Part(written_name(key or value), _at(column, lead), body))
        rest = tail[self._belonging(tail, at, children[-1][3]) :]
        ordered = _arranged_items(parts) if isinstance(node, yaml.SequenceNode) and shape.is_sorted else parts
        if isinstance(node, yaml.MappingNode):
            ordered = _arranged_keys(parts, shape)
        written = [line for part in ordered for line in (*part.lead, *part.body)]
        while written and not written[0]:
            del written[0]
        return [*written, *_at(column, rest)]

    def _children(self, node: yaml.Node) -> list[tuple[int, int, yaml.ScalarNode | None, yaml.Node]]:
        """Return each part's first and last line, its key if it has one, and its value."""
        found: list[tuple[int, int, yaml.ScalarNode | None, yaml.Node]] = []
        if isinstance(node, yaml.MappingNode):
            return [(key.start_mark.line, _last(value, self._lines), key, value) for key, value in node.value]
        start = node.start_mark.line
        for item in node.value:
            while start < item.start_mark.line and (not self._lines[start].strip() or self._lines[start].lstrip()[0] == "#"):
                start += 1
            found.append((start, _last(item, self._lines), None, item))
            start = found[-1][1] + 1
        return found

    @staticmethod
    def _belonging(gap: Sequence[_Gap], column: int, value: yaml.Node) -> int:
        """Count the lines of a gap that belong to the part above: comments further in than its own column.

        So do items in comments (`# - bob`), if the part is a list that is not further in than its key.
        """
        if isinstance(value, yaml.ScalarNode) and value.style in ("|", ">"):
            return 0  # there, they would become part of the text
        level = isinstance(value, yaml.SequenceNode) and not value.flow_style and value.start_mark.column == column
        deeper = 0
        for number, line in enumerate(gap, 1):
            if line.text and line.column <= column and not (level and _OUT.match(line.text)):
                break
            deeper = number if line.text else deeper
        return deeper

    def _entry(
        self,
        key: yaml.ScalarNode,
        value: yaml.Node,
        shape: Shape,
        column: int,
        last: int,
        tail: Sequence[_Gap],
        *,
        first: bool,
    ) -> list[str]:
        line, at = key.start_mark.line, key.start_mark.column
        if self._lines[line][:at].strip(" -" if first else " "):
            raise NotFormatted("its layout is unusual, and was not understood", line + 1)
        head = f"{' ' * column}{self._lines[line][at:]}".rstrip()
        if _is_block(value):
            return [head, *self.collection(value, shape, column + _STEP, line + 1, tail)]
        return [head, *self._shifted(line + 1, last, column - at), *_at(column + _STEP, tail)]

    def _item(self, item: yaml.Node, shape: Shape, column: int, start: int, last: int, tail: Sequence[_Gap]) -> list[str]:
        if item.start_mark.line != start:
            raise NotFormatted("a dash stands on a line of its own", start + 1)
        at = item.start_mark.column
        dash = self._lines[start].rindex("-", 0, at)
        if _is_block(item):
            lines = self.collection(item, shape, column + _STEP, start, tail)
            above = next(number for number, line in enumerate(lines) if line and not line.lstrip().startswith("#"))
            lead = [line.removeprefix(" " * _STEP) for line in lines[:above] if line]  # a blank line would end a group
            return [*lead, f"{' ' * column}- {lines[above][column + _STEP :]}", *lines[above + 1 :]]
        head = f"{' ' * column}- {self._lines[start][at:]}".rstrip()
        return [head, *self._shifted(start + 1, last, column - dash), *_at(column + _STEP, tail)]

    def _shifted(self, start: int, last: int, by: int) -> Iterator[str]:
        """Yield the further lines of a value, moved to the left or to the right."""
        for line in self._lines[start : last + 1]:
            yield f"{' ' * by}{line}" if by > 0 and line else line[min(-by, len(line) - len(line.lstrip(" "))) :] if by else line


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and not node.flow_style and bool(node.value)


def _at(column: int, gap: Sequence[_Gap]) -> list[str]:
    """Write comments at a column; of several blank lines one stays."""
    lines = [f"{' ' * column}{line.text}" if line.text else "" for line in gap]
    return [line for number, line in enumerate(lines) if line or number == 0 or lines[number - 1]]


def _arranged_keys(parts: Sequence[_Part], shape: Shape) -> list[_Part]:
    by_name = key_order(shape)
    head = _head(parts[0].lead)
    first = parts[0]._replace(lead=parts[0].lead[len(head) :])
    found = sorted([first, *parts[1:]], key=lambda part: by_name(part.name))
    while found[0].lead and not found[0].lead[0]:
        found[0] = found[0]._replace(lead=found[0].lead[1:])
    return [found[0]._replace(lead=[*head, *found[0].lead]), *found[1:]]


def _arranged_items(parts: Sequence[_Part]) -> list[_Part]:
    """Sort items by name within each group."""
    found: list[_Part] = []
    group: list[_Part] = []
    head: list[str] = []
    for part in (*parts, None):
        heading = [] if part is None else _heading(part.lead)
        if group and (part is None or heading):
            group.sort(key=lambda each: each.name)
            found += [group[0]._replace(lead=[*head, *group[0].lead]), *group[1:]]
            group = []
        if part is not None:
            head = head if group else heading
            group.append(part._replace(lead=part.lead[len(heading) :]))
    return found


def _heading(lead: Sequence[str]) -> list[str]:
    """Return the lines above an item that are about its group: right after a blank line, a comment heads what follows."""
    head = _head(lead)
    return head if any(head) else list(lead) if head else []


def _head(lead: Sequence[str]) -> list[str]:
    """Return the lines up to the last blank one: they are about a group, not about one part."""
    blank = max((number for number, line in enumerate(lead, 1) if not line), default=0)
    return list(lead[:blank])
