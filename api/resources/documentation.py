"""The API's own description: for programs, and as a page for people."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from api.http.operations import Call, Resource, operation

TAG = "Documentation"


@cache
def _document() -> dict[str, Any]:
    from api.http.openapi import document
    from api.routes import ROUTES

    return document(ROUTES)


@cache
def _page() -> str:
    environment = Environment(loader=PackageLoader("api"), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("documentation.html").render(document=_document())


class OpenApi(Resource):
    """`/openapi.json`."""

    @operation("OpenAPI", who="anybody", tag=TAG, answer="OpenApi")
    def on_get(self, call: Call) -> Any:
        """This document."""
        return _document()


class Documentation(Resource):
    """`/docs`."""

    @operation("A page to read", who="anybody", tag=TAG, media="text/html; charset=utf-8", answer="")
    def on_get(self, call: Call) -> str:
        """The same, for people, with nothing from elsewhere."""
        call.response.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        return _page()
