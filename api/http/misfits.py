"""What does not fit a schema, in words: where it is, and what is expected. The value is never shown, as it may be a password."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonschema_rs

from api.http.schemas import COMPONENTS
from api.http.shapes import FORMATS, PATTERNS
from reconciler.wording.nearest import did_you_mean
from reconciler.wording.text import count, printable

Error = jsonschema_rs.ValidationError
Place = Sequence[str | int]
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_EXPECTED: Mapping[str, Callable[[Any], str]] = {
    "type": lambda names: "must be " + " or ".join(_TYPES.get(name, name) for name in names),
    "enum": lambda values: "must be one of " + ", ".join(f"`{value}`" for value in values),
    "pattern": lambda pattern: PATTERNS.get(pattern, f"must match `{pattern}`"),
    "format": lambda name: FORMATS.get(name, f"must be a valid `{name}`"),
    "minLength": lambda least: "must not be empty" if least == 1 else f"must have at least {count(least, 'character')}",
    "maxLength": lambda most: f"may have at most {count(most, 'character')}",
    "minItems": lambda least: "must not be empty" if least == 1 else f"must have at least {count(least, 'item')}",
    "maxItems": lambda most: f"may have at most {count(most, 'item')}",
    "minProperties": lambda least: f"must have at least {count(least, 'property', 'properties')}",
    "minimum": lambda least: f"must be at least {least:,}",
    "maximum": lambda most: f"may be at most {most:,}",
    "uniqueItems": lambda _: "has an item twice",
}


def tell(error: Error, where: str) -> str:
    """What is wrong with a value, such as "the body: item 2 of `requests`: `action` must be one of …"."""
    error = innermost(error)
    at = place(error.instance_path)
    return f"{where}{': ' + at if at else ''} {', or '.join(_misfits(error, error.instance_path))}"


def place(path: Place) -> str:
    """Where a value is, in words. Items are counted from 1."""
    found: list[str] = []
    for part in path:
        if isinstance(part, int):
            found.append(f"item {part + 1} of {found.pop() if found else 'the list'}")
        else:
            found.append(f"`{part}`")
    return ": ".join(found)


def pointer(path: Place) -> str:
    """The same for programs (RFC 6901, section 6), as in the example of RFC 9457, section 3."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def innermost(error: Error) -> Error:
    """The error itself; if the schema offers several forms, the first one of the form that the value is nearest to."""
    forms = _nearest(error)
    return innermost(forms[0][0]) if len(forms) == 1 else error


def _misfits(error: Error, seen_from: Place) -> list[str]:
    """What is wrong, once for each form that the value is nearest to, without the part of the place that has been told."""
    forms = _nearest(error)
    if not forms:
        at = place(error.instance_path[len(seen_from) :])
        return [f"{at} {_misfit(error)}" if at else _misfit(error)]
    found = dict.fromkeys(text for form in forms for text in _misfits(form[0], seen_from))
    return [text for text in found if not any(other != text and other.startswith(text) for other in found)]


def _misfit(error: Error) -> str:
    keyword = str(error.schema_path[-1]) if error.schema_path else "schema"
    if keyword == "required":
        return f"lacks `{error.kind.value}`"
    if keyword == "additionalProperties":
        name = error.kind.value[0]
        known = COMPONENTS.get(str(error.schema_path[-2]), {}).get("properties", ())
        return f"has the unknown property `{printable(name)[:64]}`{did_you_mean(name, known)}"
    if keyword == "enum" and "additionalProperties" in error.schema_path[-2:]:
        return "is not known here; leave it out"
    if keyword == "format":
        return _EXPECTED["format"](getattr(error.kind, "format", ""))
    return _EXPECTED[keyword](error.kind.value) if keyword in _EXPECTED else f"does not satisfy `{keyword}`"


def _nearest(error: Error) -> list[list[Error]]:
    """The errors of each form that the value is nearest to; none if there is no choice of forms."""
    forms: list[list[Error]] = getattr(error.kind, "context", None) or []
    if not all(forms):  # no form lacks anything: the value fits two at once
        return []
    depth = len(error.instance_path)
    ranks = [(sum(len(each.instance_path) == depth for each in form), len(form)) for form in forms]
    return [form for form, rank in zip(forms, ranks, strict=True) if rank == min(ranks)]
