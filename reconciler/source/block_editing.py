"""Edits a document in block style line by line: what stays keeps its lines and its comments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.access.resources import LINK_KEYS
from reconciler.source.anchors import Anchors, same
from reconciler.source.arrangement import ANY, Shape, key_order
from reconciler.source.comments import Comments, Orphan
from reconciler.source.flow_editing import FlowEditor
from reconciler.source.pairing import keys_placed, paired
from reconciler.source.splicing import Splice
from reconciler.source.yaml_parts import Part, UnusualLayout, after_line, line_break, line_start, skipped
from reconciler.source.yaml_text import (
    USUAL_INDENTS,
    Indents,
    Plain,
    Value,
    in_flow,
    quoted,
    spelt,
    text_value,
    yaml_document,
    yaml_sequence,
)

_COMMENT = re.compile(r"([ \t]*)(#[^\r\n]*)")
_OUT = re.compile(r"#\s*-\s")
"""An item that was taken out of a list by making it a comment."""
_HEADER = re.compile(r"[|>][-+0-9]*")
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_FIELDS = 2
"""How deep the fields of a resource are: below `metadata` or `spec`."""


class _Quoted(Plain):
    """Text that is in its quotes already."""

    __slots__ = ()


class BlockEditor:
    """Collects the splices that let a document say something new.

    `whole_fields`: write a field that differs anew as a whole, where its layout does not allow less.
    """

    def __init__(self, text: str, root: Part, *, drop_comments: bool, whole_fields: bool) -> None:
        self._text, self._root, self._whole = text, root, whole_fields
        self._drop = drop_comments
        self._anchors = Anchors(root)
        self._comments = Comments(text, [root])
        self._flow = FlowEditor(text, self._anchors, self._comments, drop_comments=drop_comments)
        self._indents = indents_of(text, root)
        self._splices: list[Splice] = []
        self._orphans: list[Orphan] = []

    def edited(self, old: Mapping[str, Any], new: Mapping[str, Any], shape: Shape) -> list[Splice]:
        """Return the splices after which the document says the new value. Raises UnusualLayout."""
        self._value(None, self._root, old, new, shape, column=0, depth=0)
        return self._splices

    @property
    def orphans(self) -> list[Orphan]:
        """The comments directly above removed parts, and all others that go, except those beside what is removed."""
        return [*self._orphans, *self._flow.orphans]

    def _value(self, key: Part | None, part: Part, old: Any, new: Any, shape: Shape, *, column: int, depth: int) -> None:
        """Let a part say something new; it is the value of a key in the column, or an item whose dash is there."""
        if same(old, new) and not self._anchors.any:
            return
        if self._whole and depth == _FIELDS and key is not None and not same(old, new):
            self._anew(key, part, new, column)
        elif part.kind == "alias":
            if not self._anchors.holds(part, new):
                self._replace(key, part, new, column)
        elif part.kind == "scalar" and not isinstance(new, dict | list):
            self._anchors.set(part, new)
            if not same(old, new):
                self._scalar(part, new, column)
        elif key is None and (isinstance(old, str) or isinstance(new, str)):
            self._renamed_item(part, old, new)
        else:
            self._collection(key, part, old, new, shape, column=column, depth=depth)

    def _collection(self, key: Part | None, part: Part, old: Any, new: Any, shape: Shape, *, column: int, depth: int) -> None:
        if part.flow and isinstance(new, list | dict):
            self._splices.append(Splice(part.start, part.end, self._flow.written(part, old, new, shape)))
        elif part.kind == "list" and isinstance(new, list) and new:
            self._anchors.set(part, new)
            self._list(part, old, new, shape, depth)
        elif part.kind == "mapping" and isinstance(new, dict) and new:
            self._anchors.set(part, new)
            self._mapping(part, old, new, shape, depth)
        else:
            self._replace(key, part, new, column)

    def _put(self, start: int, end: int, text: str) -> None:
        """Replace characters, with the line breaks that the file has there."""
        plain = text.replace("\r\n", "\n")
        written = plain.replace("\n", line_break(self._text, start))
        if self._text[start:end] != written:
            self._splices.append(Splice(start, end, written))

    def _insert(self, at: int, text: str) -> None:
        """Insert whole lines at the beginning of a line, or behind a last line that has no end."""
        if at and self._text[at - 1] != "\n":
            text = "\n" + text
        self._put(at, at, text)

    # Lists

    def _list(self, part: Part, old: Sequence[Any], new: Sequence[Any], shape: Shape, depth: int) -> None:
        pairing, dashes = paired(old, new), self._dashes(part)
        column = dashes[0] - line_start(self._text, dashes[0])

        def insert(after: int) -> None:
            items = pairing.inserted.get(after, ())
            if items:
                at = self._above(dashes[0]) if after < 0 else self._after(part.items[after], column)
                if after < 0 and not self._is_first(dashes[0]):
                    raise UnusualLayout
                self._insert(at, "".join(self._item(part, item, column) for item in items))

        insert(-1)
        for index, (dash, item) in enumerate(zip(dashes, part.items, strict=True)):
            if index in pairing.kept:
                new_item = pairing.kept[index]
                self._kept_item(part, index, dash, old[index], new_item, shape.items or ANY, column=column, depth=depth + 1)
                insert(index)
            else:
                self._anchors.forget(item)
                self._remove(dash, item.end, lowest=part.items[index - 1].end if index else None, column=column)

    def _kept_item(self, part: Part, index: int, dash: int, old: Any, new: Any, shape: Shape, *, column: int, depth: int) -> None:
        """Let an item say something new; where its layout does not allow less, it is written anew, and the others are not."""
        anchors, splices = self._anchors.copy(), len(self._splices)
        orphans, in_flow_orphans = len(self._orphans), len(self._flow.orphans)
        try:
            self._value(None, part.items[index], old, new, shape, column=column, depth=depth)
        except UnusualLayout:
            self._anchors.restore(anchors)
            del self._splices[splices:], self._orphans[orphans:], self._flow.orphans[in_flow_orphans:]
            self._lines_anew(dash, part.items[index], self._item(part, new, column))

    def _item(self, part: Part, item: Value, column: int) -> str:
        """Write a new item of a list, in the quotes that the others have."""
        quote = next((each.style for each in reversed(part.items) if each.kind == "scalar"), "")
        if isinstance(item, str) and quote in ("'", '"') and "\n" not in item:
            return f"{' ' * column}- {spelt(item, quote)}\n"
        return _indented(yaml_sequence([item], self._indents), column)

    def _dashes(self, part: Part) -> list[int]:
        found = [part.body, *(skipped(self._text, item.end) for item in part.items[:-1])]
        if any(self._text[dash] != "-" for dash in found):
            raise UnusualLayout
        return found

    # Mappings

    def _mapping(self, part: Part, old: Mapping[str, Any], new: Mapping[str, Any], shape: Shape, depth: int) -> None:
        names = [key.text for key in part.keys]
        column = part.body - line_start(self._text, part.body)
        placed = keys_placed(names, new, key_order(shape))

        def insert(after: int) -> None:
            added = {name: new[name] for name in placed.get(after, ())}
            if added:
                if after < 0 and not self._is_first(part.body):
                    raise UnusualLayout
                at = self._above(part.body) if after < 0 else self._after(part.items[after], column)
                said = {name: self._before_blank(value, at) for name, value in added.items()}
                self._insert(at, _indented(yaml_document(said, self._indents), column))

        insert(-1)
        for index, (key, value, name) in enumerate(zip(part.keys, part.items, names, strict=True)):
            if name not in new:
                self._anchors.forget(value)
                self._remove_key(part, index, new, column)
                continue
            self._anchors.set(key, name)
            inner = shape.properties.get(name, ANY)
            self._value(key, value, old[name], new[name], inner, column=column, depth=depth + 1)
            insert(index)

    def _remove_key(self, part: Part, index: int, new: Mapping[str, Any], column: int) -> None:
        key, value = part.keys[index], part.items[index]
        if self._is_first(key.start):
            self._remove(key.start, max(key.end, value.end), part.items[index - 1].end if index else None, column)
            return
        following = part.keys[index + 1] if index + 1 < len(part.keys) else None  # the key shares its line with a dash
        if following is None or following.text not in new or index:
            raise UnusualLayout
        after = after_line(self._text, value.end)
        if not _REST.match(self._text, value.end) or self._text[after : following.start].strip():
            raise UnusualLayout
        self._put(key.start, following.start, "")

    # Scalars

    def _scalar(self, part: Part, new: Value, column: int) -> None:
        if part.is_block_text:
            self._block_text(part, new, column)
            return
        new = self._before_blank(new, after_line(self._text, part.end))
        is_long = isinstance(new, str) and "\n" in new and not isinstance(new, _Quoted)
        written = text_value(str(new), " " * (column + self._indents.mapping)) if is_long else _one_line(new, part.style)
        head, _, lines = written.partition("\n")
        gap = " " if part.body == part.end and self._text[part.body - 1] not in " \t" else ""
        self._put(part.body, part.end, gap + head)
        if lines:
            self._insert(after_line(self._text, part.end), lines + "\n")

    def _before_blank(self, value: Value, at: int) -> Value:
        """Let no text keep its last line breaks (`|+`) where a blank line follows, which would become one of them."""
        follows = self._text[at : after_line(self._text, at)]
        is_open = isinstance(value, str) and value.endswith("\n\n") and follows and not follows.strip()
        return _Quoted(quoted(str(value))) if is_open else value

    def _block_text(self, part: Part, new: Value, column: int) -> None:
        """Replace the lines of a text, as far in as they are; a comment beside its header stays."""
        header = _HEADER.match(self._text, part.body)
        start, end = after_line(self._text, part.body), after_line(self._text, part.end)
        if header is None or start > part.end:
            raise UnusualLayout
        first = next((line for line in self._text[start:end].splitlines() if line.strip()), "")
        has_indicator = any(sign in "123456789" for sign in header[0])
        indent = column + self._indents.mapping if has_indicator or not first else len(first) - len(first.lstrip(" "))
        written = text_value(new, " " * indent) if isinstance(new, str) else in_flow(new)
        head, _, lines = written.partition("\n")
        self._put(part.body, header.end(), head)
        while "+" in head and end < len(self._text) and not self._text[end : after_line(self._text, end)].strip():
            end = after_line(self._text, end)
        is_open = end == len(self._text) and not self._text.endswith("\n") and "-" in head
        self._put(start, end, f"{lines}\n" if lines and not is_open else lines)

    # Items that are a name or a mapping about one

    def _renamed_item(self, part: Part, old: Any, new: Any) -> None:
        if isinstance(new, dict):
            self._named_anew(part, old, new)
        elif not isinstance(new, str):
            raise UnusualLayout
        elif part.flow:
            self._orphans += self._comments.within(part.start, part.end)
            quote = next((value.style for value in part.items if value.kind == "scalar" and value.text == new), "")
            self._anchors.forget(part)
            self._put(part.start, part.end, _one_line(new, quote))
        else:
            self._only_name(part, new)

    def _named_anew(self, part: Part, old: Any, new: Mapping[str, Any]) -> None:
        """Let a name become a mapping with more to say; a comment beside it stays there."""
        about = next((key for key in new if key in LINK_KEYS and new[key] == old), None)
        column = part.start - line_start(self._text, part.start)
        if about is None or "\n" in self._text[part.start : part.end]:
            raise UnusualLayout
        self._anchors.forget(part)
        self._anchors.set(part, old)
        self._put(part.start, part.start, f"{about}: ")
        more = {key: value for key, value in new.items() if key != about}
        self._insert(after_line(self._text, part.end), _indented(yaml_document(more, self._indents), column))

    def _only_name(self, part: Part, new: str) -> None:
        """Let a mapping become the name that it is about."""
        index = next((number for number, key in enumerate(part.keys) if key.text in LINK_KEYS), None)
        name = part if index is None else part.items[index]
        if part.anchor or name.kind != "scalar" or name.text != new or "\n" in self._text[name.start : name.end]:
            raise UnusualLayout
        column = part.body - line_start(self._text, part.body)
        self._anchors.forget(part)
        self._anchors.set(name, new)
        if index == 0:
            self._put(part.body, name.start, "")
        else:
            self._put(part.body, self._end_of_line(part.items[0]), self._text[name.start : self._end_of_line(name)])
        for number, (key, value) in enumerate(zip(part.keys, part.items, strict=True)):
            if number:
                self._remove(key.start, value.end, part.items[number - 1].end, column)

    # Whole values

    def _anew(self, key: Part, part: Part, new: Value, column: int) -> None:
        """Write a key and its value anew."""
        self._lines_anew(key.start, part, _indented(yaml_document({key.text: new}, self._indents), column))

    def _lines_anew(self, start: int, part: Part, written: str) -> None:
        """Write the lines from a key or a dash to the end of its value anew; the comments on them are lost."""
        if not self._is_first(start) or not _REST.match(self._text, part.end):
            raise UnusualLayout
        self._anchors.forget(part)
        first, end = line_start(self._text, start), after_line(self._text, part.end)
        self._orphans += self._comments.within(first, end)
        self._put(first, end, written)

    def _replace(self, key: Part | None, part: Part, new: Value, column: int) -> None:
        """Replace a value by one of another form, beside its key or below it; a comment beside the key stays."""
        self._anchors.forget(part)
        is_below = isinstance(new, list | dict) and bool(new)
        in_lines = part.kind in ("list", "mapping") and not part.flow
        if key is None or part.is_block_text or (in_lines and any(inner.is_block_text for inner in part.inner())):
            if key is None and part.kind == "alias" and not is_below:
                self._put(part.start, part.end, in_flow(new))
                return
            raise UnusualLayout
        if part.flow:
            self._orphans += self._comments.within(part.start, part.end)
        colon = self._text.index(":", skipped(self._text, key.end)) + 1
        if in_lines:
            self._remove_lines(after_line(self._text, colon), after_line(self._text, part.end))
            if part.anchor:
                self._put(part.start, part.start + 1 + len(part.anchor), "")
        elif is_below:
            self._put(colon, part.end, "")
        if is_below:
            _, _, lines = yaml_document({key.text: new}, self._indents).partition("\n")
            self._insert(after_line(self._text, part.end), _indented(lines, column))
        else:
            text = _one_line(new, part.style)
            if in_lines:
                self._put(colon, colon, f" {text}")
            else:
                self._put(part.start, part.end, text)

    # Lines

    def _end_of_line(self, part: Part) -> int:
        """Return where the line on which a part ends does, before its line break; nothing but a comment follows the part."""
        rest = _REST.match(self._text, part.end)
        if rest is None:
            raise UnusualLayout
        return part.end + len(rest[0].rstrip("\r\n"))

    def _is_first(self, index: int) -> bool:
        """Tell whether nothing but spaces stands before a place on its line."""
        return not self._text[line_start(self._text, index) : index].strip(" ")

    def _remove(self, start: int, end: int, lowest: int | None, column: int) -> None:
        """Remove the lines of a key or of an item, and the comments directly above it if they are not wanted."""
        if not self._is_first(start) or not _REST.match(self._text, end):
            raise UnusualLayout
        first = line_start(self._text, start)
        above = self._above(start)
        if lowest is not None:
            bound = after_line(self._text, lowest)
            while bound < first and self._is_further_in(bound, column):
                bound = after_line(self._text, bound)
            above = max(above, min(bound, first))
        if above < first:
            self._orphans.append(Orphan(above, first, not self._drop))
        last = after_line(self._text, end)
        self._orphans += [each for each in self._comments.within(first, last) if self._comments.is_alone(each.start)]
        self._put(above if self._drop else first, last, "")

    def _remove_lines(self, start: int, end: int) -> None:
        """Remove lines except comments."""
        at = start
        while at < end:
            following = after_line(self._text, at)
            is_comment = _COMMENT.match(self._text, at) is not None
            if is_comment:
                self._orphans.append(Orphan(at, following, not self._drop))
            if self._drop or not is_comment:
                self._put(at, following, "")
            at = following

    def _above(self, index: int) -> int:
        """Return where the comments directly above a line begin, or the line itself."""
        found = line_start(self._text, index)
        while found:
            before = line_start(self._text, found - 1)
            if not _COMMENT.match(self._text, before):
                break
            found = before
        return found

    def _after(self, part: Part, column: int) -> int:
        """Return where the lines of a part end: comments further in than its key or dash belong to it."""
        found = after_line(self._text, part.end)
        last = part
        while last.items and not last.flow:
            last = last.items[-1]
        is_level = part.kind == "list" and not part.flow and part.body - line_start(self._text, part.body) == column
        while not last.is_block_text and found < len(self._text) and self._is_further_in(found, column, is_level=is_level):
            found = after_line(self._text, found)
        return found

    def _is_further_in(self, index: int, column: int, *, is_level: bool = False) -> bool:
        found = _COMMENT.match(self._text, index)
        return found is not None and (len(found[1]) > column or (is_level and _OUT.match(found[2]) is not None))


def indents_of(text: str, root: Part) -> Indents:
    """Return how far a document indents mappings and lists."""
    mapping, dashes = 0, -1
    for part in root.inner():
        if part.kind == "mapping" and not part.flow:
            for key, value in zip(part.keys, part.items, strict=True):
                if not value.flow and value.kind in ("list", "mapping") and "\n" in text[key.end : value.body]:
                    column = value.body - line_start(text, value.body) - (key.start - line_start(text, key.start))
                    if value.kind == "mapping":
                        mapping = mapping or column
                    elif dashes < 0:
                        dashes = column
    mapping = mapping or USUAL_INDENTS.mapping
    return Indents(mapping, dashes if dashes >= 0 else mapping)


def _one_line(value: Value, quote: str) -> str:
    if not isinstance(value, str):
        return in_flow(value)
    if isinstance(value, _Quoted):
        return str(value)
    if "\n" in value:
        raise UnusualLayout
    return spelt(value, quote)


def _indented(text: str, column: int) -> str:
    return "".join(f"{' ' * column}{line}" if line.strip() else line for line in text.splitlines(keepends=True))
