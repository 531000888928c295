"""The API's description: for programs, and as a page for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from api.http.admission import Admission
from api.http.checking import JSON
from api.http.operations import Call, operation
from api.http.schemas import COMPONENTS
from api.http.shapes import Schema
from api.resources.base import Resource
from api.service import Service

TAG = "Documentation"
_EXAMPLES = {
    "password": "a long passphrase",
    "currentPassword": "a long passphrase",
    "newPassword": "another long passphrase",
    "pem": "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n",
    "token": "accord_…",
    "token_id": "63b91e042a62d52a",
    "issuer": "tls-public",
    "team": "web-platform",
    "rest": "certificates/7",
    "note": "For the winter sale",
}
"""Examples of what has none in its schema, by name."""


def curl(path: str, method: str, operation: dict[str, Any]) -> str:
    """A request of an operation, as a command."""
    values = {
        each["name"]: example(each["schema"], each["name"]) for each in operation.get("parameters", ()) if each["in"] == "path"
    }
    parts = [f'curl{"" if method == "get" else f" -X {method.upper()}"} "$ACCORD{path.format(**values)}"']
    if operation["security"]:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        value = example(content["schema"])
        if media == JSON:
            parts += [f"-H 'Content-Type: {JSON}'", f"-d '{json.dumps(value, ensure_ascii=False)}'"]
        else:
            parts += [f"-d '{name}={each}'" for name, each in value.items()]
    return " \\\n  ".join(parts)


def example(schema: Schema, name: str = "") -> Any:  # noqa: PLR0911 - one return per kind of schema
    """A value that fits a schema: of an object what it must have, or if that is nothing, all."""
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    if "$ref" in schema:
        return example(COMPONENTS[schema["$ref"].rpartition("/")[2]])
    if "examples" in schema:
        return schema["examples"][0]
    for forms in ("oneOf", "anyOf"):
        if forms in schema:
            return example(schema[forms][0])
    if schema["type"] == "object":
        properties = schema["properties"]
        return {each: example(properties[each], each) for each in schema["required"] or properties}
    if schema["type"] == "array":
        return [example(schema["items"])]
    return {"boolean": True, "integer": 1}.get(schema["type"], "pipeline")


_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",  # for browsers that do not know `frame-ancestors`
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""What keeps a browser from running, framing or telling anything on behalf of others."""


class Described(Resource):
    """A resource that shows the OpenAPI document."""

    def __init__(self, service: Service, admission: Admission, document: Callable[[], dict[str, Any]]) -> None:
        super().__init__(service, admission)
        self._document = document


class OpenApi(Described):
    """`/openapi.json`."""

    @operation("OpenAPI", access="anybody", tag=TAG, response="OpenApi")
    def on_get(self, call: Call) -> Any:
        """This document."""
        return self._document()


class Documentation(Described):
    """`/docs`."""

    def __init__(self, service: Service, admission: Admission, document: Callable[[], dict[str, Any]]) -> None:
        super().__init__(service, admission, document)
        environment = Environment(
            loader=PackageLoader("api"), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
        )
        environment.globals["curl"] = curl
        template = environment.get_template("documentation.html")
        self._page = cache(lambda: template.render(document=document()))

    @operation("A page to read", access="anybody", tag=TAG, media="text/html; charset=utf-8", response="")
    def on_get(self, call: Call) -> str:
        """The same for people. The page loads nothing from elsewhere."""
        call.response.set_headers(_HEADERS)
        return self._page()
