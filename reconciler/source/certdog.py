"""An export of the predecessor, a JSON file, as declared state."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from reconciler.access.problems import Problem
from reconciler.access.resources import DeclaredState
from reconciler.source.certdog_mapping import Mapped, mapped
from reconciler.source.certdog_shape import RULE, ExportReader
from reconciler.source.errors import SourceError
from reconciler.source.imported import Path as Keys
from reconciler.wording.text import printable

LARGEST_EXPORT = 64 * 1024 * 1024
"""Bytes."""
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}:,]|[^\s\[\]{}:,"]+')
"""Of valid JSON. `++` and `*+` remember no way back: a long text would take a hundred times its memory."""

_INDEXED = 2
"""How many steps lead to what is found at once, such as `users`, 3: what is deeper is looked for in there."""


class _Repeated(ValueError):
    """An object has a name twice."""


def import_certdog(file: Path, *, with_hashes: bool) -> Mapped:
    """Read an export; `reconciler.source.certdog_mapping` says what it becomes. If a problem is an error, it must not be used.

    Raises SourceError if the file cannot be read.
    """
    text = _read(file)
    name = file.name
    try:
        content = json.loads(text, object_pairs_hook=_unrepeated)
    except json.JSONDecodeError as error:
        return _nothing(Problem(name, error.lineno, error.colno, RULE, "error", f"this is not JSON: {error.msg}"))
    except _Repeated as error:
        return _nothing(Problem(name, 1, 1, RULE, "error", str(error)))
    except (RecursionError, ValueError):
        return _nothing(Problem(name, 1, 1, RULE, "error", "this is nested too deeply, or has a number that is too long"))
    reader = ExportReader(name, Positions(text).of)
    export = reader.read(content)
    found = mapped(name, export, with_hashes=with_hashes)
    return found._replace(problems=sorted([*reader.problems, *found.problems]))


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_EXPORT + 1)
    except OSError as error:
        raise SourceError(f"cannot read {file}: {error.strerror or error}") from error
    if len(content) > LARGEST_EXPORT:
        raise SourceError(f"{file} has more than {LARGEST_EXPORT:,} bytes; import it in parts")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{file} is not UTF-8 (byte {error.start + 1:,})") from None


def _nothing(problem: Problem) -> Mapped:
    return Mapped(problem.file, DeclaredState(), {}, {}, [problem])


def _unrepeated(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        twice = next(name for name, number in Counter(name for name, _ in members).items() if number > 1)
        raise _Repeated(f"an object has the property `{printable(twice)[:64]}` twice; remove one")
    return found


class Positions:
    """Finds the lines and columns of values in a text of valid JSON. The text is read once, however many are asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._latest: tuple[int, dict[Keys, int]] = (-1, {})

    def of(self, wanted: Keys) -> tuple[int, int]:
        """Return the line and column of the value that keys and positions lead to; of the text's beginning, if there is none."""
        stem, rest = wanted[:_INDEXED], wanted[_INDEXED:]
        at = self._index.get(stem, 0)
        if rest:
            at = self._within(at).get(rest, 0)
        line = bisect_right(self._lines, at)
        return line, at - self._lines[line - 1] + 1

    def _within(self, start: int) -> dict[Keys, int]:
        """Where values are in the one that begins at a place. Messages come in order, so the latest is often asked for again."""
        if self._latest[0] != start:
            self._latest = start, dict(_values(self._text, start))
        return self._latest[1]

    @cached_property
    def _index(self) -> dict[Keys, int]:
        return {path: at for path, at in _values(self._text, 0) if len(path) <= _INDEXED}

    @cached_property
    def _lines(self) -> list[int]:
        """Where lines begin."""
        return [0, *(found.end() for found in re.finditer("\n", self._text))]


def _values(text: str, start: int) -> Iterator[tuple[Keys, int]]:
    """Yield the path and the place of the value that begins at a place, and of those within it."""
    keys: list[str | int] = []
    opened: list[bool] = []
    expects_key = False
    for token in _TOKEN.finditer(text, start):
        word = token[0]
        if word == ",":
            if opened[-1]:
                expects_key = True
            else:
                keys[-1] = int(keys[-1]) + 1
        elif word == ":":
            expects_key = False
        elif word in "]}":
            opened.pop()
            keys.pop()
            expects_key = False
        elif expects_key:
            keys[-1] = json.loads(word)
            continue
        else:
            yield tuple(keys), token.start()
            if word in "[{":
                opened.append(word == "{")
                keys.append("" if word == "{" else 0)
                expects_key = word == "{"
        if not opened:
            return
