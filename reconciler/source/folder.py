"""A working folder: the files in it that hold resources."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.plan.problems import Problem
from reconciler.source.errors import SourceError
from reconciler.source.selection import IGNORE_FILE, ignored_by, is_candidate


def list_files(folder: Path) -> tuple[list[tuple[str, Path]], list[Problem]]:
    """Name (with forward slashes) and path of each file, sorted; and a warning for each link, which is not followed.

    Raises SourceError where there is no such folder, or it cannot be read.
    """
    if folder.is_file():
        return [(folder.as_posix(), folder)], []
    if not folder.is_dir():
        raise SourceError(f"there is no folder `{folder}`")
    ignore = folder / IGNORE_FILE
    ignored = ignored_by(ignore.read_text("utf-8", "replace") if ignore.is_file() else None)
    found: list[tuple[str, Path]] = []
    skipped: list[Problem] = []

    def refuse(error: OSError) -> None:
        raise SourceError(f"`{error.filename}` cannot be read: {error.strerror}")

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in (*names, *(name for name in folders if (Path(root) / name).is_symlink())):
            path = Path(root) / name
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                if (is_candidate(relative) or path.is_dir()) and not ignored(relative):
                    skipped.append(link_warning(relative))
            elif is_candidate(relative) and not ignored(relative):
                found.append((relative, path))
    return sorted(found), sorted(skipped)


def link_warning(path: str) -> Problem:
    """The warning for a symbolic link."""
    return Problem(path, 1, 1, "symlink", "warning", "symbolic links are not followed; put the file itself here")
