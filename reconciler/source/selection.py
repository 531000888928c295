"""Which files hold resources: YAML by its ending, nothing that begins with a dot, nothing that `.accordignore` names."""

from __future__ import annotations

from collections.abc import Callable

IGNORE_FILE = ".accordignore"


def is_candidate(path: str) -> bool:
    """Whether a path, relative to the resources' folder, may hold resources."""
    return path.endswith((".yaml", ".yml")) and is_visible(path)


def is_visible(path: str) -> bool:
    """Whether neither a file nor the folders it is in begin with a dot."""
    return not path.startswith(".") and "/." not in path


def shown_path(path: str) -> str:
    """A path as text; bytes that are not UTF-8 are spelt out, so that it can be shown and stored."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_link_of_interest(path: str) -> bool:
    """Whether a link may stand for what would be read: a file by its ending, or a folder, which seldom has one."""
    return is_candidate(path) or (is_visible(path) and "." not in path.rpartition("/")[2])


def ignored_by(patterns: str | None) -> Callable[[str], bool]:
    """A test for paths that a gitignore-style file names."""
    if not patterns or not patterns.strip():
        return lambda _path: False
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns.splitlines()).match_file
