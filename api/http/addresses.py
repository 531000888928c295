"""The caller's address: the peer's own, or the one that a trusted proxy reports. Nobody else is believed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from api.errors import Problem
from reconciler.access.permitted_ips import Address, Rule, matching, parse_address

LONGEST = 2_048
"""Characters of a forwarding header. Every request has it parsed, and the result is cached."""


@lru_cache(maxsize=4096)
def client_address(
    peer: str, forwarded: str | None, x_forwarded_for: str | None, trusted: tuple[Rule, ...], *, relayed: bool = False
) -> Address | None:
    """The address that a request comes from; None if it is unknown, which satisfies no restriction.

    If the peer is a trusted proxy, it is the right-most address in `Forwarded` (RFC 7239) or `X-Forwarded-For` that is not
    itself a trusted proxy. If both headers are present they must agree, since the caller may have written the one that the
    proxy leaves alone. A forwarding header from anybody else is ignored, and such a request never counts as local; nor does
    one that is `relayed`, according to other headers.

    Raises Problem if the two headers disagree, or one is too long.
    """
    carried = forwarded is not None or x_forwarded_for is not None
    if max(len(forwarded or ""), len(x_forwarded_for or "")) > LONGEST:
        raise Problem("a forwarding header is too long")
    try:
        caller = parse_address(peer.strip("[]"), direct=not (carried or relayed))
    except ValueError:
        return None
    if not carried or matching(trusted, caller) is None:
        return caller
    told = []
    if forwarded is not None:
        told.append(_right_most_untrusted(_forwarded_for(forwarded), trusted))
    if x_forwarded_for is not None:
        told.append(_right_most_untrusted([part.strip() for part in x_forwarded_for.split(",")], trusted))
    if len({address and (address.version, address.value) for address in told}) > 1:
        raise Problem("`Forwarded` and `X-Forwarded-For` name different callers; let the proxy set one and remove the other")
    return told[0]


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
    address = None
    for text in reversed(texts):
        try:
            address = parse_address(_without_port(text))
        except ValueError:
            return None  # `unknown`, `_hidden` or nonsense
        if matching(trusted, address) is None:
            return address
    return address


def _without_port(text: str) -> str:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::\d+)?", text)
    if bracketed is not None:
        return bracketed[1]
    return text.partition(":")[0] if text.count(":") == 1 else text
