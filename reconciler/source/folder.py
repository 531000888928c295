"""A working folder: the files in it that contain resources."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from reconciler.access.problems import Problem
from reconciler.source.errors import SourceError
from reconciler.source.location import without_credentials
from reconciler.source.selection import IGNORE_FILE, ignored_by, is_candidate, is_link_of_interest, shown_path


def list_files(folder: Path) -> tuple[list[tuple[str, Path]], list[Problem]]:
    """Return the name (see `_top`) and path of each file, sorted, and a warning for each link, which is not followed.

    Raises SourceError if the folder does not exist or cannot be read.
    """
    top = _top(folder)
    if folder.is_file():
        return [(shown_path(top.as_posix()), folder)], []
    if not folder.is_dir():
        raise SourceError(f"there is no folder `{without_credentials(str(folder))}`")
    ignore = folder / IGNORE_FILE
    is_regular = ignore.is_file() and not ignore.is_symlink()
    ignored = ignored_by(ignore.read_text("utf-8", "replace") if is_regular else None)
    found: list[tuple[str, Path]] = []
    skipped: list[Problem] = []

    def named(relative: str) -> str:
        return shown_path((top / relative).as_posix())

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
                    if not ignored(relative):
                        skipped.append(submodule_warning(named(relative)))
            elif stat.S_ISLNK(mode):
                if is_link_of_interest(relative) and not ignored(relative):
                    skipped.append(link_warning(named(relative)))
            elif stat.S_ISREG(mode) and is_candidate(relative) and not ignored(relative):
                found.append((named(relative), path))
    return sorted(found), sorted(skipped)


def root_of(folder: Path) -> str:
    """Return what the names of files have in front of their path from the root: nothing in a Git work tree."""
    return "" if _work_tree(folder) is not None or folder == Path() else f"{shown_path(folder.as_posix())}/"


def _top(folder: Path) -> Path:
    """Return a folder relative to the root of its Git work tree, as GitHub names files; outside one, as given."""
    root = _work_tree(folder)
    return folder if root is None else Path(os.path.realpath(folder)).relative_to(root)


def _work_tree(folder: Path) -> Path | None:
    place = Path(os.path.realpath(folder))  # unlike Path.resolve, it accepts a loop of links
    return next((above for above in (place, *place.parents) if os.path.exists(above / ".git")), None)  # noqa: PTH110 - never raises


def _mode(path: Path) -> int:
    """Return a path's mode, or 0 if it has just disappeared."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise SourceError(f"cannot read `{path}`: {error.strerror}") from None


def link_warning(path: str) -> Problem:
    """Return the warning for a symbolic link."""
    return Problem(path, 1, 1, "symlink", "warning", "symbolic links are not followed; put the file itself here")


def submodule_warning(path: str) -> Problem:
    """Return the warning for a repository inside the repository."""
    return Problem(path, 1, 1, "submodule", "warning", "submodules are not read; put the files themselves here")
