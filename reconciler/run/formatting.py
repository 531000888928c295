"""accord fmt: brings files into the usual order and indentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from reconciler.run.inputs import Progress
    from reconciler.source.rewriting import Edit


class Formatted(NamedTuple):
    """One file: its shown name, its place, and its bytes before and after; or why it stays, and whether it has errors."""

    file: str
    path: Path
    edit: Edit
    kept: str = ""
    invalid: bool = False


def format_files(paths: Iterable[Path], progress: Progress = None) -> Iterator[Formatted]:
    """Format files, and the resources in folders, in memory. Raises SourceError if one cannot be read."""
    from reconciler.source.errors import SourceError

    files: dict[Path, str] = {}
    for path in paths:
        if path.is_symlink():
            raise SourceError(f"`{path}` is a symbolic link, which is not followed; name what it leads to")
        files |= {place: file for file, place in _files(path)}
    for done, (place, file) in enumerate(files.items(), 1):
        try:
            content = place.read_bytes()
        except OSError as error:
            raise SourceError(f"cannot read `{place}`: {error.strerror or error}") from error
        yield format_text(file, content, place)
        if progress is not None:
            progress(done, len(files))


def _files(path: Path) -> list[tuple[str, Path]]:
    """List the files in a path, without those that an ignore file above it hides."""
    from reconciler.source.folder import list_files
    from reconciler.source.ignoring import IGNORE_FILE

    place = path.resolve()
    folders = [place, *place.parents]
    root = next((number for number, folder in enumerate(folders) if (folder / ".git").exists()), len(folders))
    ignoring = [folder for folder in folders[1 : root + 1] if (folder / IGNORE_FILE).exists()]
    if not path.is_dir() or not ignoring:
        return list_files(path)[0]
    return [(file, found) for file, found in list_files(ignoring[-1])[0] if found.is_relative_to(place)]


def format_text(file: str, content: bytes, path: Path = Path()) -> Formatted:
    """Format one file's bytes."""
    from reconciler.source.formatting import formatted
    from reconciler.source.layout import NotFormatted
    from reconciler.source.rewriting import Edit

    try:
        return Formatted(file, path, Edit(content, formatted(content)))
    except NotFormatted as error:
        return Formatted(f"{file}:{error.line}", path, Edit(content, content), error.reason, error.invalid)
