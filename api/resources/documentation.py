"""The API's description: for programs, and as a page for people."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from api.http.operations import Call, operation
from api.resources.base import Resource
from api.service import Service

TAG = "Documentation"
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

    def __init__(self, service: Service, document: Callable[[], dict[str, Any]]) -> None:
        super().__init__(service)
        self._document = document


class OpenApi(Described):
    """`/openapi.json`."""

    @operation("OpenAPI", access="anybody", tag=TAG, response="OpenApi")
    def on_get(self, call: Call) -> Any:
        """This document."""
        return self._document()


class Documentation(Described):
    """`/docs`."""

    def __init__(self, service: Service, document: Callable[[], dict[str, Any]]) -> None:
        super().__init__(service, document)
        environment = Environment(
            loader=PackageLoader("api"), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
        )
        template = environment.get_template("documentation.html")
        self._page = cache(lambda: template.render(document=document()))

    @operation("A page to read", access="anybody", tag=TAG, media="text/html; charset=utf-8", response="")
    def on_get(self, call: Call) -> str:
        """The same for people. The page loads nothing from elsewhere."""
        call.response.set_headers(_HEADERS)
        return self._page()
