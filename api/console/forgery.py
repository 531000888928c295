"""Forged requests: a form counts only if a page of ours, shown to this very session, has sent it.

Two things must hold (OWASP, "Cross-Site Request Forgery Prevention"): the browser says that the request comes from our origin,
and the form has a token that is computed from the secret in the visitor's cookie.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from api.errors import Forbidden
from api.http.headers import ORIGIN, SEC_FETCH_SITE

FIELD = "csrf"
_FOREIGN = "this form was sent by another site, or by a browser that does not say; open the page here, and send it again"
_STALE = "this form belongs to another session; open the page again, and send it again"


def token_for(secret: str) -> str:
    """The token of all forms that are shown to whoever has this secret in a cookie."""
    return hmac.digest(secret.encode(), b"accord console form", "sha256").hex()


def derived(secret: str, nonce: str) -> str:
    """An identifier that this secret and the nonce of a form give, each time the same one, and nobody else can foresee."""
    return hmac.digest(secret.encode(), b"accord console nonce:" + nonce.encode(), "sha256").hex()[:16]


def refuse_foreign(environment: Mapping[str, Any], origin: str) -> None:
    """Raise Forbidden unless a page of this origin has sent the request.

    With our `Referrer-Policy`, browsers send `Origin: null`; those of today also send `Sec-Fetch-Site`, which no page can set.
    """
    site = environment.get(SEC_FETCH_SITE)
    given = environment.get(ORIGIN)
    if given not in (None, "null", origin) or (site or "same-origin") != "same-origin" or (site is None and given != origin):
        raise Forbidden(_FOREIGN).of("", "foreign-form")


def refuse_unbound(secret: str | None, token: str) -> None:
    """Raise Forbidden unless a form's token is that of the visitor's cookie."""
    if secret is None or not hmac.compare_digest(token_for(secret).encode(), token.encode()):
        raise Forbidden(_STALE).of("", "foreign-form")
