"""Counts, and text made safe to show."""

from __future__ import annotations

import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def count(number: int, noun: str, plural: str = "") -> str:
    """Return `1 team` or `1,200 teams`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """Put text on one line in which nothing hides: spell out characters that move the cursor or turn the writing direction."""
    return "".join(f"\\u{ord(char):04x}" if unicodedata.category(char) in _HIDDEN else char for char in text)
