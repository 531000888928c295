"""Sparse checkouts: a warning about folders that lack files with resources. It starts no git unless there is one."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.access.problems import Problem
from reconciler.source.selection import is_candidate
from reconciler.wording.text import count


def sparse_warning(folder: Path) -> list[Problem]:
    """Warn if a folder is in a sparse checkout that leaves out files with resources: what refers to them looks wrong."""
    place = Path(os.path.realpath(folder))
    top = next((above for above in (place, *place.parents) if (above / ".git").exists()), None)
    if top is None or not folder.is_dir():
        return []
    linked = (top / ".git").is_file()  # a linked work tree, whose Git folder is elsewhere
    if not linked and not (top / ".git/info/sparse-checkout").is_file():
        return []
    from reconciler.source.errors import SourceError
    from reconciler.source.git_command import find_git_dir
    from reconciler.source.repository import Repository
    from reconciler.source.work_tree import find_left_out

    path = "" if place == top else place.relative_to(top).as_posix()
    try:
        repository = Repository(find_git_dir(str(top)), str(folder))
        missing = find_left_out(repository, str(top), path)
    except SourceError:  # git does not trust this folder, which is read all the same
        return []
    cut = len(f"{path}/") if path else 0
    number = sum(is_candidate(os.fsdecode(name)[cut:]) for name in missing)
    message = (
        f"this sparse checkout leaves out {count(number, 'file')} with resources; bring them with `git sparse-checkout disable`, "
        "or check a revision with --rev HEAD"
    )
    return [Problem(".", 1, 1, "sparse-checkout", "warning", message)] if number else []
