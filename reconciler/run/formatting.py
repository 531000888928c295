"""accord fmt: brings files into the usual order and indentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from reconciler.source.rewriting import Edit


class Formatted(NamedTuple):
    """One file: its shown name, its place, and its bytes before and after; or why it stays, and whether it has errors."""

    file: str
    path: Path
    edit: Edit
    kept: str = ""
    invalid: bool = False


def format_files(paths: Sequence[Path], folder: Path) -> Iterator[Formatted]:
    """Format files, and the resources in folders (all of a config repository: none given), in memory.

    Raises SourceError if one cannot be read.
    """
    from reconciler.source.errors import SourceError

    for path in paths or (folder,):
        if path.is_symlink():
            raise SourceError(f"`{path}` is a symbolic link, which is not followed; name what it leads to")
        for file, place in _files(path, folder):
            try:
                content = place.read_bytes()
            except OSError as error:
                raise SourceError(f"cannot read `{place}`: {error.strerror or error}") from error
            yield format_text(file, content, place)


def _files(path: Path, folder: Path) -> list[tuple[str, Path]]:
    """List the files in a path; what the config repository leaves out, its folders do too."""
    from reconciler.source.folder import list_files

    inside = path.is_dir() and folder.is_dir() and path.resolve().is_relative_to(folder.resolve())
    if not inside:
        return list_files(path)[0]
    return [(file, place) for file, place in list_files(folder)[0] if place.resolve().is_relative_to(path.resolve())]


def format_text(file: str, content: bytes, path: Path = Path()) -> Formatted:
    """Format one file's bytes."""
    from reconciler.source.formatting import formatted
    from reconciler.source.layout import NotFormatted
    from reconciler.source.rewriting import Edit

    try:
        return Formatted(file, path, Edit(content, formatted(content)))
    except NotFormatted as error:
        return Formatted(f"{file}:{error.line}", path, Edit(content, content), error.reason, error.invalid)
