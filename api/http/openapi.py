"""The OpenAPI 3.1 document, made from the declarations that admit callers and check requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from api.http.admission import VERDICTS, is_for_proxies
from api.http.checking import FORM, JSON, PROBLEM
from api.http.operations import Operation, Resource
from api.http.schemas import COMPONENTS
from api.http.shapes import ref

Routes = Sequence[tuple[str, type[Resource]]]
METHODS = ("get", "post", "put", "patch", "delete", "options", "trace")
"""HEAD is described once for all operations: it is GET without a body."""
_PROBLEMS = {
    400: "The request cannot be understood.",
    401: "No credential, or an invalid one.",
    403: "The caller may not do this, or not from this address.",
    404: "It does not exist, or the caller may not see it.",
    408: "The body took too long to arrive.",
    409: "It conflicts with the current state; the problem says how.",
    413: "The body is too large.",
    415: "The body has another media type.",
    422: "A value does not fit its schema, or is impossible.",
    429: "Too many of these for now, such as failed logins or mails; `Retry-After` says how long to wait.",
    500: "Accord failed. Its log has more, by the `requestId`.",
    503: "The database is unavailable, or Accord is busy. Nothing was decided.",
}


def operations(routes: Routes) -> Iterator[tuple[str, str, Operation, str]]:
    """Path, method, declaration and description of every operation; once, if it answers GET and other methods alike."""
    for template, resource in routes:
        path = template.replace(":path}", "}")
        for method in METHODS:
            responder = getattr(resource, f"on_{method}", None)
            if responder is not None and (method == "get" or responder is not getattr(resource, "on_get", None)):
                yield path, method, responder.operation, re.sub(r"\s+", " ", responder.__doc__ or "").strip()


def document(routes: Routes) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, Any] = {}
    for path, method, declared, description in operations(routes):
        if declared.status < 400:  # the others only say where the same is done
            paths.setdefault(path, {})[method] = _operation(path, method, declared, description)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Accord",
            "version": "1",  # of the API, as its paths have it; which release answers is not for strangers
            "description": "Logins, tokens and decisions: may this caller use that certificate issuer, from this address, now? "
            "HEAD is answered like GET, without the body.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A session's or API token's secret, `accord_…`.",
                },
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The name of an account as `client_id`, and one of its tokens as `client_secret`.",
                },
            },
        },
    }


def _operation(path: str, method: str, declared: Operation, description: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": method + "".join(part.title() for part in re.findall(r"[a-z0-9]+", path.removeprefix("/api/v1"))),
        "summary": declared.summary,
        "description": description + (" For administrators." if declared.terms.access == "administrator" else ""),
        "tags": [declared.tag],
        **({"x-administrators": True} if declared.terms.access == "administrator" else {}),
        "responses": _responses(declared, verdict=is_for_proxies(path)),
        "security": []
        if declared.terms.access == "anybody"
        else [{"bearer": []}, *([{"basic": []}] if declared.terms.clients else [])],
    }
    parameters = [
        {"name": name, "in": place, "required": place == "path", "schema": schema}
        for place, schemas in (("path", declared.path), ("query", declared.query))
        for name, schema in schemas.items()
    ]
    if parameters:
        found["parameters"] = parameters
    if declared.body is not None:
        media = FORM if declared.form else JSON
        found["requestBody"] = {"required": True, "content": {media: {"schema": ref(declared.body)}}}
    return found


def _responses(declared: Operation, *, verdict: bool) -> dict[str, Any]:
    success: dict[str, Any] = {"description": declared.summary}
    if declared.response is not None:
        success["content"] = (
            {JSON: {"schema": ref(declared.response)}}
            if declared.response
            else {declared.media.partition(";")[0]: {"schema": {"type": "string"}}}
        )
    statuses = {400, 500, 503, *declared.errors}
    if declared.terms.access != "anybody":
        statuses |= {401, 403}
    if declared.body is not None:
        statuses |= {408, 413, 422} if declared.legacy else {408, 413, 415, 422}
    if declared.query or declared.path:
        statuses.add(422)
    if verdict:
        statuses = {status for status in statuses if status >= 500 or status in VERDICTS}
    problem = {JSON: {"schema": ref("ExistingError")}} if declared.legacy else {PROBLEM: {"schema": ref("Problem")}}
    again = (
        {}
        if declared.repeat_status is None
        else {str(declared.repeat_status): {**success, "description": "It had already been done."}}
    )
    return {
        str(declared.status): success,
        **again,
        **{str(status): {"description": _PROBLEMS[status], "content": problem} for status in sorted(statuses)},
    }
