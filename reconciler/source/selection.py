"""Which names can contain resources: `.yaml` and `.yml`, except names that begin with a dot."""

from __future__ import annotations

import re

_SPELT = re.compile(r"\\x[0-9a-f]{2}")
_BYTE = re.compile(rb"\\x([0-9a-f]{2})")


def is_candidate(path: str) -> bool:
    """Tell whether a path, relative to the resources' folder, may contain resources."""
    return path.endswith((".yaml", ".yml")) and is_visible(path)


def is_visible(path: str) -> bool:
    """Tell whether neither the file's name nor a folder's begins with a dot."""
    return not path.startswith(".") and "/." not in path


def shown_path(path: str) -> str:
    """Return a path as text that can be shown, stored, and used as its name: no other path has the same.

    Bytes that are not UTF-8 are spelt out, and so is a backslash that could be taken for one of them.
    """
    if "\\" in path:
        path = _SPELT.sub(lambda found: rf"\x5c{found[0][1:]}", path)
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def path_shown_as(shown: str) -> str:
    """Return the path that `shown_path` shows like this."""
    if "\\" not in shown:
        return shown
    return _BYTE.sub(lambda found: bytes.fromhex(found[1].decode()), shown.encode()).decode("utf-8", "surrogateescape")


def is_link_of_interest(path: str) -> bool:
    """Tell whether a link may point to resources: to a YAML file, or to a folder, whose name seldom has a dot."""
    return is_candidate(path) or (is_visible(path) and "." not in path.rpartition("/")[2])
