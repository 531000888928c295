"""Which names can contain resources: `.yaml` and `.yml`, except names that begin with a dot."""

from __future__ import annotations


def is_candidate(path: str) -> bool:
    """Tell whether a path, relative to the resources' folder, may contain resources."""
    return path.endswith((".yaml", ".yml")) and is_visible(path)


def is_visible(path: str) -> bool:
    """Tell whether neither the file's name nor a folder's begins with a dot."""
    return not path.startswith(".") and "/." not in path


def shown_path(path: str) -> str:
    """Return a path as text that can be shown and stored; bytes that are not UTF-8 are spelt out."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_link_of_interest(path: str) -> bool:
    """Tell whether a link may point to resources: to a YAML file, or to a folder, whose name seldom has a dot."""
    return is_candidate(path) or (is_visible(path) and "." not in path.rpartition("/")[2])
