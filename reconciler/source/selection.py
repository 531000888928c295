"""Which files hold resources: YAML by its ending, nothing that begins with a dot, nothing that `.accordignore` names."""

from __future__ import annotations

from collections.abc import Callable

IGNORE_FILE = ".accordignore"


def is_candidate(path: str) -> bool:
    """Whether a path, relative to the resources' folder, may hold resources."""
    return path.endswith((".yaml", ".yml")) and not path.startswith(".") and "/." not in path


def ignored_by(patterns: str | None) -> Callable[[str], bool]:
    """A test for paths that a gitignore-style file names."""
    if not patterns or not patterns.strip():
        return lambda _path: False
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns.splitlines()).match_file
