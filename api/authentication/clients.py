"""How OAuth 2.0 clients show who they are (RFC 6749, section 2.3.1): ready-made clients of RFC 7662 do it in these ways.

`client_id` is the name of an account and `client_secret` one of its tokens, by HTTP Basic or in the form.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus

from api.authentication.principal import secret_of
from api.errors import Unauthenticated


class Shown(NamedTuple):
    """What a client shows."""

    secret: str
    names: tuple[str, ...]
    """What it calls itself, in each place where it does."""

    def is_of(self, name: str) -> bool:
        """Whether the client calls itself by the name of an account. Not all clients encode theirs in Basic, as they should."""
        return all(name.lower() in (given.lower(), unquote_plus(given).lower()) for given in self.names)


def shown_by(header: str | None, form: Mapping[str, str]) -> Shown:
    """What a client shows in an `Authorization` header, Basic or Bearer, and in a form.

    Raises Unauthenticated if that is nothing, not a token, or two different ones: each reader could take another one for it.
    """
    secrets: list[str] = []
    names: list[str] = []
    scheme, _, rest = (header or "").strip().partition(" ")
    if scheme.lower() == "basic":
        name, secret = _basic(rest)
        names.append(name)
        secrets.append(unquote_plus(secret))
    elif header is not None:
        secrets.append(secret_of(header))
    if form.get("client_secret"):
        secrets.append(form["client_secret"])
    if form.get("client_id"):
        names.append(form["client_id"])
    if len(set(secrets)) > 1:
        raise Unauthenticated("the request shows two different tokens")
    return Shown(secret_of(secrets[0] if secrets else None), tuple(names))


def _basic(encoded: str) -> tuple[str, str]:
    """The two parts of HTTP Basic (RFC 7617)."""
    try:
        name, colon, secret = binascii.a2b_base64(encoded.strip(), strict_mode=True).decode().partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        raise Unauthenticated("the Authorization header holds no `client_id:client_secret` in Base64")
    return name, secret
