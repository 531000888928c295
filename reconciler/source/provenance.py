"""Where a commit declares a fact, and which commit last wrote that line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reconciler.access.resources import Kind, Origin, Revision
from reconciler.source.documents import Unreadable, parse
from reconciler.source.errors import SourceError
from reconciler.source.positions import locate, stands_at
from reconciler.source.repository import Repository


class Provenance(NamedTuple):
    """The line that declares a fact, and the commit that last wrote it."""

    origin: Origin
    revision: Revision


def document_line(content: bytes, kind: Kind, name: str) -> int | None:
    """Return the line where a resource's document begins, or None if the content does not declare the resource."""
    try:
        documents = parse(content)
    except Unreadable:
        return None
    for line, value in documents:
        if isinstance(value, dict) and value.get("kind") == kind and (value.get("metadata") or {}).get("name") == name:
            return line
    return None


def find_provenance(
    repository: Repository, commit: str, file: str, kind: Kind, name: str, path: Sequence[str | int]
) -> Provenance | None:
    """Find who declared the value at a path of a resource's document; None if the commit does not declare it in that file."""
    content = repository.content(commit, file)
    line = None if content is None else document_line(content, kind, name)
    if content is None or line is None or not stands_at(content, line, path):
        return None
    at, _ = locate(content, line, path)
    try:
        return Provenance(Origin(file, at), repository.blame(commit, file, at))
    except SourceError:  # for example, the history is cut off
        return None
