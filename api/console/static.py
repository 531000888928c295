"""The console's fonts, icons, styles and scripts: `/static/{digest}/{name}`.

The digest is that of the content, so a browser may keep a file for ever, and a new one has a new address.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import falcon

from api.errors import NotFound
from api.http.headers import ACCEPT_ENCODING
from api.http.operations import Call, Resource, operation

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}
"""What is served, by the end of its name. Fonts are compressed already; the rest is text."""
_REFERENCES = {
    "css": re.compile(r"(?<=url\()(?P<quote>[\"']?)(?P<name>[\w.-]+)(?P<part>#[\w-]+)?(?P=quote)(?=\))"),
    "js": re.compile(r"(?P<quote>[\"'])\./(?P<name>[\w.-]+\.js)(?P=quote)"),
}
"""How a file names another one: `url(inter.woff2)`, `url(icons.svg#x)`, `import "./keys.js"`."""
_HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",  # for a drawing that is opened as a page
}
_FOR_EVER = "public, max-age=31536000, immutable"
_A_DAY = "public, max-age=86400"
"""For an address that stays when the content changes."""
_TEXT = {"type": "string"}


class Asset(NamedTuple):
    """A file as it is served."""

    address: str
    media: str
    content: bytes
    compressed: bytes | None
    """By gzip; None if that would not make it smaller."""


def prepare(contents: Mapping[str, bytes]) -> dict[str, Asset]:
    """Files by name, ready to be served. What they name of each other is spelled as addresses.

    Raises ValueError if a file names one that is not there, or itself by way of others.
    """
    prepared: dict[str, Asset] = {}

    def make(name: str, above: tuple[str, ...]) -> Asset:
        if name in above:
            raise ValueError(f"{name} names itself, by way of {above[-1]}")
        if name not in prepared:
            kind = name.rpartition(".")[2]
            content = contents[name]
            if kind in _REFERENCES:
                content = _REFERENCES[kind].sub(lambda found: refer(found, (*above, name)), content.decode()).encode()
            prepared[name] = _asset(name, _TYPES[kind], content)
        return prepared[name]

    def refer(found: re.Match[str], above: tuple[str, ...]) -> str:
        if found["name"] not in contents:
            raise ValueError(f"{above[-1]} names {found['name']}, which is not there")
        address = make(found["name"], above).address.removeprefix("/static/")
        part = found.groupdict().get("part") or ""
        return f"{found['quote']}../{address}{part}{found['quote']}"

    for name in contents:
        make(name, ())
    return prepared


def _asset(name: str, media: str, content: bytes) -> Asset:
    digest = hashlib.sha256(content).hexdigest()[:16]
    compressed = gzip.compress(content, compresslevel=9, mtime=0) if not media.startswith("font/") else content
    return Asset(f"/static/{digest}/{name}", media, content, compressed if len(compressed) < len(content) else None)


@cache
def _assets() -> dict[str, Asset]:
    folder = files("api.console") / "assets"
    served = [each for each in folder.iterdir() if each.is_file() and each.name.rpartition(".")[2] in _TYPES]
    return prepare({each.name: each.read_bytes() for each in sorted(served, key=lambda each: each.name)})


def asset(name: str) -> str:
    """The address of a file of `api/console/assets/`, for a template. Raises KeyError if there is none."""
    return _assets()[name].address


def _accepts_gzip(header: str) -> bool:
    """Whether a client takes gzip, by its `Accept-Encoding` (RFC 9110, section 12.5.3). One that says nothing may not."""
    said: dict[str, bool] = {}
    for part in header.lower().split(","):
        coding, _, weight = part.partition(";")
        said[coding.strip()] = re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return said.get("gzip", said.get("*", False))


def _send(request: falcon.Request, response: falcon.Response, found: Asset, kept: str) -> None:
    response.set_headers(_HEADERS)
    response.set_header("Cache-Control", kept)
    response.content_type, response.data = found.media, found.content
    if found.compressed is not None:
        response.append_header("Vary", "Accept-Encoding")
        if _accepts_gzip(request.env.get(ACCEPT_ENCODING, "")):
            response.set_header("Content-Encoding", "gzip")
            response.data = found.compressed


class Static(Resource):
    """`/static/{digest}/{name}`."""

    @operation("A file of the console", access="anybody", tag="Console", path={"digest": _TEXT, "name": _TEXT}, reads_query=False)
    def on_get(self, call: Call, digest: str, name: str) -> None:
        """Send it. Raises NotFound."""
        found = _assets().get(name)
        if found is None or found.address != f"/static/{digest}/{name}":
            raise NotFound("there is no such file; if a page named it, load the page again")
        _send(call.request, call.response, found, _FOR_EVER)


class Favicon(Resource):
    """`/favicon.ico`, where browsers look for a mark that no page names."""

    @operation("Accord's mark", access="anybody", tag="Console", reads_query=False)
    def on_get(self, call: Call) -> None:
        """Send it."""
        _send(call.request, call.response, _assets()["mark.svg"], _A_DAY)


ROUTES: tuple[tuple[str, type[Resource]], ...] = (("/static/{digest}/{name}", Static), ("/favicon.ico", Favicon))
