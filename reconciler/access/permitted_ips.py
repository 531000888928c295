"""Permitted IPs: the addresses that a team's members may call from.

A rule is an address, a CIDR network, a range `first-last`, or an IPv4 address whose last parts are `*`. An IPv4-mapped
IPv6 address (RFC 4291, 2.5.5.2) counts as the IPv4 address it maps, in rules and for callers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import pairwise
from typing import NamedTuple

_LAST = {4: 2**32 - 1, 6: 2**128 - 1}
_MAPPED = 0xFFFF << 32


class Rule(NamedTuple):
    """The addresses of one IP version from `first` to `last`, inclusive."""

    version: int
    first: int
    last: int
    text: str


class Address(NamedTuple):
    """A caller's address. Loopback is one like any other: a proxy on this machine calls from there for the whole world."""

    version: int
    value: int
    text: str


LOCAL = Address(0, 0, "local")
"""Came over the local socket, which no proxy shares, so on this machine. It needs no rule, and no rule covers it."""


def _number(text: str) -> tuple[int, int]:
    if "%" in text:
        raise ValueError(f"`{text}` has a zone (the part after %), which has no meaning on another machine")
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(f"`{text}` is not an IP address") from None
    mapped = getattr(address, "ipv4_mapped", None)
    return (4, int(mapped)) if mapped is not None else (address.version, int(address))


def parse_address(text: str) -> Address:
    """Read a caller's address. Its text has one spelling, as callers are counted and compared by it.

    Raises ValueError if `text` is not an IP address.
    """
    version, value = _number(text)
    if ":" in text:
        text = str(IPv4Address(value) if version == 4 else IPv6Address(value))
    return Address(version, value, text)


def network_of(address: Address) -> str:
    """What is counted as one caller: an IPv4 address, or the IPv6 network of a site (RFC 6177)."""
    if address.version != 6:
        return address.text
    return str(IPv6Network((address.value, 64), strict=False))


@lru_cache(maxsize=65_536)
def parse_rule(text: str) -> Rule:
    """Read one entry of a permitted-IP list.

    Raises ValueError, with a message for people, if it is invalid or ambiguous.
    """
    if "*" in text:
        return _wildcard(text)
    if "/" in text:
        return _network(text)
    first, dash, last = text.partition("-")
    low = _number(first.strip())
    high = _number(last.strip()) if dash else low
    if low[0] != high[0]:
        raise ValueError(f"`{text}` goes from an IPv{low[0]} to an IPv{high[0]} address; write one range for each")
    if high[1] < low[1]:
        raise ValueError(f"`{text}` ends before it begins; did you mean `{last.strip()}-{first.strip()}`?")
    return Rule(low[0], low[1], high[1], text)


def _network(text: str) -> Rule:
    address, _, length = text.partition("/")
    if not (length.isascii() and length.isdigit()):
        raise ValueError(f"`{text}` is not a network; write the number of fixed bits after the slash, such as `10.20.0.0/16`")
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"`{text}` is not an IP network") from None
    if str(network.network_address) != str(ip_address(address)):
        raise ValueError(f"`{text}` has bits set after its first {length}; did you mean `{network}`, or `{address}` alone?")
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 6 and first >> 32 == 0xFFFF and network.prefixlen >= 96:
        return Rule(4, first - _MAPPED, last - _MAPPED, text)
    return Rule(network.version, first, last, text)


def _wildcard(text: str) -> Rule:
    parts = text.split(".")
    fixed = [part for part in parts if part != "*"]
    if len(parts) != 4 or not fixed or parts != fixed + ["*"] * (4 - len(fixed)):
        raise ValueError(
            f"`{text}` is not a pattern; only whole parts at the end of an IPv4 address can be `*`, such as `192.168.15.*`"
        )
    padding = 4 - len(fixed)
    try:
        first = IPv4Address(".".join(fixed + ["0"] * padding))
    except ValueError:
        raise ValueError(f"`{text}` is not an IPv4 pattern") from None
    return Rule(4, int(first), int(first) + 256**padding - 1, text)


def permitting(rules: Iterable[Rule], address: Address | None) -> str | None:
    """The text of the first rule that permits an address, or None. An unknown address satisfies none; a local one needs none."""
    if address is LOCAL:
        return LOCAL.text
    rule = None if address is None else matching(rules, address)
    return None if rule is None else rule.text


def matching(rules: Iterable[Rule], address: Address) -> Rule | None:
    """Return the first rule that covers an address, or None."""
    version, value = address.version, address.value
    for rule in rules:
        if rule.version == version and rule.first <= value <= rule.last:
            return rule
    return None


def overlapping(rules: Sequence[Rule]) -> list[tuple[int, int]]:
    """Return pairs of positions of rules that share an address."""
    order = sorted(range(len(rules)), key=lambda index: (rules[index].version, rules[index].first, -rules[index].last))
    pairs = []
    widest = order[0] if order else 0
    for index in order[1:]:
        if rules[index].version == rules[widest].version and rules[index].first <= rules[widest].last:
            pairs.append((min(index, widest), max(index, widest)))
        if rules[index].version != rules[widest].version or rules[index].last > rules[widest].last:
            widest = index
    return sorted(pairs)


def covers_everything(rules: Iterable[Rule]) -> bool:
    """Tell whether the joined rules cover every address of an IP version, so that they restrict nothing there."""
    by_version: dict[int, list[Rule]] = {4: [], 6: []}
    for rule in rules:
        by_version[rule.version].append(rule)
    return any(_joined(found) == (0, _LAST[version]) for version, found in by_version.items() if found)


def _joined(rules: list[Rule]) -> tuple[int, int] | None:
    """Return the single range that the rules cover together, or None if there is a gap."""
    reach = sorted((rule.first, rule.last) for rule in rules)
    high = reach[0][1]
    for _, (first, last) in pairwise(reach):
        if first > high + 1:
            return None
        high = max(high, last)
    return reach[0][0], high
