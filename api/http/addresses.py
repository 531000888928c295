"""The caller's address: the peer's, or what a trusted proxy says of it. Nobody else's word counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from api.errors import Problem
from reconciler.access.permitted_ips import Address, Rule, matching, parse_address, parse_rule

LONGEST = 2_048
"""Characters of a forwarding header. It is read for every request, and kept with its answer."""


def parse_proxies(texts: Sequence[str]) -> tuple[Rule, ...]:
    """Trusted proxies, as addresses or CIDR networks. Raises ValueError."""
    return tuple(parse_rule(text) for text in texts)


@lru_cache(maxsize=4096)
def client_address(
    peer: str, forwarded: str | None, x_forwarded_for: str | None, trusted: tuple[Rule, ...], *, relayed: bool = False
) -> Address | None:
    """Where a request comes from; None where that cannot be known, which satisfies no restriction.

    From a trusted proxy it is the right-most address of `Forwarded` (RFC 7239) or `X-Forwarded-For` that is not itself a
    trusted proxy's. Where both headers are there they must agree: the caller may have written the one that the proxy does
    not. A forwarding header from anybody else is not believed, and its request never counts as one from this machine; nor does
    one that is `relayed`, as other headers tell.

    Raises Problem where the two headers disagree, or one is too long.
    """
    carried = forwarded is not None or x_forwarded_for is not None
    if max(len(forwarded or ""), len(x_forwarded_for or "")) > LONGEST:
        raise Problem("a forwarding header is longer than any list of proxies")
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
        raise Problem("`Forwarded` and `X-Forwarded-For` tell of different callers; let the proxy set one and remove the other")
    return told[0]


def _forwarded_for(header: str) -> list[str]:
    """The `for` of each element of a `Forwarded` header, in order; one that does not tell exactly one is unknown."""
    found = []
    for element in _elements(header):
        pairs = [part.partition("=") for part in element.split(";")]
        told = [value.strip().strip('"') for name, _, value in pairs if name.strip().lower() == "for"]
        found.append(told[0] if len(told) == 1 else "unknown")
    return found


def _elements(header: str) -> list[str]:
    """The elements, without the commas and semicolons that are quoted, which no address holds.

    Quotes are counted from the right, where the proxies write: one that the caller leaves open swallows nothing of theirs.
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
            return None  # `unknown`, `_hidden` or nonsense: whoever it was, it is not known
        if matching(trusted, address) is None:
            return address
    return address


def _without_port(text: str) -> str:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::\d+)?", text)
    if bracketed is not None:
        return bracketed[1]
    return text.partition(":")[0] if text.count(":") == 1 else text
