"""An export of the predecessor, a JSON file, as declared state."""

from __future__ import annotations

import json
import re
from functools import partial
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
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+')


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
    reader = ExportReader(name, partial(position, text))
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
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Repeated(f"an object has the property `{printable(twice)[:64]}` twice; remove one")
    return found


def position(text: str, wanted: Keys) -> tuple[int, int]:
    """The line and column of a value in a text of valid JSON, given the keys and positions that lead to it."""
    keys: list[str | int] = []
    opened: list[bool] = []
    expects_key = False
    at = 0
    for token in _TOKEN.finditer(text):
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
        elif expects_key:
            keys[-1] = json.loads(word)
        else:
            if keys == list(wanted):
                at = token.start()
                break
            if word in "[{":
                opened.append(word == "{")
                keys.append("" if word == "{" else 0)
                expects_key = word == "{"
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
