"""Reading a request: its body and its query, checked by JSON Schemas."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import falcon
import jsonschema_rs
import orjson

from api.errors import Invalid, Problem, TooLarge, TooSlow, UnsupportedMediaType
from api.http.certdog import in_utf8
from api.http.headers import CONTENT_TYPE, TRANSFER_ENCODING
from api.http.misfits import innermost, pointer, tell
from api.http.schemas import COMPONENTS
from api.http.shapes import Schema
from reconciler.access.instants import parse_instant
from reconciler.wording.text import printable

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PROBLEM = "application/problem+json"
PATIENCE = 15
"""Seconds for a body to arrive."""
Validator = jsonschema_rs.Draft202012Validator


def validator(schema: Schema) -> Validator:
    """What checks values by a schema of the API."""
    return Validator({**schema, "components": {"schemas": COMPONENTS}}, validate_formats=True, formats={"date-time": _is_instant})


def _is_instant(text: str) -> bool:
    """Whether text is an instant as the rest of Accord reads it: RFC 3339 also has leap seconds and a year 0."""
    try:
        return "T" in text.upper() and bool(parse_instant(text))
    except ValueError:
        return False


def check(schema: Validator, value: Any, where: str) -> None:
    """Raise Invalid if a value does not fit its schema."""
    if schema.is_valid(value):
        return
    error = next(iter(schema.iter_errors(value)))
    path = innermost(error).instance_path
    raise Invalid(tell(error, where), **({"pointer": pointer(path)} if path else {}))


def receive(request: falcon.Request, limit: int) -> bytes:
    """The bytes of a request's body, at most so many. Raises Problem, TooLarge or TooSlow."""
    length = request.content_length or 0
    if length > limit:
        raise TooLarge(f"the body may have at most {limit:,} bytes")
    if not length and TRANSFER_ENCODING in request.env:
        length = limit + 1  # chunked: only its end tells how long it is
    began = time.monotonic()
    raw: bytes = request.env["wsgi.input"].read(length)
    if time.monotonic() - began > PATIENCE:
        raise TooSlow(f"the body took more than {PATIENCE} seconds to arrive; nothing was decided or changed")
    if len(raw) < (request.content_length or 0):
        raise Problem("the body is shorter than its `Content-Length`")  # Granian passes on what came before a client hung up
    if len(raw) > limit:
        raise TooLarge(f"the body may have at most {limit:,} bytes")
    return raw


def read_body(request: falcon.Request, raw: bytes, *, form: bool, legacy: bool, schema: Validator) -> Any:
    """The value of a request's body, of whatever media type if `legacy`. Raises Problem, UnsupportedMediaType or Invalid."""
    wanted = FORM if form else JSON
    given = request.env.get(CONTENT_TYPE, "")
    if legacy:
        raw = in_utf8(raw, given)
    elif given != wanted and given.partition(";")[0].strip().lower() != wanted:
        raise UnsupportedMediaType(f"the body's `Content-Type` must be `{wanted}`")
    value = _read_form(raw) if form else _read_json(raw)
    check(schema, value, "the body")
    if not form and raw.count(b":") != _members(value):
        _refuse_repeated_names(raw)
    return value


def _read_json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None


def _members(value: Any) -> int:
    """The number of members of all objects in an object or array."""
    is_object = isinstance(value, dict)
    number = len(value) if is_object else 0
    for each in value.values() if is_object else value:
        if isinstance(each, dict | list):
            number += _members(each)
    return number


def _refuse_repeated_names(raw: bytes) -> None:
    """Raise Problem if an object has a name twice: one reader takes the first value, another the last (RFC 8259, section 4).

    This parses again, slowly. A body needs it only if it has more colons than members: some are in texts, or a name is repeated.
    """

    def unrepeated(members: list[tuple[str, Any]]) -> None:
        for name, times in Counter(name for name, _ in members).items():
            if times > 1:
                raise Problem(f"the body has the property `{printable(name)[:64]}` twice in one object")

    json.loads(raw, object_pairs_hook=unrepeated)


def _read_form(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("ascii")
        pairs = falcon.uri.parse_query_string(text, keep_blank=True)
    except (UnicodeDecodeError, ValueError):
        raise Problem("the body is not a form") from None
    if not all(map(_is_text, pairs.values())):
        raise Problem("the form in the body has a field twice, or bytes that are not text")
    return dict(pairs)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\ufffd" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def read_query(request: falcon.Request, schemas: Mapping[str, Schema], validators: Mapping[str, Validator]) -> dict[str, Any]:
    """The parameters of a request, with their defaults. Raises Invalid."""
    found = {name: schema["default"] for name, schema in schemas.items() if "default" in schema}
    for name, text in request.params.items():
        if name not in schemas:
            known = f"known parameters: {', '.join(schemas)}" if schemas else "this operation takes none"
            raise Invalid(f"unknown parameter `{name[:64]}`; {known}")
        if not _is_text(text):
            raise Invalid(f"the parameter `{name}` appears twice, or has bytes that are not text")
        found[name] = value = _typed(text, schemas[name])
        check(validators[name], value, f"the parameter `{name}`")
    return found


def _typed(text: Any, schema: Schema) -> Any:
    if schema.get("type") == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if schema.get("type") == "integer":
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
    return text
