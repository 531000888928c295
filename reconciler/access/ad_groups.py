"""AD groups as teams name them: by sAMAccountName, alone or as `DOMAIN\\name`, by distinguished name or by SID."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SID = re.compile(r"S-1-[0-9]+(-[0-9]+){1,15}", re.IGNORECASE)
_PART = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)*)\s*=\s*\S.*", re.DOTALL)
"""A part of a distinguished name (RFC 4514), such as `OU=Groups`."""
_PARTS = re.compile(r"(?<!\\),")
_NEVER = '"/\\[]:;|=,+*?<>'
"""What no sAMAccountName has."""


def folded(groups: Iterable[str]) -> frozenset[str]:
    """Return AD groups as they are compared: a directory does not tell names apart by case."""
    return frozenset(map(str.casefold, groups))


def form(text: str) -> str:
    """Tell which form a name, or a pattern for names, has; the same group has another name in each."""
    if text.upper().startswith("S-1-"):
        return "SID"
    return "distinguished name" if "=" in text else "DOMAIN\\name" if "\\" in text else "name"


def check_group(text: str) -> None:
    """Raise ValueError, with a message for people, if no group can have this name."""
    if text.upper().startswith("S-1-"):
        if not _SID.fullmatch(text):
            raise ValueError(f"`{text}` is not a SID; write it as in `S-1-5-21-1004336348-1177238915-682003330-512`")
        return
    parts = _PARTS.split(text)
    if len(parts) > 1 and all(map(_PART.fullmatch, parts)):
        return
    if _PART.fullmatch(text):
        raise ValueError(f"`{text}` is only a part of a distinguished name; write all of it, in quotes")
    domain, _, name = text.rpartition("\\")
    never = next((char for char in (name or text) + domain if char in _NEVER), None)
    if never is not None:
        raise ValueError(
            f"`{text}` names no group: `{never}` is in no sAMAccountName. Write the name, `DOMAIN\\name`, "
            "the whole distinguished name in quotes, or the SID"
        )


def pieces_at(items: Sequence[object], start: int) -> list[str]:
    """Return the pieces of a distinguished name that a list without quotes has cut at its commas, if one begins at an item."""
    pieces: list[str] = []
    for item in items[start:]:
        escaped = bool(pieces) and pieces[-1].endswith("\\")
        if not isinstance(item, str) or not (escaped or (_PART.fullmatch(item) and len(_PARTS.split(item)) == 1)):
            break
        pieces.append(item)
    return pieces if len(pieces) > 1 else []
