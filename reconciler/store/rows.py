"""Converts resources to the columns of their tables and back, by the table of their fields (`reconciler/access/fields.py`).

Raises DatabaseCorrupt for values that Accord never writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from operator import itemgetter, not_
from typing import Any, NoReturn, TypeVar

import orjson

from reconciler.access.fields import Codec, fields_of
from reconciler.access.resources import (
    RESOURCES,
    Delegation,
    EmailTemplate,
    Guards,
    Issuer,
    Kind,
    Labels,
    Membership,
    Permission,
    Resource,
    Settings,
    Team,
    User,
)
from reconciler.store.errors import DatabaseCorrupt
from reconciler.store.tables import TABLES, instant_text, read_instant

_COMMON = ("id", "name", "file", "labels", "previously")
_MORE = {"users": ("source",)}
"""Columns that belong to no field and are read with a resource."""
_R = TypeVar("_R", bound=Resource)


def _read_columns(kind: Kind, table: str) -> list[str]:
    own = [field.column for field in fields_of(RESOURCES[kind]).values() if field.column is not None]
    return [*_COMMON, *_MORE.get(table, ()), *(column for column in own if column not in _COMMON)]


COLUMNS = {table.name: ", ".join(_read_columns(kind, table.name)) for kind, table in TABLES.items()}
"""The columns that the `read_` functions take, by table."""


def _json(value: Any) -> str:
    return orjson.dumps(value).decode() if value else "[]"


@lru_cache(maxsize=4_096)
def _labels_json(labels: Labels) -> str:
    return orjson.dumps(dict(labels)).decode()


_WRITE: Mapping[Codec, Callable[[Any], Any] | None] = {
    "text": None,
    "flag": None,
    "instant": lambda value: value and instant_text(value),
    "texts": _json,
    "names": _json,
    "certificates": _json,
    "names or everyone": _json,
    "labels": _labels_json,
    "limits": lambda value: orjson.dumps(value._asdict()).decode(),
    "delegations": lambda value: orjson.dumps([each._asdict() for each in value]).decode(),
    "policies": lambda value: orjson.dumps(dict(value)).decode(),
}
"""Converts a value to what its column holds; None: they are the same."""


@cache
def column_writer(kind: Kind) -> tuple[tuple[str, ...], Callable[[Resource], list[Any]]]:
    """Return the declared columns of a kind's rows, and the function that converts a resource to their values."""
    made = RESOURCES[kind]
    kept = {attribute: field for attribute, field in fields_of(made).items() if field.column is not None}
    pick = itemgetter(0, *map(made._fields.index, kept))
    how = [not_ if field.opposite else _WRITE[field.codec] for field in kept.values()]
    changing = [(place, write) for place, write in enumerate(how, 1) if write is not None]

    def values(resource: Resource) -> list[Any]:
        found = list(pick(resource))
        for place, write in changing:
            found[place] = write(found[place])
        return found

    return ("name", *(field.column or "" for field in kept.values())), values


def column_values(kind: Kind, resource: Resource) -> dict[str, Any]:
    """Return the declared columns of a resource's own row, as the database stores them."""
    columns, values = column_writer(kind)
    return dict(zip(columns, values(resource), strict=True))


_YES_OR_NO = {0: False, 1: True}
"""SQLite stores any text in any column, and `no` would count as true."""
_NO_OR_YES = {0: True, 1: False}


def _reader(kind: Kind, made: type[_R]) -> Callable[..., _R]:
    """Make a function that reads a resource from a row of `COLUMNS`, and its links, which have tables of their own."""
    fields = fields_of(made)
    columns = [*_read_columns(kind, TABLES[kind].name), *(name for name, field in fields.items() if field.column is None)]
    pick = itemgetter(1, *(columns.index(field.column or attribute) for attribute, field in fields.items()))
    how = [_NO_OR_YES.__getitem__ if field.opposite else _READ[field.codec] for field in fields.values()]
    changing = [(place, read) for place, read in enumerate(how, 1) if read is not None]
    new = tuple.__new__

    def read_row(row: Any, *links: tuple[Any, ...]) -> _R:
        found = list(pick((*row, *links) if links else row))
        try:
            for place, read in changing:
                found[place] = read(found[place])
        except KeyError as error:
            _refuse(f"{error.args[0]}` for `{row[1]}", "yes or no (1 or 0)")
        return new(made, found)

    return read_row


def read_until(text: str | None) -> datetime | None:
    """Read an instant from a column that may be empty."""
    return None if text is None else read_instant(text)


def read_texts(text: str) -> tuple[str, ...]:
    """Read a list of texts."""
    if text == "[]":
        return ()
    found = read_json(text)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        _refuse(text, "a list of texts")
    return tuple(found)


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    if text == "{}":
        return ()
    found = read_json(text)
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        _refuse(text, "a mapping of texts")
    return tuple(sorted(found.items()))


def _guards(text: str) -> Guards:
    found = read_json(text)
    if not isinstance(found, dict) or found.keys() != set(Guards._fields):
        _refuse(text, "every guard's limit")
    duties = found.pop("separation_of_duties")
    limits_are_numbers = all(value is None or isinstance(value, int | float) for value in found.values())
    if not limits_are_numbers or not isinstance(duties, list) or not all(isinstance(teams, list) for teams in duties):
        _refuse(text, "every guard's limit")
    return Guards(**found, separation_of_duties=tuple(read_texts(_json(teams)) for teams in duties))


def _delegations(text: str) -> tuple[Delegation, ...]:
    found = read_json(text)
    if not isinstance(found, list):
        _refuse(text, "a list of delegations")
    return tuple(_delegation(each, text) for each in found)


def _delegation(found: Any, text: str) -> Delegation:
    """Read one delegation, whole or not at all: by hand, a value must not become one that permits more."""
    fields = fields_of(Delegation)
    if not isinstance(found, dict) or found.keys() != fields.keys():
        _refuse(text, "a delegation with all of its fields")
    return Delegation(**{attribute: _part(field.codec, found[attribute], text) for attribute, field in fields.items()})


def _part(codec: Codec, value: Any, text: str) -> Any:
    if codec in ("names", "names or everyone") and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if isinstance(value, bool) and codec == "flag":
        return value
    if isinstance(value, str) and (codec == "folder" or (codec == "names or everyone" and value == "everyone")):
        return value
    raise _corrupt(text, "a delegation's lists, flags and path")


def read_json(text: str) -> Any:
    """Read a JSON column. Raises DatabaseCorrupt if it is not JSON."""
    try:
        return orjson.loads(text)
    except ValueError:
        _refuse(text, "JSON")


def _refuse(text: str, expected: str) -> NoReturn:
    raise _corrupt(text, expected)


def _corrupt(text: str, expected: str) -> DatabaseCorrupt:
    return DatabaseCorrupt(
        f"the database has `{text[:80]}` instead of {expected}; somebody wrote it by hand, so correct it there"
    )


_READ: Mapping[Codec, Callable[[Any], Any] | None] = {
    "text": None,
    "flag": _YES_OR_NO.__getitem__,
    "instant": read_until,
    "texts": read_texts,
    "names": read_texts,
    "certificates": read_texts,
    "names or everyone": lambda text: "everyone" if text == '"everyone"' else read_texts(text),
    "labels": _labels,
    "links": None,
    "limits": _guards,
    "delegations": _delegations,
    "policies": _labels,
}
"""Converts what a column holds to a value; None: they are the same."""

read_user: Callable[[Any], User] = _reader("User", User)
read_team: Callable[[Any, tuple[Membership, ...], tuple[Permission, ...]], Team] = _reader("Team", Team)
read_issuer: Callable[[Any], Issuer] = _reader("Issuer", Issuer)
read_template: Callable[[Any], EmailTemplate] = _reader("EmailTemplate", EmailTemplate)
read_settings: Callable[[Any], Settings] = _reader("Settings", Settings)
