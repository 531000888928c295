"""An operation of the API: who may call it, what it reads, what it answers.

It is declared once, above the code that does it. The same declaration admits the caller, checks the request and describes the
operation in OpenAPI.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import falcon
import orjson

from api.authentication.authority import Access, CallersAuthority, Terms
from api.authentication.principal import Principal
from api.http.admission import Admission
from api.http.certdog import written
from api.http.checking import JSON, check, read_body, read_query, receive, validator
from api.http.shapes import ACCOUNT, NAME, Schema, ref

MAX_BODY = 64 * 1024
"""Bytes."""
ACTOR = "accord.actor"
"""Where the environment of a request keeps the name of its caller, for logs."""
NAMED: Mapping[str, Schema] = {"name": NAME}
NAMED_ACCOUNT: Mapping[str, Schema] = {"name": ACCOUNT}
"""The path parameters of a resource that has a name."""


class Operation(NamedTuple):
    """The declaration of an operation."""

    summary: str
    terms: Terms
    tag: str
    body: str | None
    form: bool
    status: int
    repeat_status: int | None
    response: str | None
    errors: Collection[int]
    query: Mapping[str, Schema]
    path: Mapping[str, Schema]
    max_body: int
    media: str
    legacy: bool


class Call(NamedTuple):
    """One request of an operation, checked."""

    request: falcon.Request
    response: falcon.Response
    admitted: CallersAuthority | None
    body: Any
    query: dict[str, Any]
    now: datetime

    @property
    def authority(self) -> CallersAuthority:
        """The caller's right to act, in an operation that is not open to anybody."""
        assert self.admitted is not None
        return self.admitted

    @property
    def caller(self) -> Principal:
        """The principal of an operation that is not open to anybody."""
        return self.authority.principal


class Resource:
    """A resource whose responders are operations."""

    def __init_subclass__(cls) -> None:
        """Answer HEAD as GET; Falcon leaves the body out (RFC 9110, section 9.3.2)."""
        if hasattr(cls, "on_get") and not hasattr(cls, "on_head"):
            cls.on_head = cls.on_get  # type: ignore[attr-defined]

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.methods = [name for name in falcon.COMBINED_METHODS if callable(getattr(self, f"on_{name.lower()}", None))]
        self.supported = [name for name in self.methods if getattr(self, f"on_{name.lower()}").operation.status < 400]


def operation(
    summary: str,
    *,
    access: Access,
    tag: str,
    body: str | None = None,
    form: bool = False,
    status: int = 200,
    repeat_status: int | None = None,
    response: str | None = None,
    errors: Collection[int] = (),
    query: Mapping[str, Schema] | None = None,
    path: Mapping[str, Schema] | None = None,
    max_body: int = MAX_BODY,
    restricted: bool = False,
    narrowed: bool = False,
    fresh: bool = False,
    clients: bool = False,
    media: str = JSON,
    reads_query: bool = True,
    legacy: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Declare a responder. It gets a `Call` and returns its answer: an object or bytes for JSON, text of type `media`, or None.

    `restricted`, `narrowed`, `fresh`, `clients`: see `Terms`.
    `repeat_status`: the status if everything had been done before; the responder sets it.
    `errors`: statuses of problems beyond those that follow from the rest.
    `reads_query`: refuse undeclared parameters; otherwise the query is ignored.
    `legacy`: it answers existing clients (see `api.http.certdog`): it takes a body of any media type, and ignores the query.
    """
    declared = Operation(
        summary=summary,
        terms=Terms(access, restricted, narrowed, fresh, clients),
        tag=tag,
        body=body,
        form=form,
        status=status,
        repeat_status=repeat_status,
        response=response,
        errors=errors,
        query=query or {},
        path=path or {},
        max_body=max_body,
        media=media,
        legacy=legacy,
    )
    validators = {name: validator(schema) for name, schema in {**declared.query, **declared.path}.items()}
    body_validator = None if body is None else validator(ref(body))
    dumps = written if legacy else orjson.dumps
    status_line = falcon.code_to_http_status(status)

    def decorate(responder: Callable[..., Any]) -> Callable[..., None]:
        @functools.wraps(responder)
        def respond(self: Resource, request: falcon.Request, response: falcon.Response, **path_values: str) -> None:
            raw, value = b"", None
            if body_validator is not None:
                with self.admission.receiving(request.env, declared.terms):
                    raw = receive(request, max_body)
            if body_validator is not None and clients:
                value = read_body(request, raw, form=form, legacy=legacy, schema=body_validator)  # who calls may be told there
            # an act stands on who the caller is when it happens, not when the request began
            admitted = None if access == "anybody" else self.admission.admit(request.env, declared.terms, value)
            now = datetime.now(UTC) if admitted is None else admitted.principal.now
            if admitted is not None:
                request.env[ACTOR] = admitted.principal.name
            for name, text in path_values.items():
                check(validators[name], text, f"`{name}` in the path")
            if body_validator is not None and not clients:
                value = read_body(request, raw, form=form, legacy=legacy, schema=body_validator)
            has_query = reads_query and not legacy and (declared.query or request.query_string)
            parameters = read_query(request, declared.query, validators) if has_query else {}
            response.status = status_line
            result = responder(self, Call(request, response, admitted, value, parameters, now), **path_values)
            if isinstance(result, str):
                response.content_type, response.text = media, result
            elif result is not None:
                response.content_type = JSON
                response.data = result if isinstance(result, bytes) else dumps(result)

        respond.operation = declared  # type: ignore[attr-defined]
        return respond

    return decorate
