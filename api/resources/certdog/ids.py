"""Ids as existing clients store them: 24 hexadecimal digits."""

from __future__ import annotations

import re

from api.state import public_ids
from api.state.declared import Kind
from api.state.reader import Reader

_ID = re.compile(r"[0-9a-fA-F]{24}")
_MOST = 999_999_999


def certificate_id(number: int) -> str:
    """The id of an entry of the register, by its number."""
    return f"{number:024x}"


def certificate_number(text: str) -> int | None:
    """The number of an entry, by its id; None if no entry can have it."""
    number = int(text, 16) if _ID.fullmatch(text) else 0
    return number if 0 < number <= _MOST else None


def is_id(text: str) -> bool:
    """Whether a text has the form of an id."""
    return _ID.fullmatch(text) is not None


class Ids:
    """The ids of users, teams and issuers. Each is read once for a request."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[tuple[Kind, str], str | None] = {}

    def of(self, kind: Kind, name: str) -> str | None:
        """The id of a name; None if there is no such resource any more. Raises StoreError."""
        if (kind, name) not in self._known:
            self._known[kind, name] = public_ids.id_of(self._reader, kind, name)
        return self._known[kind, name]

    def name(self, kind: Kind, text: str) -> str | None:
        """The name that an id stands for; None if it stands for none. Raises StoreError."""
        return public_ids.name_of(self._reader, kind, text) if is_id(text) else None
