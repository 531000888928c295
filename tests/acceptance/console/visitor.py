"""A browser without a screen: it keeps cookies, follows nothing by itself, and fills in forms as they are."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import falcon.testing

sys.path.append(str(Path(__file__).parent.parent / "api"))

from client import OFFICE, PASSWORD, World, settings

__all__ = ["FORM", "OFFICE", "PASSWORD", "World", "encoded", "settings"]
FORM = "application/x-www-form-urlencoded"

HOST = "127.0.0.1:8080"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
"""What a browser sends with a form of ours, given our `Referrer-Policy`."""


class Form(HTMLParser):
    """The fields of the form of a page that is sent to an address."""

    def __init__(self, html: str, action: str) -> None:
        super().__init__()
        self._action, self._inside, self.fields = action, False, dict[str, str]()
        self.found = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = (
                given.get("method") == "post" and (given.get("action") or self._action) == self._action and not self.found
            )
            self.found |= self._inside
        elif self._inside and tag == "input" and (given.get("type") not in ("checkbox", "radio") or "checked" in given):
            self.fields[given.get("name") or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def encoded(values: dict[str, Any]) -> str:
    """Fields as the body of a form."""
    return urlencode(values, doseq=True)


class Visitor:
    """A browser."""

    def __init__(self, world: World, address: str = OFFICE) -> None:
        self.client = falcon.testing.TestClient(world.app)
        self.address = address
        self.cookies: dict[str, str] = {}
        self.html = ""

    def send(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: str | None = None
    ) -> falcon.testing.Result:
        sent = {"Host": HOST, **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        path, _, query = path.partition("?")
        result = self.client.simulate_request(method, path, query_string=query, headers=sent, body=body, remote_addr=self.address)
        for line in result.headers.get("set-cookie", "").split("\n"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies.pop(name, None)
                if morsel.value:
                    self.cookies[name] = morsel.value
        for cookie in result.cookies.values():
            self.cookies.pop(cookie.name, None)
            if cookie.value:
                self.cookies[cookie.name] = cookie.value
        return result

    def get(self, path: str, code: int = 200, **headers: str) -> str:
        """The page at an address; asserts the status."""
        result = self.send("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})
        assert result.status_code == code, (result.status, result.headers.get("location"), result.text[:2000])
        self.html = result.text
        return self.html

    def post(
        self,
        path: str,
        fields: Any = (),
        code: int = 303,
        *,
        page: str | None = None,
        headers: dict[str, str] | None = None,
        without: tuple[str, ...] = (),
    ) -> falcon.testing.Result:
        """Send the form that a page (or the last one) has for an address, with other values for some fields."""
        if page is not None:
            self.get(page)
        form = Form(self.html, path)
        assert form.found, f"the page has no form for {path}"
        pairs = dict(fields) if not isinstance(fields, list) else dict[str, Any](fields)
        values = {name: value for name, value in {**form.fields, **pairs}.items() if name not in without}
        return self.send_form(path, values, code, headers=headers)

    def send_form(self, path: str, values: dict[str, Any], code: int = 303, *, headers: dict[str, str] | None = None) -> Any:
        """Send fields, whatever page they are from."""
        sent = {"Content-Type": FORM, **(SAME_ORIGIN if headers is None else headers)}
        result = self.send("POST", path, sent, encoded(values))
        assert result.status_code == code, (result.status, result.headers.get("location"), result.text[:2500])
        if result.text:
            self.html = result.text
        return result

    def sign_in(self, name: str, password: str = PASSWORD, code: int = 303) -> falcon.testing.Result:
        """Fill in the form."""
        return self.post("/login", {"name": name, "password": password}, code, page="/login")
