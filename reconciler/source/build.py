"""Builds resources from documents that match their schema, by the table of their fields (`reconciler/access/fields.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import orjson

from reconciler.access.delegation import folder_path
from reconciler.access.duties import duty_of
from reconciler.access.fields import Codec, fields_of
from reconciler.access.instants import parse_instant
from reconciler.access.resources import RESOURCES, Kind, Resource
from reconciler.source.schema import schema_of

_Read = Callable[[Any], Any] | None
"""Converts what YAML has to a value; None: they are the same."""


@cache
def section_defaults() -> dict[str, dict[str, Any]]:
    """Return the defaults of the settings, by section and key."""
    sections = schema_of("Settings")["properties"]["spec"]["properties"]
    return {
        section: {key: schema["default"] for key, schema in content["properties"].items()}
        for section, content in sections.items()
        if "properties" in content
    }


def _names(value: list[str]) -> tuple[str, ...]:
    return tuple(sorted(value)) if len(value) > 1 else tuple(value)


def _policies(sections: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        sorted(
            (section, orjson.dumps({**usual, **sections.get(section, {})}, option=orjson.OPT_SORT_KEYS).decode())
            for section, usual in section_defaults().items()
            if section != "guards"
        )
    )


_READ: Mapping[Codec, _Read] = {
    "text": None,
    "flag": None,
    "number": None,
    "percent": lambda text: float(text.removesuffix("%")),
    "instant": parse_instant,
    "end": parse_instant,
    "texts": tuple,
    "names": _names,
    "certificates": _names,
    "names or everyone": lambda value: value if value == "everyone" else _names(value),
    "groups": lambda value: tuple(sorted(tuple(sorted(map(duty_of, duties))) for duties in value)),
    "folder": folder_path,
    "labels": lambda value: tuple(sorted(value.items())),
    "policies": _policies,
}


class _Form(NamedTuple):
    """How to make resources of a kind, or parts of one: start from the blank values, and replace those that YAML gives."""

    type: type[Any]
    blank: list[Any]
    metadata: dict[str, tuple[int, _Read]]
    spec: dict[str, tuple[int, _Read]]
    """By a field's name in YAML: the position of its value, and how to read it."""
    usual: list[tuple[int, int, Mapping[str, Any]]]
    """Positions of values whose default depends on another value, the position of that one, and the default for each."""


def _form(made: type[Any]) -> _Form:
    fields, index = fields_of(made), made._fields.index
    places = {name: (field, (index(name), reader(field.codec, field.part))) for name, field in fields.items()}
    return _Form(
        type=made,
        blank=[None if name in fields and fields[name].usual else made._field_defaults.get(name) for name in made._fields],
        metadata={"name": (0, None), **{field.yaml: place for field, place in places.values() if field.metadata}},
        spec={field.yaml: place for field, place in places.values() if not field.metadata},
        usual=[(index(name), index(field.usual[0]), field.usual[1]) for name, field in fields.items() if field.usual],
    )


def reader(codec: Codec, part: type[Any] | None = None) -> _Read:
    """Return the function that converts what YAML has to a field's value; None: they are the same."""
    if part is None:
        return _READ[codec]
    form, new = _form(part), tuple.__new__
    read_one = _filled(form)
    if codec == "limits":
        return read_one

    def read_links(items: list[Any]) -> tuple[Any, ...]:
        rest = form.blank[1:]
        links = [new(part, (item, *rest)) if item.__class__ is str else read_one(item) for item in items]
        return tuple(sorted(links, key=_first) if len(links) > 1 else links)

    return read_links


def _first(item: tuple[Any, ...]) -> Any:
    return item[0]


def _filled(form: _Form) -> Callable[[dict[str, Any]], Any]:
    """Make a function that builds one part from a mapping."""
    new, (made, blank, _, spec, _) = tuple.__new__, form

    def fill(content: dict[str, Any]) -> Any:
        values = blank.copy()
        for key, value in content.items():
            index, read = spec[key]
            values[index] = value if read is None else read(value)
        return new(made, values)

    return fill


@cache
def _form_of(kind: Kind) -> _Form:
    return _form(RESOURCES[kind])


def build(value: dict[str, Any]) -> Resource:
    """Build the resource of a document without problems."""
    spec, kind = value.get("spec") or {}, value["kind"]
    if kind == "Settings":
        spec = {"guards": spec.get("guards", {}), "delegation": spec.get("delegation", []), "policies": spec}
    made, blank, places_in_metadata, places, usual = _form_of(kind)
    values = blank.copy()
    for key, said in value["metadata"].items():
        index, read = places_in_metadata[key]
        values[index] = said if read is None else read(said)
    for key, said in spec.items():
        index, read = places[key]
        values[index] = said if read is None else read(said)
    for index, on, by_value in usual:
        if values[index] is None:
            values[index] = by_value[values[on]]
    return tuple.__new__(made, values)  # type: ignore[no-any-return]
