"""Edits the documents of one file, each as little as its layout allows, and reads the result back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from reconciler.access.resources import Key, Resource
from reconciler.source.arrangement import shape_of
from reconciler.source.blobs import read_blob
from reconciler.source.block_editing import BlockEditor
from reconciler.source.build import build
from reconciler.source.comments import Comments, Orphan
from reconciler.source.errors import SourceError
from reconciler.source.export import resource_document
from reconciler.source.placing import MODELINE
from reconciler.source.restating import Path, restated
from reconciler.source.splicing import Splice
from reconciler.source.yaml_parts import Part, after_line, line_break, line_start, part_of

_BOM = "\ufeff"
_MARKER = re.compile(r"^(?:---|\.\.\.)(?=\s|\Z)", re.MULTILINE)
_COMMENT_LINE = re.compile(r"^[ \t]*#", re.MULTILINE)
_HEADER = re.compile(r"[|>]([1-9]?)[+-]?([1-9]?)")
WAYS = 4
"""The ways to edit a document, from the one that keeps most of it to writing it anew."""


class Document(NamedTuple):
    """A valid document of a file: where it begins, and what it says."""

    start: int
    value: dict[str, Any]

    @property
    def key(self) -> Key:
        """The resource that it declares."""
        return self.value["kind"], self.value["metadata"]["name"]


class FileText(NamedTuple):
    """A file: its byte order mark, the text behind that, and its documents."""

    mark: str
    text: str
    documents: list[Document]

    @classmethod
    def read(cls, file: str, content: bytes) -> FileText:
        """Read a file's bytes. Raises SourceError if they are not YAML."""
        blob = read_blob(content)
        plain = content.decode("utf-8", "replace")
        mark = _BOM if plain.startswith(_BOM) else ""
        text = plain.removeprefix(_BOM)
        broken = next((report for report in blob.reports if report[3] == "error"), None)
        if broken is not None and not blob.documents:
            raise SourceError(f"{file}:{broken[0]} cannot be edited: {broken[4]}. Repair the file first")
        starts, at = [0], 0
        while (at := text.find("\n", at) + 1) > 0:
            starts.append(at)
        return cls(mark, text, [Document(starts[line - 1], value) for line, value in blob.documents])

    def root(self, document: Document) -> Part:
        """Return the parts of a document."""
        following = _MARKER.search(self.text, after_line(self.text, document.start))
        return part_of(self.text, document.start, following.start() if following else len(self.text))


def declared_by(content: bytes) -> list[tuple[Key, Resource]]:
    """Return what a file declares, document by document."""
    return [((value["kind"], value["metadata"]["name"]), build(value)) for _, value in read_blob(content).documents]


Found = tuple[list[Splice], list[Orphan]]
"""Splices, and the comments that they orphan or remove."""


def edited_document(file: FileText, document: Document, wanted: Resource, way: int, *, drop_comments: bool) -> Found:
    """Return how to let a document declare a resource, in one of the `WAYS`. Raises UnusualLayout."""
    root = file.root(document)
    if way == WAYS - 1:
        return _written_anew(file.text, document, root, wanted)
    emptied = [] if way else list(_better_empty(file.text, root))
    target = restated(document.value, wanted, emptied)
    editor = BlockEditor(file.text, root, drop_comments=drop_comments, whole_fields=way == WAYS - 2)
    return editor.edited(document.value, target, shape_of(document.value["kind"])), editor.orphans


def _better_empty(text: str, root: Part) -> Iterator[Path]:
    """Yield the lists that should stay as `[]` when nothing is left in them: those on one line, and those with comments."""
    for section, part in _fields(root):
        for key, value in _fields(part):
            if value.kind == "list" and value.items:
                commented = "#" in text[key.end : value.body] or _COMMENT_LINE.search(text, value.body, value.end)
                if value.flow or commented:
                    yield section.text, key.text


def _fields(part: Part) -> Iterable[tuple[Part, Part]]:
    return zip(part.keys, part.items, strict=True) if part.kind == "mapping" else ()


def _written_anew(text: str, document: Document, root: Part, wanted: Resource) -> Found:
    start, end = line_start(text, document.start), after_line(text, root.end)
    written = resource_document(document.value["kind"], wanted)
    if _MARKER.match(text, start):
        written = f"---\n{written}"
    return [Splice(start, end, written.replace("\n", line_break(text, start)))], Comments(text, [root]).within(start, end)


def last_text_kept(file: FileText, splices: Iterable[Splice]) -> list[Splice]:
    """Return how a text in which the file ends without a line break keeps its value if lines come after it now."""
    end = len(file.text)
    if not file.documents or file.text.endswith("\n") or not any(each.start == end and each.text for each in splices):
        return []
    last = file.root(file.documents[-1])
    while last.items and not last.flow:
        last = last.items[-1]
    header = _HEADER.match(file.text, last.body) if last.is_block_text else None
    if header is None or any(each.start <= last.body < each.end for each in splices):
        return []
    return [Splice(header.start() + 1, header.end(), f"{header[1]}{header[2]}-")]


def appended(file: FileText, documents: Sequence[str], *, alone: bool) -> list[Splice]:
    """Return how to add documents at the end of a file; `alone`: no other ones are left in it."""
    text, end = file.text, len(file.text)
    breaks = line_break(text, end)
    written = "".join(f"---\n{document}" for document in documents)
    if alone:
        written = written.removeprefix("---\n")
    return [Splice(end, end, ("" if text.endswith("\n") or alone else breaks) + written.replace("\n", breaks))]


class _Section(NamedTuple):
    """The lines from one marker to the next; the first one may begin without a marker."""

    start: int
    body: int
    """Where the lines behind the marker begin."""
    end: int


def removed(file: FileText, gone: Sequence[Document], *, drop_comments: bool) -> Found:
    """Return how to remove documents with their markers. Comments above one stay, unless they are to go with it.

    A comment for editors (`yaml-language-server`) at the top of the file stays in any case; others go with their documents.
    """
    text, sections = file.text, _sections(file.text)
    lines: set[int] = set()
    orphans: list[Orphan] = []
    whole: set[int] = set()
    roots: list[Part] = []
    for document in gone:
        number = next(n for n, section in enumerate(sections) if section.start <= document.start < max(section.end, 1))
        section, root = sections[number], file.root(document)
        roots.append(root)
        first, last = line_start(text, document.start), after_line(text, root.end)
        above = _comments_above(text, section.body, first)
        if above < first and not drop_comments:
            orphans.append(Orphan(above, first, stays=True))
        begin = above if drop_comments else first
        modelines = _modelines(text, section)
        beside = [at for at in (*_lines(text, section.body, begin), *_lines(text, last, section.end)) if at not in modelines]
        if not any(_COMMENT_LINE.match(text, at) for at in beside):
            whole.add(number)
            lines.update(_lines(text, section.start, section.end))
        else:
            lines.update(_lines(text, begin, last), modelines)
            following = next((each for each in sections[number + 1 :] if text.startswith("---", each.start)), None)
            marker = section if following is None else following
            if first >= section.body and _is_plain(text, marker):
                lines.update(_lines(text, marker.start, marker.body))
        if number == 0:
            lines.difference_update(modelines)
        _with_endings(text, sections, number, lines)
    if 0 in whole:
        left = next((each for n, each in enumerate(sections) if n not in whole and each.start not in lines), None)
        if left is not None and _is_plain(text, left):
            lines.update(_lines(text, left.start, left.body))
    splices = [Splice(at, after_line(text, at), "") for at in sorted(lines)]
    return splices, [*orphans, *_lost(text, roots, splices)]


def all_comments(file: FileText) -> list[Orphan]:
    """Return the comments that go with a file."""
    return _lost(file.text, map(file.root, file.documents), [Splice(0, len(file.text), "")])


def _lost(text: str, roots: Iterable[Part], splices: Sequence[Splice]) -> list[Orphan]:
    """Return the comments on removed lines, except those for editors."""
    comments, found = Comments(text, roots), []
    start = end = 0
    for splice in [*splices, Splice(len(text) + 1, 0, "")]:
        if splice.start != end:
            found += comments.within(start, end)
            start = splice.start
        end = splice.end
    return [part for each in found for part in _without_modelines(text, each)]


def _without_modelines(text: str, orphan: Orphan) -> Iterator[Orphan]:
    """Yield what is left of a comment above, between and below the lines for editors in it."""
    start = orphan.start
    for at in _lines(text, orphan.start, orphan.end):
        if MODELINE.match(text, at):
            if start < at:
                yield Orphan(start, at)
            start = after_line(text, at)
    if start < orphan.end:
        yield Orphan(start, orphan.end)


def _is_plain(text: str, section: _Section) -> bool:
    """Tell whether a section begins with a marker that has its line to itself."""
    return text[section.start : section.body].strip() == "---"


def _sections(text: str) -> list[_Section]:
    starts = [0, *(found.start() for found in _MARKER.finditer(text) if found.start())]
    ends = [*starts[1:], len(text)]
    return [
        _Section(start, after_line(text, start) if _MARKER.match(text, start) else start, end)
        for start, end in zip(starts, ends, strict=True)
    ]


def _with_endings(text: str, sections: Sequence[_Section], number: int, lines: set[int]) -> None:
    """Add the `...` that end a removed section and have nothing behind them."""
    for section in sections[number + 1 :]:
        if not text.startswith("...", section.start):
            return
        lines.update(_lines(text, section.start, section.body))
        if text[section.body : section.end].strip():
            return
        lines.update(_lines(text, section.body, section.end))


def _modelines(text: str, section: _Section) -> set[int]:
    return {at for at in _lines(text, section.start, section.end) if MODELINE.match(text, at)}


def _comments_above(text: str, lowest: int, first: int) -> int:
    """Return where the comments directly above a document begin, except those for editors."""
    found = first
    while found > lowest:
        before = line_start(text, found - 1)
        if not _COMMENT_LINE.match(text, before) or MODELINE.match(text, before):
            break
        found = before
    return found


def _lines(text: str, start: int, end: int) -> Iterator[int]:
    """Yield where each line between two places begins."""
    while start < end:
        yield start
        start = after_line(text, start)
