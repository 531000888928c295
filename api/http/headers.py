"""Every header that Accord reads, by its key in a WSGI environment.

The environment spells `-` and `_` alike. A server that does not drop names with an underscore lets a client write
`X_Forwarded_For` and so speak for the proxy that writes `X-Forwarded-For`. waitress drops them; Granian does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

from api.errors import Forbidden

ACCEPT = "HTTP_ACCEPT"
ACCEPT_ENCODING = "HTTP_ACCEPT_ENCODING"
AUTHORIZATION = "HTTP_AUTHORIZATION"
CONTENT_LENGTH = "CONTENT_LENGTH"
CONTENT_TYPE = "CONTENT_TYPE"
COOKIE = "HTTP_COOKIE"
FORWARDED = "HTTP_FORWARDED"
HOST = "HTTP_HOST"
ORIGIN = "HTTP_ORIGIN"
SEC_FETCH_SITE = "HTTP_SEC_FETCH_SITE"
TRANSFER_ENCODING = "HTTP_TRANSFER_ENCODING"
X_ACCORD_ISSUER = "HTTP_X_ACCORD_ISSUER"
X_FORWARDED_FOR = "HTTP_X_FORWARDED_FOR"
X_REQUEST_ID = "HTTP_X_REQUEST_ID"
READ = frozenset(
    (
        ACCEPT,
        ACCEPT_ENCODING,
        AUTHORIZATION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        COOKIE,
        FORWARDED,
        HOST,
        ORIGIN,
        SEC_FETCH_SITE,
        TRANSFER_ENCODING,
        X_ACCORD_ISSUER,
        X_FORWARDED_FOR,
        X_REQUEST_ID,
    )
)
SIGNS_OF_PROXIES = frozenset(
    (
        FORWARDED,
        X_FORWARDED_FOR,
        "HTTP_CDN_LOOP",  # RFC 8586
        "HTTP_CF_CONNECTING_IP",
        "HTTP_TRUE_CLIENT_IP",
        "HTTP_VIA",  # RFC 9110, section 7.6.3
        "HTTP_X_CLIENT_IP",
        "HTTP_X_CLUSTER_CLIENT_IP",
        "HTTP_X_ENVOY_EXTERNAL_ADDRESS",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_X_FORWARDED_PORT",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_FORWARDED_SERVER",
        "HTTP_X_ORIGINAL_FORWARDED_FOR",
        "HTTP_X_REAL_IP",
    )
)
"""What proxies add. That such a header is there is all that is read of it, and it makes nobody more trusted."""
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_AMBIGUOUS = object()
"""What stands in place of a header that nobody knows to be the proxy's: no header and no variable can be it."""
_NO_ISSUER = (
    "this server cannot tell `X-Accord-Issuer` from `X_Accord_Issuer`, which a client may have sent; "
    "name the issuer in the address: /api/v1/auth?issuer=NAME"
)


def wary(app: Wsgi) -> Wsgi:
    """The application for a server that may take one header for another: it believes only names that nothing folds onto.

    `Authorization` and `Forwarded` are such names, having no hyphen. What `X-Forwarded-For` says is unknown. A request that names
    its issuer in a header is refused, since without that issuer it would be asking something else.
    """

    def serve(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if X_ACCORD_ISSUER in environment:
            environment[X_ACCORD_ISSUER] = _AMBIGUOUS
        if X_FORWARDED_FOR in environment:
            environment[X_FORWARDED_FOR] = "unknown"  # as RFC 7239, section 6.2, spells it
        environment.pop(X_REQUEST_ID, None)
        return app(environment, start_response)

    return serve


def refuse_ambiguous(environment: Mapping[str, Any]) -> None:
    """Raise Forbidden if a request has a header that may be the client's or the proxy's."""
    if environment.get(X_ACCORD_ISSUER) is _AMBIGUOUS:
        raise Forbidden(_NO_ISSUER, reason="not-understood")


def forget(variables: MutableMapping[str, str]) -> None:
    """Remove the environment variables that a server could take for headers of every request: it may copy them all."""
    for name in [each for each in variables if each.startswith("HTTP_") or each in READ]:
        del variables[name]
