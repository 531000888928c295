"""Whether a branch could have brought what is in a folder. It starts no git unless the folder is in a work tree.

A cache or a mirror that a branch brings could grant access that Git does not: a checkout makes its files this user's own.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from reconciler.source.errors import SourceError
from reconciler.source.folder import work_tree_of

_MOST_LINKS = 40
"""As Linux allows on the way to one file."""


def why_not_trusted(folder: Path) -> str | None:
    """Return why a folder, which may not exist yet, could hold what a branch brought; None if it cannot."""
    from reconciler.source.git_command import tracks

    for place, name in _places(folder):
        root = work_tree_of(place)
        if root is not None and ".git" not in place.relative_to(root).parts:  # there, no branch brings anything
            try:
                if tracks(root, place / name):
                    return "Git tracks files there, or a link to it, so a branch could have brought what is in it"
            except SourceError as error:
                return f"a branch could have brought what is in it, and Git cannot tell: {error}"
    return None


def _places(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each link on the way to a folder, by its real folder and its name, and then the real folder itself.

    Raises OSError if the links lead nowhere.
    """
    links = 0
    waiting, real = [*reversed(Path(os.getcwd(), folder).parts)], Path("/")  # noqa: PTH109 - may be anywhere
    while waiting:
        name = waiting.pop()
        at = real / name
        if at.is_symlink():
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
            yield real, name
            waiting += reversed(at.readlink().parts)
        else:
            real = real.parent if name == ".." else at
    yield real, ""
