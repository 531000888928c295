"""The console's files over HTTP: what browsers keep, what they get compressed, and that there is nothing else."""

from __future__ import annotations

import gzip
import re

import pytest
from console_world import Console
from served import TOP, Answer

from api.console.static import asset

ASSETS = TOP / "api" / "console" / "assets"
SERVED = sorted(each.name for each in ASSETS.iterdir() if each.suffix in (".css", ".js", ".svg", ".woff2"))


def get(console: Console, path: str, accepted: str | None = None) -> Answer:
    headers = {} if accepted is None else {"Accept_Encoding": accepted}
    return console.server.call("GET", path, **headers)


@pytest.mark.parametrize("name", SERVED)
def test_a_file_is_kept_for_ever_under_an_address_of_its_content(console: Console, name: str) -> None:
    answer = get(console, asset(name), "identity")
    assert answer.status == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    types = {
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
        "woff2": "font/woff2",
    }
    assert answer.headers["content-type"] == types[name.rpartition(".")[2]]
    if name.endswith((".svg", ".woff2")):
        assert answer.body == (ASSETS / name).read_bytes()
    head = console.server.call("HEAD", asset(name))
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(answer.body)))


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        (None, False),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("*, gzip;q=0.000", False),
        ("gzipped", False),
        (";;,=q=,gzip ; q=0.0", False),
    ],
)
def test_text_is_compressed_for_those_who_take_it(console: Console, accepted: str | None, compressed: bool) -> None:
    answer = get(console, asset("icons.svg"), accepted)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert ("content-encoding" in answer.headers) is compressed
    assert (gzip.decompress(answer.body) if compressed else answer.body) == (ASSETS / "icons.svg").read_bytes()


def test_fonts_are_not_compressed_twice(console: Console) -> None:
    answer = get(console, asset("inter.woff2"), "gzip")
    assert not {"vary", "content-encoding"} & set(answer.headers)


@pytest.mark.parametrize(
    "path",
    [
        "/static",
        "/static/",
        "/static/x",
        "/static/0123456789abcdef/icons.svg",
        "/static/0123456789abcdef/",
        asset("icons.svg") + "/",
        asset("icons.svg").replace("icons.svg", "inter.woff2"),
        asset("icons.svg").replace("icons.svg", "vendor.lock.json"),
        asset("icons.svg").replace("icons.svg", "..%2Fstatic.py"),
        asset("icons.svg").replace("icons.svg", "licences%2Finter.txt"),
        "/static/..%2F/static.py",
        f"/static/{'x' * 3000}/icons.svg",
    ],
)
def test_there_is_nothing_else(console: Console, path: str) -> None:
    answer = get(console, path)
    assert answer.status == 404
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_files_are_only_read(console: Console, method: str) -> None:
    assert console.server.call(method, asset("icons.svg")).status == 405


def test_browsers_that_look_for_a_mark_find_it(console: Console) -> None:
    answer = get(console, "/favicon.ico")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert answer.body == (ASSETS / "mark.svg").read_bytes()


def test_files_fit_what_a_cold_page_may_weigh(console: Console) -> None:
    """150 KB with its HTML."""
    sizes = {name: len(get(console, asset(name), "gzip").body) for name in SERVED}
    assert sum(sizes.values()) < 110_000, sizes


def test_a_template_names_no_file_or_icon_that_is_not_there() -> None:
    icons = set(re.findall(r'<symbol id="([^"]+)"', (ASSETS / "icons.svg").read_text()))
    assert "mark" in icons
    for template in (TOP / "api" / "console").rglob("*.html"):
        text = template.read_text()
        assert set(re.findall(r'asset\("([^"]+)"\)', text)) <= set(SERVED), template
        assert set(re.findall(r'icon\("([^"]+)"', text)) <= icons, template
