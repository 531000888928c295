"""What a form brings, and what an address asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from api.errors import Problem
from api.http.checking import FORM
from api.http.headers import CONTENT_TYPE

_MOST_FIELDS = 2_000
SECRET = frozenset(("password", "current", "new", "again", "csrf"))
"""Fields that are never shown again."""
_RENEWED = frozenset(("csrf",))
"""Secrets that every page has itself: a form that is shown again gets them anew."""


class Fields(NamedTuple):
    """Fields by name; a field may have several values."""

    values: Mapping[str, tuple[str, ...]]

    def text(self, name: str, default: str = "") -> str:
        """The value of a field without blanks around it; of several the first."""
        return self.values.get(name, (default,))[0].strip()

    def raw(self, name: str) -> str:
        """The value as it came: blanks may be part of a password."""
        return self.values.get(name, ("",))[0]

    def texts(self, name: str) -> list[str]:
        """All values that are not blank."""
        return [value.strip() for value in self.values.get(name, ()) if value.strip()]

    def has(self, name: str) -> bool:
        """Whether the field is there, as a ticked box is."""
        return name in self.values

    def typed(self) -> list[tuple[str, str]]:
        """What may be shown again: all but secrets."""
        return [(name, value) for name, values in self.values.items() if name not in SECRET for value in values]

    @property
    def can_be_sent_again(self) -> bool:
        """Whether what may be shown again is the whole form, so that somebody can send it once more without typing."""
        return self.values.keys().isdisjoint(SECRET - _RENEWED)

    def address(self, path: str, **changed: str | None) -> str:
        """A path with these fields as its query, some of them changed, or left out if None."""
        pairs = [(name, value) for name, value in self.typed() if name not in changed and value]
        pairs += [(name, value) for name, value in changed.items() if value]
        return f"{path}?{urlencode(pairs)}" if pairs else path


NOTHING = Fields({})


def read_fields(text: str) -> Fields:
    """The fields of a query. Raises Problem unless they are text."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Problem("the fields are too many, or not text in UTF-8") from None
    return Fields(_grouped(pairs))


def read_form(raw: bytes, environment: Mapping[str, str]) -> Fields:
    """The fields of a form's body. Raises Problem unless it is a form."""
    if environment.get(CONTENT_TYPE, "").partition(";")[0].strip().lower() != FORM:
        raise Problem(f"the body's `Content-Type` must be `{FORM}`")
    try:
        return read_fields(raw.decode("ascii"))
    except UnicodeDecodeError:
        raise Problem("the body is not a form") from None


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if "\0" in value or "\0" in name:
            raise Problem("a field contains a NUL character")
        found[name] = (*found.get(name, ()), value.replace("\r\n", "\n"))
    return found
