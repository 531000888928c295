"""A working folder: the files in it that contain resources."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from reconciler.access.problems import Problem
from reconciler.source.errors import SourceError
from reconciler.source.filters import filtered_files
from reconciler.source.ignoring import IGNORE_FILE, LARGEST, Ignoring, read_ignore_files
from reconciler.source.location import shown_location
from reconciler.source.overlooked import What, select
from reconciler.source.selection import is_candidate, is_visible, shown_path


def list_files(folder: Path) -> tuple[list[tuple[str, Path]], list[Problem]]:
    """Return the name (see `_top`) and path of each file, in Git's order, and warnings about links and files that are not read.

    If an ignore file cannot be used, there are no files and it is the problem. Raises SourceError if the folder does not exist
    or cannot be read.
    """
    top = _top(folder)
    if folder.is_file():
        return [(shown_path(top.as_posix()), folder)], []
    if not folder.is_dir():
        raise SourceError(f"there is no folder `{shown_location(str(folder))}`")

    def named(relative: str) -> str:
        return shown_path((top / relative).as_posix())

    entries = list(_walk(folder))
    ignore_files = (
        (name.rpartition("/")[0], named(name), _bytes(path) if what == "file" else None)
        for name, what, path in entries
        if _is_ignore_file(name)
    )
    ignoring, refused = read_ignore_files(ignore_files)
    if refused:
        return [], refused
    found, skipped = select(entries, ignoring, lambda paths: map(_bytes, paths))
    root = work_tree_of(folder)
    filtered = filtered_files(root, [((top / name).as_posix(), path) for name, path in found]) if root else []
    return (
        [(named(name), path) for name, path in sorted(found, key=lambda each: os.fsencode(each[0]))],
        sorted([*(warning._replace(file=named(name)) for name, warning in skipped), *filtered]),
    )


def find_ignore_files(folder: Path) -> list[Path]:
    """Return the ignore files in a folder, and links in the place of one."""
    return [path for name, _, path in _walk(folder) if _is_ignore_file(name)]


def ignoring_in(folder: Path) -> Ignoring:
    """Return what the ignore file of a folder hides."""
    place = folder / IGNORE_FILE
    present = [("", str(place), None if place.is_symlink() else _bytes(place))] if place.is_symlink() or place.is_file() else []
    return read_ignore_files(present)[0]


def _is_ignore_file(name: str) -> bool:
    above, _, last = name.rpartition("/")
    return last == IGNORE_FILE and is_visible(above)


def not_read(name: str, file: Path, folder: Path) -> Problem:
    """Return the warning for a file in a folder of resources that somebody asks about, and that is not read."""
    relative = _real(file).relative_to(_real(folder)).as_posix()
    if is_candidate(relative):
        reason = f"{IGNORE_FILE} hides it"
    elif is_visible(relative):
        reason = "its name does not end in `.yaml` or `.yml`"
    else:
        reason = "its name, or that of its folder, begins with a dot"
    return Problem(name, 1, 1, "not-read", "warning", f"Accord does not read this file: {reason}")


def _walk(folder: Path) -> Iterator[tuple[str, What, Path]]:
    """Yield everything in a folder that is not itself a folder, without what is in hidden folders."""

    def refuse(error: OSError) -> None:
        raise SourceError(f"cannot read `{error.filename}`: {error.strerror}")

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in (*names, *folders):
            path = Path(root) / name
            relative = path.relative_to(folder).as_posix()
            mode = _mode(path)
            if stat.S_ISDIR(mode):
                if (path / ".git").exists():
                    folders.remove(name)
                    yield relative, "repository", path
            elif stat.S_ISLNK(mode):
                yield relative, "link", path
            elif stat.S_ISREG(mode):
                yield relative, "file", path


def _bytes(path: Path) -> bytes:
    """Return as much of a file as tells what it is."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise SourceError(f"cannot read `{path}`: {error.strerror}") from None


def root_of(folder: Path) -> str:
    """Return what the names of files have in front of their path from the root: nothing in a Git work tree."""
    return "" if work_tree_of(folder) is not None or folder == Path() else f"{shown_path(folder.as_posix())}/"


def _top(folder: Path) -> Path:
    """Return a folder relative to the root of its Git work tree, as GitHub names files; outside one, as given."""
    root = work_tree_of(folder)
    return folder if root is None else _real(folder).relative_to(root)


def work_tree_of(place: Path) -> Path | None:
    """Return the root of the Git work tree that a folder or file is in; None outside of any."""
    real = _real(place)
    return next((above for above in (real, *real.parents) if os.path.exists(above / ".git")), None)  # noqa: PTH110 - never raises


def _real(place: Path) -> Path:
    return Path(os.path.realpath(place))  # unlike Path.resolve, it accepts a loop of links


def _mode(path: Path) -> int:
    """Return a path's mode, or 0 if it has just disappeared."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise SourceError(f"cannot read `{path}`: {error.strerror}") from None
