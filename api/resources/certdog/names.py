"""Distinguished names as existing clients read them. Accord keeps them as RFC 4514 writes them, without spaces. Pure."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"(\\.)|,", re.DOTALL)
_ATTRIBUTE = re.compile(r"(?:^|[,+])CN=((?:\\.|[^\\,+])*)", re.DOTALL)
_ESCAPED = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)


def spaced(name: str) -> str:
    """A name with a space behind each comma that separates its parts."""
    return _TOKEN.sub(lambda found: found[1] or ", ", name)


def common_name(name: str) -> str | None:
    """The first common name, without the signs that escape others; None if there is none."""
    found = _ATTRIBUTE.search(name)
    return None if found is None else _ESCAPED.sub(_unescaped, found[1])


def _unescaped(found: re.Match[str]) -> str:
    return bytes.fromhex(found[1].replace("\\", "")).decode("utf-8", "replace") if found[1] else str(found[2])
