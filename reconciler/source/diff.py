"""A unified diff of one file, for `git apply`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import unified_diff
from io import StringIO

_TO_QUOTE = re.compile(r'[\x00-\x1f\x7f"\\]')


def file_diff(file: str, old: str, new: str) -> Iterator[str]:
    """Yield the lines of a unified diff of one file. An empty text means that there is no file."""
    before, after = (_quoted(f"{side}/{file}") if text else "/dev/null" for side, text in (("a", old), ("b", new)))
    for line in unified_diff(_lines(old), _lines(new), before, after):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Split text into lines as Git does; YAML also ends lines at other characters."""
    return list(StringIO(text, newline="\n"))


def _quoted(path: str) -> str:
    """Quote a path as Git does, if a character in it could end it too early."""
    escaped = _TO_QUOTE.sub(lambda match: f"\\{ord(match[0]):03o}", path)
    return path if escaped == path else f'"{escaped}"'
