"""Describes the fields of resources. A resource's class is the only table of them: each attribute's annotation names its field
in YAML, how its values are written, and its column; each attribute's default is the field's default.

Reading YAML, exporting, planning and the database follow these tables. To add a field: a line of the class, a property of the
JSON Schema, and a column with its migration. Limits share a column: for one more, a migration writes it into every row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, get_type_hints

Codec: TypeAlias = Literal[
    "text",
    "flag",
    "number",
    "percent",
    "instant",
    "end",  # an instant at which something ends; written as a plain date if that ends the day
    "texts",  # whose order matters
    "names",  # sorted, since their order means nothing
    "names or everyone",
    "certificates",  # PEM texts, sorted
    "groups",  # of duties: see `duties`
    "folder",  # a path from the repository's root
    "delegations",  # each a mapping
    "labels",
    "links",  # each a name, or a mapping with more
    "limits",  # a mapping whose fields share a column
    "policies",  # sections that the reconciler only stores
]
"""How the values of a field are written; each room has its own conversions."""


class Field(NamedTuple):
    """One field. `column` defaults to the attribute's name; None means that the values have a table of their own."""

    yaml: str
    codec: Codec
    column: str | None = ""
    opposite: bool = False
    """The column holds the opposite of the flag."""
    part: type[Any] | None = None
    """The class of one link or delegation, or of the limits."""
    usual: tuple[str, Mapping[str, Any]] | None = None
    """Another attribute on which the default depends, and the default for each of its values."""
    metadata: bool = False
    """The field belongs to `metadata`, not to `spec`."""


_known: dict[type[Any], dict[str, Field]] = {}


def fields_of(resource: type[Any]) -> dict[str, Field]:
    """Return the fields of a resource, or of a part of one, by attribute, in the order in which they are shown."""
    if resource not in _known:
        _known[resource] = {
            attribute: field._replace(column=attribute) if field.column == "" else field
            for attribute, annotation in get_type_hints(resource, include_extras=True).items()
            for field in getattr(annotation, "__metadata__", ())
            if isinstance(field, Field)
        }
    return _known[resource]
