"""A working folder: the files in it that hold resources."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from reconciler.access.problems import Problem
from reconciler.source.errors import SourceError
from reconciler.source.location import without_credentials
from reconciler.source.selection import IGNORE_FILE, ignored_by, is_candidate, is_link_of_interest, shown_path


def list_files(folder: Path) -> tuple[list[tuple[str, Path]], list[Problem]]:
    """Name (as editors and CI know it: see `_top`) and path of each file, sorted; and a warning for each link, not followed.

    Raises SourceError where there is no such folder, or it cannot be read.
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
        raise SourceError(f"`{error.filename}` cannot be read: {error.strerror}")

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


def _top(folder: Path) -> Path:
    """A folder relative to its Git work tree's root, which is where GitHub looks for a file; outside of any, as it was named."""
    place = Path(os.path.realpath(folder))  # unlike Path.resolve, it takes a loop of links as it is
    root = next((above for above in (place, *place.parents) if os.path.exists(above / ".git")), None)  # noqa: PTH110 - never raises
    return folder if root is None else place.relative_to(root)


def _mode(path: Path) -> int:
    """What a path is; nothing where it is gone meanwhile."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise SourceError(f"`{path}` cannot be read: {error.strerror}") from None


def link_warning(path: str) -> Problem:
    """The warning for a symbolic link."""
    return Problem(path, 1, 1, "symlink", "warning", "symbolic links are not followed; put the file itself here")


def submodule_warning(path: str) -> Problem:
    """The warning for a repository inside the repository."""
    return Problem(path, 1, 1, "submodule", "warning", "submodules are not read; put the files themselves here")
