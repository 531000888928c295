"""An operation of the API: who may call it, what it reads and answers. Declared once, in front of the code that does it; the
same declaration admits the caller, checks the request and describes the operation in OpenAPI.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import falcon
import jsonschema_rs
import orjson

from api.authentication.principal import Principal
from api.errors import Forbidden, Invalid, Problem, TooLarge, UnsupportedMediaType
from api.http.addresses import client_address
from api.http.schemas import COMPONENTS, NAME, Schema, ref
from api.service import Service
from reconciler.access.instants import parse_instant

Who = Literal["anybody", "account", "administrator"]
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MAX_BODY = 64 * 1024


class Operation(NamedTuple):
    """What is declared of an operation."""

    summary: str
    who: Who
    tag: str
    body: str | None
    form: bool
    status: int
    again: int | None
    answer: str | None
    also: Collection[int]
    query: Mapping[str, Schema]
    path: Mapping[str, Schema]
    max_body: int
    restricted: bool
    media: str


class Call(NamedTuple):
    """One request of an operation, checked."""

    request: falcon.Request
    response: falcon.Response
    principal: Any
    body: Any
    query: dict[str, Any]
    now: datetime

    @property
    def caller(self) -> Principal:
        """The principal of an operation that is not for anybody."""
        assert isinstance(self.principal, Principal)
        return self.principal


class Resource:
    """What has operations."""

    def __init_subclass__(cls) -> None:
        """HEAD is answered as GET is, and Falcon leaves the body out (RFC 9110, section 9.3.2)."""
        if hasattr(cls, "on_get") and not hasattr(cls, "on_head"):
            cls.on_head = cls.on_get  # type: ignore[attr-defined]

    def __init__(self, service: Service) -> None:
        self.service = service
        self.methods = [name for name in falcon.COMBINED_METHODS if callable(getattr(self, f"on_{name.lower()}", None))]


def operation(
    summary: str,
    *,
    who: Who,
    tag: str,
    body: str | None = None,
    form: bool = False,
    status: int = 200,
    again: int | None = None,
    answer: str | None = None,
    also: Collection[int] = (),
    query: Mapping[str, Schema] | None = None,
    path: Mapping[str, Schema] | None = None,
    max_body: int = MAX_BODY,
    restricted: bool = False,
    media: str = JSON,
    reads_query: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Declare a responder. It gets a `Call` and returns what is answered as JSON: an object, JSON bytes, or None.

    `restricted`: a session that must change its password may call it, too. What is answered as a text is of the type `media`.
    Where the query is read, a parameter that is not declared is refused. `again`: the status where all was done before, which
    the responder sets. `also`: statuses of problems beside those that follow from the rest.
    """
    declared = Operation(
        summary, who, tag, body, form, status, again, answer, also, query or {}, path or {}, max_body, restricted, media
    )
    checks = {name: _validator(schema) for name, schema in {**declared.query, **declared.path}.items()}
    body_check = None if body is None else _validator(ref(body))
    status_line = falcon.code_to_http_status(status)

    def decorate(responder: Callable[..., Any]) -> Callable[..., None]:
        @functools.wraps(responder)
        def respond(self: Resource, request: falcon.Request, response: falcon.Response, **path_values: str) -> None:
            now = datetime.now(UTC)
            principal = None if who == "anybody" else admit(self.service, request, now, who, restricted)
            for name, text in path_values.items():
                _check(checks[name], text, f"`{name}` in the path")
            value = None
            if body_check is not None and who == "anybody":
                # of strangers who send slowly no more wait than may log in: Granian gives each a thread before all has come
                with self.service.passwords.place():
                    value = _body(request, form, max_body, body_check)
            elif body_check is not None:
                value = _body(request, form, max_body, body_check)
            call = Call(
                request,
                response,
                principal,
                value,
                _query(request, declared.query, checks) if reads_query and (declared.query or request.query_string) else {},
                now,
            )
            response.status = status_line
            result = responder(self, call, **path_values)
            if isinstance(result, str):
                response.content_type, response.text = media, result
            elif result is not None:
                response.content_type = JSON
                response.data = result if isinstance(result, bytes) else orjson.dumps(result)

        respond.operation = declared  # type: ignore[attr-defined]
        return respond

    return decorate


def admit(service: Service, request: falcon.Request, now: datetime, who: Who, restricted: bool) -> Principal:
    """The caller, where it may call. Raises Unauthenticated, Forbidden, Problem or StoreError."""
    environment = request.env
    principal = service.authenticator.authenticate(environment.get("HTTP_AUTHORIZATION"), address_of(service, environment), now)
    if principal.credential.password_change_required and not restricted:
        raise Forbidden("this session may do nothing but change the password: PUT /api/v1/me/password", reason="password-change")
    if who == "administrator" and not principal.is_administrator:
        raise Forbidden("this is for administrators", reason="not-administrator")
    return principal


def address_of(service: Service, environment: Mapping[str, Any]) -> Any:
    """The caller's address. Raises Problem where headers contradict each other."""
    return client_address(
        environment.get("REMOTE_ADDR") or "",
        environment.get("HTTP_FORWARDED"),
        environment.get("HTTP_X_FORWARDED_FOR"),
        service.settings.trusted_proxies,
        relayed="HTTP_X_REAL_IP" in environment or "HTTP_VIA" in environment,
    )


def _validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": {"schemas": COMPONENTS}}, validate_formats=True, formats={"date-time": _is_instant}
    )


def _is_instant(text: str) -> bool:
    """Whether a text is an instant as the rest of Accord reads it: RFC 3339 has leap seconds, too, and a year 0."""
    try:
        return "T" in text.upper() and bool(parse_instant(text))
    except ValueError:
        return False


def _check(validator: jsonschema_rs.Draft202012Validator, value: Any, where: str) -> None:
    if validator.is_valid(value):
        return
    errors = _nearest(next(iter(validator.iter_errors(value))))
    # the value itself stays out of the message: it may be a password
    at = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in errors[0].instance_path)
    expected = ", or ".join(dict.fromkeys(map(_expected, errors)))
    raise Invalid(f"{where}{' at ' + at.lstrip('.') if at else ''} does not fit its schema: {expected}")


_LIMITS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "minimum", "maximum", "multipleOf")
_SAID = frozenset(("type", "pattern", "enum", *_LIMITS))
"""Keywords whose word says what to do only together with what stands there."""


def _nearest(error: jsonschema_rs.ValidationError) -> list[jsonschema_rs.ValidationError]:
    """The error itself; where one of several forms was needed, the first error of each form that the value is nearest to."""
    forms = getattr(error.kind, "context", None)
    if not forms or not all(forms):  # no form that misses anything: the value has two at once
        return [error]
    fewest = min(map(len, forms))
    return [form[0] for form in forms if len(form) == fewest]


def _expected(error: jsonschema_rs.ValidationError) -> str:
    keyword = error.schema_path[-1] if error.schema_path else "schema"
    if keyword in ("required", "additionalProperties"):
        return error.message
    if keyword == "format":
        return f"no `{getattr(error.kind, 'format', keyword)}`"
    if keyword in _SAID:
        return f"`{keyword}` is {_in_words(error.kind.value)}"
    return f"`{keyword}`"


def _in_words(wanted: Any) -> str:
    """What a keyword of a schema says."""
    return ", ".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)


def _body(request: falcon.Request, form: bool, limit: int, check: jsonschema_rs.Draft202012Validator) -> Any:
    length = request.content_length or 0
    if length > limit:
        raise TooLarge(f"the body may have at most {limit:,} bytes")
    wanted = FORM if form else JSON
    given = request.env.get("CONTENT_TYPE", "")
    if given != wanted and given.partition(";")[0].strip().lower() != wanted:
        raise UnsupportedMediaType(f"the body's `Content-Type` must be `{wanted}`")
    if not length and "HTTP_TRANSFER_ENCODING" in request.env:
        length = limit + 1  # chunked: how long it is shows only at its end
    raw: bytes = request.env["wsgi.input"].read(length)
    if len(raw) < (request.content_length or 0):
        raise Problem("the body is shorter than its `Content-Length`")  # Granian hands on what came before a client hung up
    if len(raw) > limit:
        raise TooLarge(f"the body may have at most {limit:,} bytes")
    value = _read_form(raw) if form else _read_json(raw)
    _check(check, value, "the body")
    return value


def _read_json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None


def _read_form(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("ascii")
        pairs = falcon.uri.parse_query_string(text, keep_blank=True)
    except (UnicodeDecodeError, ValueError):
        raise Problem("the body is not a form") from None
    if not all(map(_is_text, pairs.values())):
        raise Problem("the body's form holds a field twice, or characters that are no text")
    return dict(pairs)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\ufffd" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _query(request: falcon.Request, schemas: Mapping[str, Schema], checks: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: schema["default"] for name, schema in schemas.items() if "default" in schema}
    for name, text in request.params.items():
        if name not in schemas:
            known = f"there are: {', '.join(schemas)}" if schemas else "this takes none"
            raise Invalid(f"there is no parameter `{name[:64]}`; {known}")
        if not _is_text(text):
            raise Invalid(f"the parameter `{name}` is there twice, or holds characters that are no text")
        found[name] = value = _typed(text, schemas[name])
        _check(checks[name], value, f"the parameter `{name}`")
    return found


def _typed(text: Any, schema: Schema) -> Any:
    if schema.get("type") == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if schema.get("type") == "integer":
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
    return text


NAMED: Mapping[str, Schema] = {"name": NAME}
"""The path of what has a name."""
