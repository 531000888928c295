"""The caller's address: the peer's own, or the one that a trusted proxy tells. Nobody else is believed.

Only a caller over the local socket is local. A connection from a loopback address may come from a proxy on this machine that
tells no address, on behalf of the whole world; if it gives itself away, such a caller may be anywhere.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from api.errors import Problem
from api.http.headers import FORWARDED, SIGNS_OF_PROXIES, X_FORWARDED_FOR, Wsgi
from reconciler.access.permitted_ips import LOCAL, Address, Rule, matching, parse_address, parse_rule

_log = logging.getLogger("accord.api")
_SAID_AGAIN = 600.0
"""Seconds until the log names a proxy again."""
_PEERS = 256
LONGEST = 2_048
"""Characters of a forwarding header. Every request has it parsed, and the result is cached."""
LOOPBACK = (parse_rule("127.0.0.0/8"), parse_rule("::1"))


_CAME_OVER = "accord.came_over"


def local(app: Wsgi) -> Wsgi:
    """The application for the local socket: its callers are local."""

    def serve(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environment[_CAME_OVER] = LOCAL
        return app(environment, start_response)

    return serve


def over_local_socket(environment: Mapping[str, Any]) -> bool:
    """Whether a request came over the local socket. Raises Problem if a proxy put it there, for somebody who may be anywhere."""
    if environment.get(_CAME_OVER) is not LOCAL:  # the object itself, which no header and no variable can be
        return False
    if was_relayed(environment):
        raise Problem(
            "the local socket is only for programs on this machine; let the proxy connect to the address that Accord listens on"
        )
    return True


def was_relayed(environment: Mapping[str, Any]) -> bool:
    """Whether a request came through a proxy that says so."""
    return not SIGNS_OF_PROXIES.isdisjoint(environment)


class Addresses:
    """Finds the addresses of callers, and says in the log whose proxy tells none."""

    def __init__(self, trusted: tuple[Rule, ...]) -> None:
        self._trusted = trusted
        self._silent: dict[str, float] = {}
        """Proxies that told no address, and until when that need not be said again."""

    def of(self, environment: Mapping[str, Any]) -> Address | None:
        """The caller's address, or None if it is unknown. Raises Problem if headers contradict each other."""
        if over_local_socket(environment):
            return LOCAL
        peer = environment.get("REMOTE_ADDR") or ""
        relayed = was_relayed(environment)
        address = client_address(
            peer, environment.get(FORWARDED), environment.get(X_FORWARDED_FOR), self._trusted, relayed=relayed
        )
        if address is None:
            self._warn_of(peer)
        return address

    def _warn_of(self, peer: str) -> None:
        now = time.monotonic()
        if now < self._silent.get(peer, 0.0):
            return
        if len(self._silent) >= _PEERS:
            self._silent.clear()
        self._silent[peer] = now + _SAID_AGAIN
        _log.warning(
            "callers by way of %s satisfy no permitted IPs: a proxy there is not named in ACCORD_TRUSTED_PROXIES, or tells no "
            "address but those of trusted proxies. Let it set `Forwarded` or `X-Forwarded-For`; programs on this machine can use "
            "ACCORD_LOCAL_SOCKET",
            peer or "a peer without an address",
        )


@lru_cache(maxsize=4096)
def client_address(
    peer: str, forwarded: str | None, x_forwarded_for: str | None, trusted: tuple[Rule, ...], *, relayed: bool
) -> Address | None:
    """The address that a request comes from; None if it is unknown, which satisfies no restriction.

    If the peer is a trusted proxy, it is the right-most address in `Forwarded` (RFC 7239) or `X-Forwarded-For` that is not
    itself a trusted proxy. If both headers are present they must agree, since the caller may have written the one that the
    proxy leaves alone. A trusted proxy that tells no address, or only those of trusted proxies, has told nothing: the address
    is unknown. What anybody else says in such a header is ignored; but if a request from this machine was `relayed`, a proxy that
    nobody trusts calls for somebody who may be anywhere, whose address is unknown as well.

    Raises Problem if the two headers disagree, or one is too long.
    """
    if max(len(forwarded or ""), len(x_forwarded_for or "")) > LONGEST:
        raise Problem("a forwarding header is too long")
    try:
        caller = parse_address(peer.strip("[]"))
    except ValueError:
        return None
    if matching(trusted, caller) is None:
        return None if relayed and matching(LOOPBACK, caller) is not None else caller
    told: list[Address | None] = []
    if forwarded is not None:
        told.append(_right_most_untrusted(_forwarded_for(forwarded), trusted))
    if x_forwarded_for is not None:
        told.append(_right_most_untrusted([part.strip() for part in x_forwarded_for.split(",")], trusted))
    if len({address and (address.version, address.value) for address in told}) > 1:
        raise Problem("`Forwarded` and `X-Forwarded-For` name different callers; let the proxy set one and remove the other")
    return told[0] if told else None


def _forwarded_for(header: str) -> list[str]:
    """The `for` of each element of a `Forwarded` header, in order; `unknown` for an element without exactly one."""
    found = []
    for element in _elements(header):
        pairs = [part.partition("=") for part in element.split(";")]
        told = [value.strip().strip('"') for name, _, value in pairs if name.strip().lower() == "for"]
        found.append(told[0] if len(told) == 1 else "unknown")
    return found


def _elements(header: str) -> list[str]:
    """The elements of the header, with quoted commas and semicolons removed; no address contains them.

    Quotes are counted from the right, where proxies write, so that a quote the caller leaves open cannot swallow their part.
    """
    pieces = re.sub(r'\\[\\"]', " ", header).split('"')
    pieces[-2::-2] = [re.sub("[,;]", " ", quoted) for quoted in pieces[-2::-2]]
    return '"'.join(pieces).split(",")


def _right_most_untrusted(texts: Sequence[str], trusted: Sequence[Rule]) -> Address | None:
    for text in reversed(texts):
        try:
            address = parse_address(_without_port(text))
        except ValueError:
            return None  # `unknown`, `_hidden` or nonsense
        if matching(trusted, address) is None:
            return address
    return None


def _without_port(text: str) -> str:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::\d+)?", text)
    if bracketed is not None:
        return bracketed[1]
    return text.partition(":")[0] if text.count(":") == 1 else text
