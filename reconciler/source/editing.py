"""Edits YAML files so that they declare wanted resources, and keeps every byte outside the lines that must change.

The result is read back before it is returned: it must declare exactly the wanted resources and leave all others unchanged.
Otherwise a cruder way is tried, at worst writing one document anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from reconciler.access.resources import Key, Kind, Resource
from reconciler.source.blobs import read_blob
from reconciler.source.build import build
from reconciler.source.comments import Orphan
from reconciler.source.document_editing import (
    WAYS,
    Document,
    FileText,
    all_comments,
    appended,
    declared_by,
    edited_document,
    last_text_kept,
    removed,
)
from reconciler.source.errors import SourceError
from reconciler.source.export import resource_document
from reconciler.source.placing import Place, Places
from reconciler.source.splicing import Splice, refuse_overlaps, spliced
from reconciler.source.yaml_parts import UnusualLayout

Content = Callable[[str], bytes | None]
"""Returns a file's bytes by path, or None if there is no such file."""


class ResourceEdit(NamedTuple):
    """What a resource should become. `name`: as it is declared now; `file`: the one that declares it now.

    `declared` is None if it is new (then `file`, if given, is where it goes), and `wanted` if it is removed.
    """

    kind: Kind
    name: str
    declared: Resource | None
    wanted: Resource | None
    file: str | None


class OrphanComment(NamedTuple):
    """A comment directly above something that was removed, or one that goes: its file, its first line (from 1, as it was), its
    text, and whether it stays."""

    file: str
    line: int
    text: str
    stays: bool


class Edited(NamedTuple):
    """The new bytes of each file that changes (None: it is removed, since nothing is left in it), and the orphaned comments."""

    files: dict[str, bytes | None]
    comments: tuple[OrphanComment, ...] = ()


class Dropping(NamedTuple):
    """Whether the comments directly above something removed go with it."""

    items: bool = False
    documents: bool = False


def edit_files(
    edits: Iterable[ResourceEdit],
    content: Content,
    paths: Sequence[str] = (),
    *,
    drop_comments: bool = False,
    root: str = "",
    is_free: Callable[[str], bool] | None = None,
) -> Edited:
    """Return the files in which the resources are as wanted. `paths`: of the configuration, to find a place for what is new.

    All paths begin at the folder of all resources, which is at `root` in the repository. A comment directly above something
    removed stays, or goes with it (`drop_comments`). `is_free` is that of `Places`. Raises SourceError if a file cannot declare
    what is wanted.
    """
    return edit_each(edits, content, Dropping(drop_comments, drop_comments), Places(content, paths, root, is_free))


def edit_each(edits: Iterable[ResourceEdit], content: Content, dropping: Dropping, places: Places) -> Edited:
    """Edit files as `edit_files` does, with comments above items and above documents dropped or not, each by itself."""
    files: dict[str, list[ResourceEdit]] = {}
    new: dict[str, Place] = {}
    for edit in edits:
        file = edit.file
        if edit.declared is not None and file is None:
            raise SourceError(f"no file is known that declares {edit.kind} `{edit.name}`; edit its file by hand")
        if file is None and edit.wanted is not None:
            place = places.of(edit.kind, edit.wanted)
            file = place.file
            new[file] = place
        if file is not None:
            files.setdefault(file, []).append(edit)
    found: dict[str, bytes | None] = {}
    comments: list[OrphanComment] = []
    for file, of_file in sorted(files.items()):
        before = content(file)
        after, orphans = _Editing(file, before or b"", of_file, dropping, new[file].head if file in new else "").result()
        if after != before and (after is not None or before is not None):
            found[file] = after
        comments += orphans
    return Edited(found, tuple(comments))


class _Editing:
    """One file and all that should change in it."""

    def __init__(self, file: str, content: bytes, edits: Sequence[ResourceEdit], dropping: Dropping, head: str) -> None:
        self._name, self._dropping, self._head = file, dropping, head
        self._file = FileText.read(file, content)
        self._added = [edit for edit in edits if edit.declared is None and edit.wanted is not None]
        self._changed: list[tuple[Document, ResourceEdit]] = []
        self._gone: list[Document] = []
        documents = {document.key: document for document in reversed(self._file.documents)}
        for edit in edits:
            if edit.declared is None:
                continue
            document = documents.get((edit.kind, edit.name))
            if document is None:
                raise SourceError(f"{file} does not declare {edit.kind} `{edit.name}`; read the files again, or edit it by hand")
            if edit.wanted is None:
                self._gone.append(document)
            else:
                self._changed.append((document, edit))
        self._expected = self._expectation()

    def _expectation(self) -> list[tuple[Key, Resource]]:
        wanted = {document.start: edit.wanted for document, edit in self._changed}
        gone = {document.start for document in self._gone}
        found: list[tuple[Key, Resource]] = []
        for document in self._file.documents:
            if document.start not in gone:
                resource = wanted.get(document.start) or build(document.value)
                found.append(((document.key[0], resource.name), resource))
        return [*found, *(((edit.kind, edit.wanted.name), edit.wanted) for edit in self._added if edit.wanted)]

    def result(self) -> tuple[bytes | None, list[OrphanComment]]:
        """Return the file's new bytes, None if nothing is left in it, and the orphaned comments. Raises SourceError."""
        if not self._expected:
            return None, self._comments(all_comments(self._file))
        ways = [0] * len(self._changed)
        while True:
            found = self._attempt(ways)
            if isinstance(found, int):
                wrong: Collection[int] = [found]
            else:
                content, orphans = found
                declared = declared_by(content)
                if declared == self._expected:
                    return content, self._comments(orphans)
                wrong = self._wrong(declared)
            worse = [number for number in wrong if ways[number] < WAYS - 1]
            if not worse and not isinstance(found, int):
                worse = [number for number, way in enumerate(ways) if way < WAYS - 1]
            if not worse:
                raise self._refused(wrong)
            for number in worse:
                ways[number] += 1

    def _attempt(self, ways: Sequence[int]) -> tuple[bytes, list[Orphan]] | int:
        """Return the new bytes and the orphaned comments, or the number of a change that is not possible in this way."""
        splices: list[Splice] = []
        orphans: list[Orphan] = []
        for number, (document, edit) in enumerate(self._changed):
            assert edit.wanted is not None
            try:
                found = edited_document(self._file, document, edit.wanted, ways[number], drop_comments=self._dropping.items)
                refuse_overlaps(found[0])
            except (UnusualLayout, ValueError):
                return number
            splices += found[0]
            orphans += found[1]
        found = removed(self._file, self._gone, drop_comments=self._dropping.documents)
        splices += found[0]
        orphans += found[1]
        documents = [resource_document(edit.kind, edit.wanted) for edit in self._added if edit.wanted is not None]
        if documents:
            splices += appended(self._file, documents, alone=len(self._gone) == len(self._file.documents))
        splices += last_text_kept(self._file, splices)
        head = "" if self._file.text.strip() else self._head
        return (self._file.mark + head + spliced(self._file.text, splices)).encode(), orphans

    def _wrong(self, declared: Sequence[tuple[Key, Resource]]) -> Collection[int]:
        """Return the numbers of the changes that did not come out as wanted; all of them if it cannot be told."""
        at = {document.start: number for number, (document, _) in enumerate(self._changed)}
        stay = [document for document in self._file.documents if document not in self._gone]
        if len(declared) == len(self._expected):
            differ = [n for n, pair in enumerate(zip(declared, self._expected, strict=True)) if pair[0] != pair[1]]
            return {at[stay[n].start] for n in differ if n < len(stay) and stay[n].start in at} or range(len(at))
        return range(len(at))

    def _refused(self, wrong: Iterable[int]) -> SourceError:
        edits = [self._changed[number][1] for number in wrong] or [*(edit for _, edit in self._changed), *self._added]
        for edit in [*self._added, *edits]:
            assert edit.wanted is not None
            for _, _, _, severity, message, _ in read_blob(resource_document(edit.kind, edit.wanted).encode()).reports:
                if severity == "error":
                    return SourceError(f"{self._name} cannot declare {edit.kind} `{edit.wanted.name}` as wanted: {message}")
        what = ", ".join(f"{edit.kind} `{edit.name}`" for edit in edits[:3]) or "what is wanted"
        return SourceError(f"cannot edit {self._name} so that it declares {what} as wanted; edit this file by hand")

    def _comments(self, orphans: Iterable[Orphan]) -> list[OrphanComment]:
        text, found = self._file.text, []
        for start, end, stays in sorted(set(orphans)):
            said = "\n".join(line.strip() for line in text[start:end].strip().splitlines())
            found.append(OrphanComment(self._name, text.count("\n", 0, start) + 1, said, stays))
        return found
