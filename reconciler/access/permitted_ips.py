"""Permitted IPs: the addresses that a team's members may call from.

A rule is an address, a CIDR network, a range `first-last`, or an IPv4 address whose last parts are `*`. An IPv4-mapped
IPv6 address (RFC 4291, 2.5.5.2) counts as the IPv4 address it maps, in rules and for callers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import pairwise
from typing import NamedTuple, TypeAlias

_LAST = {4: 2**32 - 1, 6: 2**128 - 1}
_MAPPED = 0xFFFF << 32
_PAST_MAPPED = _MAPPED + 2**32

Addresses: TypeAlias = tuple[str, ...] | None
"""A set of addresses in the one spelling it has: rules that neither overlap nor touch, in order. None is every address."""

_Range: TypeAlias = tuple[int, int, int]
"""IP version, first and last address."""


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


def covered(rule: Rule, by: Iterable[Rule]) -> bool:
    """Tell whether rules together cover every address of another one."""
    free = rule.first
    for first, last in sorted((other.first, other.last) for other in by if other.version == rule.version):
        if first > free:
            return False
        free = max(free, last + 1)
        if free > rule.last:
            return True
    return False


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


def joined(texts: Iterable[str]) -> Addresses:
    """Return the addresses that rules cover together; without any rule there is no restriction.

    An invalid rule, which somebody wrote into the database by hand, permits nothing.
    """
    return _joined_list(frozenset(texts))


@lru_cache(maxsize=65_536)  # accounts in different teams often have the same rules
def _joined_list(texts: frozenset[str]) -> Addresses:
    rules = [_range_of(text) for text in texts]
    ranges = _merged(each for each in rules if each is not None)
    return None if not rules or ranges == _EVERYWHERE else tuple(map(_shown, ranges))


def _range_of(text: str) -> _Range | None:
    try:
        return parse_rule(text)[:3]
    except ValueError:
        return None


@lru_cache(maxsize=4_096)  # the same for all members of a team
def without(one: Addresses, other: Addresses) -> tuple[str, ...]:
    """Return the addresses of one set that another lacks."""
    left: list[_Range] = []
    taken, at = _ranges(other), 0
    for version, begin, last in _ranges(one):
        first = begin
        while at < len(taken) and (taken[at][0], taken[at][2]) < (version, first):
            at += 1
        for index in range(at, len(taken)):
            of, low, high = taken[index]
            if (of, low) > (version, last):
                break
            if low > first:
                left.append((version, first, low - 1))
            first = high + 1
        if first <= last:
            left.append((version, first, last))
    return tuple(map(_shown, _merged(left)))


_EVERYWHERE: list[_Range] = [(version, 0, last) for version, last in _LAST.items()]


def _ranges(addresses: Addresses) -> list[_Range]:
    return _EVERYWHERE if addresses is None else [parse_rule(text)[:3] for text in addresses]


def _merged(ranges: Iterable[_Range]) -> list[_Range]:
    """Sort ranges and join those that overlap or touch. No caller has an IPv4-mapped address: none ends or begins with one."""
    found: list[_Range] = []
    for version, begin, end in sorted(ranges):
        first = _PAST_MAPPED if version == 6 and _MAPPED <= begin < _PAST_MAPPED else begin
        last = _MAPPED - 1 if version == 6 and _MAPPED <= end < _PAST_MAPPED else end
        if first > last:
            continue
        before = found[-1] if found else (0, 0, 0)
        after = _PAST_MAPPED if before[0] == 6 and before[2] == _MAPPED - 1 else before[2] + 1
        if before[0] == version and first <= after:
            found[-1] = (version, before[1], max(before[2], last))
        else:
            found.append((version, first, last))
    return found


@lru_cache(maxsize=65_536)  # teams share ranges, and accounts teams
def _shown(of: _Range) -> str:
    """Write a range as the shortest rule that means it."""
    version, first, last = of
    address = IPv4Address if version == 4 else IPv6Address
    size = last - first + 1
    if size == 1:
        return str(address(first))
    if size & (size - 1) == 0 and first % size == 0:
        return f"{address(first)}/{_LAST[version].bit_length() - size.bit_length() + 1}"
    return f"{address(first)}-{address(last)}"
