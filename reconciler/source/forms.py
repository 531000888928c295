"""Instants, addresses, durations and identifiers in other forms than Accord reads: what they mean, if that is one thing. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_MONTH_LAST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_ISO = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[Tt ]+(\d{1,2}):(\d{2})(?::(\d{2}))?(\.\d{1,6})?\s*(Z|z|UTC|[+-]\d{2}:?\d{2})?)?"
)
_ADDRESS = r"(?:mailto:\s*)?([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+)"
_ONLY_ADDRESS = re.compile(rf'(?:[^<>@]*<|[\s<()\[\],;:"]*){_ADDRESS}[\s<>()\[\],;:"]*')
"""An address in brackets after a name, or with nothing beside it but signs and blanks."""


class Advice(NamedTuple):
    """The end of a message, and what can be pasted, if that is one thing."""

    hint: str
    suggestion: str | None = None


def for_instant(text: str) -> Advice | None:
    """Return the instant that a text in another form means; None if it could mean several."""
    found, swapped, slashed = _ISO.fullmatch(text.strip()), _MONTH_LAST.fullmatch(text), _SLASHED.fullmatch(text)
    if swapped:
        return _date(swapped[3], swapped[2], swapped[1])
    if slashed:
        first, second = int(slashed[1]), int(slashed[2])
        if (first > 12) == (second > 12):
            return None
        return _date(slashed[3], slashed[2], slashed[1]) if first > 12 else _date(slashed[3], slashed[1], slashed[2])
    if found is None:
        return None
    date = _date(found[1], found[2], found[3])
    if found[4] is None or date is None:
        return date
    offset = found[8] or ""
    zone = "Z" if offset.upper() in ("", "Z", "UTC") else offset if ":" in offset else f"{offset[:3]}:{offset[3:]}"
    meant = f"{date.suggestion}T{int(found[4]):02d}:{found[5]}:{found[6] or '00'}{found[7] or ''}{zone}"
    hint = "" if offset else "; it needs an offset from UTC, such as `Z` or `+01:00`"
    return Advice(f"write `{meant}`{hint}", meant)


def _date(year: str, month: str, day: str) -> Advice | None:
    meant = f"{year}-{int(month):02d}-{int(day):02d}"
    return Advice(f"write `{meant}`", meant) if 1 <= int(month) <= 12 and 1 <= int(day) <= 31 else None


def for_address(text: str) -> Advice | None:
    """Return the one e-mail address that a text shows whole. A guess could be somebody else's, who then gets the mails."""
    found = _ONLY_ADDRESS.fullmatch(text) if len(text) <= 400 and text.isascii() else None
    return Advice(f"write only the address, `{found[1]}`", found[1]) if found and found[1] != text else None


def for_identifier(text: str) -> Advice | None:
    """Return the identifier that hexadecimal digits in capitals mean."""
    meant = text.strip().lower()
    return Advice(f"write `{meant}`", meant) if meant != text and re.fullmatch("[0-9a-f]{24}", meant) else None


def for_duration(text: str) -> Advice | None:
    """Return the duration that a number and a word mean."""
    found = re.fullmatch(r"\s*([1-9]\d{0,5})\s*(s|m|h|d|sec|min|hour|day|week|second|minute|hr)s?\s*", text.casefold())
    if found is None:
        return None
    meant = f"{int(found[1]) * 7}d" if found[2] == "week" else f"{found[1]}{found[2][0]}"
    return Advice(f"write `{meant}`", meant)
