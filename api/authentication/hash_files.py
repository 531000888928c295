"""Files of password hashes that move from elsewhere: lines of htpasswd, or a JSON object of names and hashes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from api.authentication import bcrypt_hashes
from reconciler.wording.text import count

LONGEST_FILE = 16 * 1024 * 1024
"""Bytes: some 200,000 lines."""
MOST_FAULTS = 1000
"""No more are looked for: the file is another one."""
_LONGEST_NAME = 256


class Line(NamedTuple):
    """An account's hash, and where it stands."""

    number: int
    """Of the line; in JSON, of the pair within the object."""
    name: str
    hash: str

    def __repr__(self) -> str:
        """Without the hash."""
        return f"Line({self.number}, {self.name!r})"


class Fault(NamedTuple):
    """What is wrong with a line, without anything secret."""

    number: int
    message: str


class HashFile(NamedTuple):
    """What a file says, and what is wrong with it."""

    lines: list[Line]
    faults: list[Fault]
    word: str = "line"
    """What is counted."""


class Unreadable(Exception):
    """A file that is neither of both forms."""


def read(content: bytes) -> HashFile:
    """Read a file's content. Raises Unreadable."""
    if len(content) > LONGEST_FILE:
        raise Unreadable(f"has more than {count(LONGEST_FILE, 'byte')}; take it over in parts")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8 (byte {error.start + 1:,})") from None
    start = text.lstrip()[:1]
    if start == "{":
        return _judged(_pairs(text), "entry")
    if start == "[":
        raise Unreadable('is a JSON array; write an object: `{"NAME": "HASH"}`')
    return _judged(_lines(text), "line")


def _lines(text: str) -> Iterator[tuple[int, str, Any]]:
    for number, line in enumerate(io.StringIO(text, newline="\n"), 1):
        line = line.rstrip("\r\n")  # noqa: PLW2901 - the same line
        if line.strip() and not line.startswith("#"):
            name, colon, kept = line.partition(":")
            yield number, name if colon else "", kept


class _Twice(list[tuple[str, Any]]):
    """The pairs of an object, as they stand: a name may stand there twice."""


def _pairs(text: str) -> Iterator[tuple[int, str, Any]]:
    try:
        found = json.loads(text, object_pairs_hook=_Twice, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not JSON: line {error.lineno:,}, column {error.colno:,}: {error.msg}") from None
    except RecursionError:
        raise Unreadable('is nested too deeply; write one object: `{"NAME": "HASH"}`') from None
    for number, (name, kept) in enumerate(found, 1):
        yield number, name, kept


def _judged(entries: Iterator[tuple[int, str, Any]], word: str) -> HashFile:
    """What is right and what is wrong. Raises Unreadable if there is neither."""
    found = HashFile([], [], word)
    numbers: dict[str, int] = {}
    for number, name, kept in entries:
        if len(found.faults) >= MOST_FAULTS:
            break
        fault = _fault(name, kept)
        if fault is None and (first := numbers.setdefault(name.lower(), number)) != number:
            fault = f"this name is in {word} {first:,} already"
        if fault is None:
            found.lines.append(Line(number, name, kept))
        else:
            found.faults.append(Fault(number, f"`{name}`: {fault}" if _is_name(name) else fault))
    if not found.lines and not found.faults:
        raise Unreadable("holds no password hashes")
    return found


def _fault(name: str, kept: Any) -> str | None:
    if not name:
        return "this has no name; write `NAME:HASH`"
    if not _is_name(name):
        return "this is no account's name"  # and maybe a hash or a password
    return bcrypt_hashes.fault(kept) if isinstance(kept, str) else "this is no hash; it must be text"


def _is_name(text: str) -> bool:
    """Whether a text can be shown: nobody's name has a `$`, and every hash has."""
    return 0 < len(text) <= _LONGEST_NAME and "$" not in text and text.isprintable()
