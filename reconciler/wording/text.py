"""Numbers of things, and text made safe to show."""

from __future__ import annotations

import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 team`, `1,200 teams`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """Text on one line in which nothing can hide: what moves the cursor or turns the writing direction is spelt out."""
    return "".join(f"\\u{ord(char):04x}" if unicodedata.category(char) in _HIDDEN else char for char in text)
