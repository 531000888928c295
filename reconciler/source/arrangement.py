"""The usual order of a document's parts: keys as the schema lists them, and lists sorted if their order means nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from reconciler.access.fields import Codec, fields_of
from reconciler.access.resources import LINK_KEYS, RESOURCES, Kind
from reconciler.source.schema import schema_of

_SORTED: frozenset[Codec] = frozenset({"names", "names or everyone", "links", "labels"})
"""Of these, a resource keeps no order either: see `build`."""


@dataclass
class Shape:
    """What a part of a document may contain. `is_sorted`: its items or keys are sorted by name."""

    properties: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    is_sorted: bool = False


ANY = Shape()
"""A part that nothing is known of; it keeps its order."""


@cache
def shape_of(kind: Kind) -> Shape:
    """Return the shape of a kind's documents."""
    schema = schema_of(kind)
    shape = _shape(schema, schema)
    _sort(shape, RESOURCES[kind])
    return shape


def _shape(part: dict[str, Any], schema: dict[str, Any]) -> Shape:
    found = Shape()
    for form in _forms(part, schema):
        for name, inner in form.get("properties", {}).items():
            found.properties.setdefault(name, _shape(inner, schema))
        if isinstance(form.get("items"), dict):
            found.items = _shape(form["items"], schema)
    return found


def _forms(part: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a part of a schema, the definition that it refers to, and its alternatives."""
    yield part
    if "$ref" in part:
        yield from _forms(schema["$defs"][part["$ref"].removeprefix("#/$defs/")], schema)
    for keyword in ("oneOf", "anyOf", "allOf"):
        for form in part.get(keyword, ()):
            yield from _forms(form, schema)


def _sort(shape: Shape, made: type[Any], places: dict[str, Shape] | None = None) -> None:
    """Mark what is sorted, by the table of fields."""
    for each in fields_of(made).values():
        within = shape.properties["metadata" if each.metadata else "spec"].properties if places is None else places
        part = within.get(each.yaml)
        if part is None:
            continue
        if each.codec in _SORTED:
            part.is_sorted = True
        elif each.codec == "groups" and part.items is not None:
            part.items.is_sorted = True
        elif each.codec == "limits" and each.part is not None:
            _sort(shape, each.part, part.properties)


def key_order(shape: Shape) -> Callable[[str], tuple[int, str]]:
    """Return what keys are sorted by: their place in the schema, or their name; unknown ones stay in order at the end."""
    places = {name: number for number, name in enumerate(shape.properties)}
    return lambda name: (places.get(name, len(places)), name if shape.is_sorted else "")


def written_name(item: yaml.Node) -> str:
    """Return the name that an item of a list is, or is about; empty if it has none."""
    if isinstance(item, yaml.MappingNode):
        return next((str(value.value) for key, value in item.value if key.value in LINK_KEYS), "")
    return str(item.value) if isinstance(item, yaml.ScalarNode) else ""
