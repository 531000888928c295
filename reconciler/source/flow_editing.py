"""Edits what is within brackets and braces: an item comes or goes with its comma, and the rest stays as it is spaced."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from reconciler.source.anchors import Anchors, same
from reconciler.source.arrangement import ANY, Shape, key_order
from reconciler.source.comments import Comments, Orphan
from reconciler.source.pairing import keys_placed, paired
from reconciler.source.yaml_parts import Part, UnusualLayout, line_break, line_start, skipped
from reconciler.source.yaml_text import Value, in_flow, quoted, spelt

_BESIDE = re.compile(r"[ \t]*#[^\r\n]*")
_ABOVE = re.compile(r"(?:[ \t]*#[^\n]*\n)+[ \t]*\Z")
"""The comments that stand directly above something."""


class _Entry(NamedTuple):
    """An item or a pair: its number, what is before it, its text, what is between it and its comma, a comment on its line."""

    number: int
    lead: str
    body: str
    tail: str = ""
    beside: str = ""


_NEW = -1
"""The number of an entry that was not there."""


class FlowEditor:
    """Writes parts in flow style anew. `orphans` collects the comments above removed items, and those in what is replaced."""

    def __init__(self, text: str, anchors: Anchors, comments: Comments, *, drop_comments: bool) -> None:
        self._text, self._anchors, self._comments, self._drop = text, anchors, comments, drop_comments
        self.orphans: list[Orphan] = []

    def written(self, part: Part, old: Any, new: Any, shape: Shape = ANY, *, as_json: bool = False) -> str:
        """Return the text of a part that says something new, with as much of its own text as possible."""
        own = self._text[part.start : part.end]
        if same(old, new) and not self._anchors.any:
            return own
        quote = part.style if part.style in ("'", '"') else '"' if as_json else ""
        if part.kind == "alias":
            return own if self._anchors.holds(part, new) else in_flow(new, quote, as_json=as_json)
        lead = self._text[part.start : part.body]
        if part.kind == "list" and isinstance(new, list):
            self._anchors.set(part, new)
            return lead + self._list(part, old, new, shape, as_json=as_json)
        if part.kind == "mapping" and isinstance(new, dict) and self._text[part.body] == "{":
            self._anchors.set(part, new)
            return lead + self._mapping(part, old, new, shape, as_json=as_json)
        self._anchors.forget(part)
        if part.kind == "scalar" and not isinstance(new, dict | list):
            self._anchors.set(part, new)
            return own if same(old, new) else lead + _beside(new, quote)
        return own if same(old, new) else self._anew(part, new, quote, as_json=as_json)

    def _anew(self, part: Part, new: Any, quote: str, *, as_json: bool) -> str:
        """Write a part of another form, without the comments in it."""
        self.orphans += self._comments.within(part.start, part.end)
        return in_flow(new, quote, as_json=as_json)

    def _list(self, part: Part, old: Sequence[Any], new: list[Any], shape: Shape, *, as_json: bool) -> str:
        pairing = paired(old, new)
        quote = next((item.style for item in reversed(part.items) if item.kind == "scalar"), '"' if as_json else "")
        spans = [(item.start, item.end) for item in part.items]

        def body(index: int) -> str:
            return self.written(part.items[index], old[index], pairing.kept[index], shape.items or ANY, as_json=as_json)

        def added(index: int) -> list[str]:
            return [_beside(item, quote, as_json=as_json) for item in pairing.inserted.get(index, ())]

        return self._joined(part, spans, pairing.kept, body, added)

    def _mapping(self, part: Part, old: dict[str, Any], new: dict[str, Any], shape: Shape, *, as_json: bool) -> str:
        names = [key.text for key in part.keys]
        as_json = part.keys[0].style == '"' if part.keys else as_json
        placed = keys_placed(names, new, key_order(shape))
        spans = [(key.start, max(key.end, value.end)) for key, value in zip(part.keys, part.items, strict=True)]

        def body(index: int) -> str:
            key, value, name = part.keys[index], part.items[index], names[index]
            self._anchors.set(key, name)
            written = self.written(value, old[name], new[name], shape.properties.get(name, ANY), as_json=as_json)
            head = self._text[key.start : value.start] if value.start > key.end else self._text[key.start : key.end]
            if value.start == value.end and written:
                if not head.endswith(":"):
                    raise UnusualLayout
                head += " "
            return head + written

        def added(index: int) -> list[str]:
            quote = '"' if as_json else ""
            return [
                f"{quoted(name) if as_json else spelt(name, '', in_flow=True)}: {in_flow(new[name], quote, as_json=as_json)}"
                for name in placed.get(index, ())
            ]

        kept = [index for index, name in enumerate(names) if name in new]
        return self._joined(part, spans, kept, body, added)

    def _joined(
        self,
        part: Part,
        spans: Sequence[tuple[int, int]],
        kept: Sequence[int] | dict[int, Any],
        body: Callable[[int], str],
        added: Callable[[int], list[str]],
    ) -> str:
        """Put the parts that stay and those that are new between the brackets."""
        beside = _BESIDE.match(self._text, part.body + 1)
        begin, bracket = beside.end() if beside else part.body + 1, self._text[part.end - 1]
        opening = self._text[part.body : begin]
        old, closing, has_last_comma = self._entries(part, spans, begin)
        spacing = _Spacing.of(self._text, part, old)
        found = [_Entry(_NEW, "", text) for text in added(-1)]
        if not (found or old):
            return self._text[part.body : part.end]
        orphaned = ""
        stays = frozenset(kept)
        for entry in old:
            if entry.number not in stays:
                self._forget(part, entry.number)
                self.orphans += self._comments.within(*spans[entry.number])
                orphaned = _above(orphaned, self._orphaned(entry, spans[entry.number][0]), spacing)
                continue
            found.append(entry._replace(lead=_above(orphaned, entry.lead, spacing), body=body(entry.number)))
            orphaned = ""
            found += [_Entry(_NEW, "", text) for text in added(entry.number)]
        closing = _above(orphaned, closing, spacing) if old or closing.strip() else ""
        if not found:
            closing = closing if beside or "#" in closing else ""
            return opening + (spacing.new_line if beside and "\n" not in closing else "") + closing + bracket
        pieces, before = [opening], None
        for number, entry in enumerate(found):
            lead = spacing.lead(entry, before)
            if beside and before is None and "\n" not in lead:
                lead = spacing.new_line
            comma = "," if has_last_comma or number < len(found) - 1 else ""
            pieces += [lead, entry.body, entry.tail, comma, entry.beside]
            before = entry
        return "".join([*pieces, spacing.apart(closing, before), bracket])

    def _entries(self, part: Part, spans: Sequence[tuple[int, int]], at: int) -> tuple[list[_Entry], str, bool]:
        """Return the parts, what is between the last one and the closing bracket, and whether a comma follows the last one."""
        found, comma = [], False
        for index, (start, end) in enumerate(spans):
            after = skipped(self._text, end)
            comma = self._text[after] == ","
            beside = _BESIDE.match(self._text, after + 1 if comma else end)
            tail = self._text[end:after] if comma else ""
            found.append(_Entry(index, self._text[at:start], self._text[start:end], tail, beside[0] if beside else ""))
            at = beside.end() if beside else after + 1 if comma else end
        return found, self._text[at : part.end - 1], comma

    def _forget(self, part: Part, index: int) -> None:
        self._anchors.forget(part.items[index])
        if part.keys:
            self._anchors.forget(part.keys[index])

    def _orphaned(self, entry: _Entry, start: int) -> str:
        """Return the comments before a removed part that stay."""
        found = _ABOVE.search(entry.lead)
        if found is None:
            return entry.lead if "#" in entry.lead else ""
        end = start - len(entry.lead) + found.end()
        self.orphans.append(Orphan(end - len(found[0]), end, not self._drop))
        rest = entry.lead[: found.start()]
        return (rest if "#" in rest else "") if self._drop else entry.lead


def _beside(value: Value, quote: str, *, as_json: bool = False) -> str:
    """Write a value in the place of another one, or beside others, that are in some quotes or in none."""
    return spelt(value, quote, in_flow=True) if isinstance(value, str) else in_flow(value, quote, as_json=as_json)


def _above(orphaned: str, lead: str, spacing: _Spacing) -> str:
    """Put comments that stay before what follows a removed part."""
    if not orphaned or not lead:
        return orphaned or lead
    if lead.lstrip(" \t").startswith(("\n", "\r")):
        return orphaned.rstrip() + lead.lstrip(" \t")
    return f"{orphaned.rstrip()}{spacing.new_line}{lead.lstrip()}"


class _Spacing(NamedTuple):
    """How the parts of a collection stand beside or below each other."""

    first: str
    """What is before the first part."""
    between: str
    new_line: str

    @staticmethod
    def of(text: str, part: Part, entries: Sequence[_Entry]) -> _Spacing:
        leads = [entry.lead for entry in entries]
        below = leads[1:] or leads
        column = (part.items or [part])[0].start - line_start(text, (part.items or [part])[0].start)
        new_line = line_break(text, part.end) + " " * column
        for lead in reversed(leads):
            if "\n" in lead:
                new_line = line_break(lead, len(lead)) + lead[lead.rfind("\n") + 1 :]
                break
        vertical = bool(below) and all("\n" in lead for lead in below)
        gap = next((lead for lead in leads[1:] if lead.strip(" ") == ""), " ")
        first = leads[0] if leads else ""
        return _Spacing((new_line if "\n" in first else "") if "#" in first else first, new_line if vertical else gap, new_line)

    def lead(self, entry: _Entry, before: _Entry | None) -> str:
        """Return what comes before a part."""
        own = entry.lead
        if entry.number == _NEW:
            own = self.first if before is None else self.between
        elif before is None and entry.number > 0 and not own.strip(" \t"):
            own = self.first
        elif before is not None and entry.number == 0 and not own.strip(" \t"):
            own = self.between
        return self.apart(own, before)

    def apart(self, lead: str, before: _Entry | None) -> str:
        """Return what comes after a part: on a new line if that part ends in a comment."""
        return self.new_line + lead.lstrip(" \t") if before is not None and before.beside and "\n" not in lead else lead
