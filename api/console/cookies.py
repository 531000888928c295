"""The console's cookies: the session, the visit before it, and the theme.

Browsers send a `__Host-` cookie only to the host that set it, over TLS, and no other host of its domain can set one (RFC 6265bis,
section 4.1.3.2). Without TLS there are sessions on loopback alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from api.http.headers import COOKIE, HOST

THEMES = ("light", "dark")
_THEME = "accord-theme"
_YEAR = 365 * 24 * 3600
_LOOPBACK = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


class Cookies(NamedTuple):
    """The names that the cookies of a request have, and whether they need TLS."""

    secure: bool

    @property
    def session(self) -> str:
        """Holds the secret of a session."""
        return "__Host-accord" if self.secure else "accord"

    @property
    def visit(self) -> str:
        """Holds what the form to sign in is bound to."""
        return "__Host-accord-visit" if self.secure else "accord-visit"

    def keep(self, name: str, value: str) -> str:
        """A `Set-Cookie` header that lasts as long as the browser's session."""
        return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{self._tls}"

    def forget(self, name: str) -> str:
        """A `Set-Cookie` header that removes a cookie."""
        return f"{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{self._tls}"

    def keep_theme(self, theme: str) -> str:
        """A `Set-Cookie` header with a theme, or without one to follow the system again."""
        lasting = f"{_THEME}={theme}; Max-Age={_YEAR}" if theme in THEMES else f"{_THEME}=; Max-Age=0"
        return f"{lasting}; Path=/; HttpOnly; SameSite=Lax{self._tls}"

    @property
    def _tls(self) -> str:
        return "; Secure" if self.secure else ""


def origin_of(public_url: str, environment: Mapping[str, Any]) -> str | None:
    """The origin that a request's pages have; None if it may have none, since a password would go over a network without TLS.

    Where TLS ends at a proxy, only the public URL tells that there is TLS.
    """
    if public_url.lower().startswith("https://"):
        return f"https://{urlsplit(public_url).netloc.lower().removesuffix(':443')}"
    host = environment.get(HOST, "")
    return f"http://{host.lower().removesuffix(':80')}" if _LOOPBACK.fullmatch(host) else None


def read_cookie(environment: Mapping[str, Any], name: str) -> str | None:
    """A cookie's value; None if there is none, or more than one, of which one may be somebody else's."""
    pairs = (each.strip().partition("=") for each in environment.get(COOKIE, "").split(";"))
    found = [value for key, _, value in pairs if key == name]
    return found[0] if len(found) == 1 and found[0] else None


def read_theme(environment: Mapping[str, Any]) -> str | None:
    """The theme that the visitor has chosen."""
    found = read_cookie(environment, _THEME)
    return found if found in THEMES else None
