"""Permitted IPs, as the field's users know them."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.access.permitted_ips import (
    LOCAL,
    covers_everything,
    matching,
    network_of,
    overlapping,
    parse_address,
    parse_rule,
    permitting,
)


def permits(rules: list[str], address: str) -> bool:
    return matching([parse_rule(rule) for rule in rules], parse_address(address)) is not None


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("10.20.0.0/16", ["10.20.0.0", "10.20.255.255", "::ffff:10.20.3.4"], ["10.19.255.255", "10.21.0.0", "::a14:304"]),
        ("192.168.15.1-192.168.15.128", ["192.168.15.1", "192.168.15.128"], ["192.168.15.0", "192.168.15.129"]),
        ("192.168.15.1 - 192.168.15.128", ["192.168.15.64"], ["192.168.16.1"]),
        ("192.168.15.*", ["192.168.15.0", "192.168.15.255"], ["192.168.14.255", "192.168.16.0"]),
        ("10.*.*.*", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
        ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.8"]),
        ("2001:db8::/32", ["2001:db8::1", "2001:DB8:FFFF::"], ["2001:db9::", "10.0.0.1"]),
        ("2001:db8::1-2001:db8::f", ["2001:db8::a"], ["2001:db8::10"]),
        ("::ffff:10.0.0.0/104", ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.0"]),
        ("::ffff:192.0.2.1", ["192.0.2.1"], ["192.0.2.2"]),
        ("0.0.0.0/0", ["1.2.3.4"], ["2001:db8::1"]),
    ],
)
def test_a_rule_permits_its_addresses_and_no_others(rule: str, inside: list[str], outside: list[str]) -> None:
    assert [address for address in inside if not permits([rule], address)] == []
    assert [address for address in outside if permits([rule], address)] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.20.1.5/16", "did you mean `10.20.0.0/16`, or `10.20.1.5` alone?"),
        ("10.20.0.0/255.255.0.0", "number of fixed bits"),
        ("10.0.0.0/33", "not an IP network"),
        ("10.0.0.9-10.0.0.1", "did you mean `10.0.0.1-10.0.0.9`?"),
        ("10.0.0.1-2001:db8::1", "from an IPv4 to an IPv6"),
        ("192.*.15.*", "only whole parts at the end"),
        ("*", "only whole parts at the end"),
        ("*.*.*.*", "only whole parts at the end"),
        ("192.168.1*.*", "not an IPv4 pattern"),
        ("fe80::1%eth0", "has a zone"),
        ("localhost", "not an IP address"),
        ("", "not an IP address"),
        ("010.0.0.1", "not an IP address"),
        ("10.0.0.1/", "number of fixed bits"),
        ("10.0.0.1-", "not an IP address"),
        ("١٠.0.0.1", "not an IP address"),
        ("10.0.0.0/٨", "number of fixed bits"),
    ],
)
def test_an_ambiguous_address_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        parse_rule(text)
    assert says in str(error.value)


@pytest.mark.parametrize("loopback", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_an_address_like_any_other(loopback: str) -> None:
    address = parse_address(loopback)
    assert permitting([parse_rule("10.0.0.0/8")], address) is None
    assert permitting([parse_rule("10.0.0.0/8"), parse_rule(loopback)], address) == loopback


def test_a_local_caller_needs_no_rule_and_an_unknown_one_satisfies_none() -> None:
    everything = [parse_rule("0.0.0.0/0"), parse_rule("::/0")]
    assert permitting([], LOCAL) == permitting(everything, LOCAL) == "local"
    assert permitting(everything, None) is None
    assert matching(everything, LOCAL) is None


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
    ],
)
def test_an_address_has_one_spelling(text: str, spelled: str) -> None:
    assert parse_address(text).text == spelled


def test_an_ipv4_address_and_an_ipv6_site_count_as_one_caller() -> None:
    assert network_of(parse_address("::ffff:10.1.2.3")) == "10.1.2.3"
    assert (
        network_of(parse_address("2001:db8:0:7::1")) == network_of(parse_address("2001:db8:0:7:ffff::2")) == "2001:db8:0:7::/64"
    )


def test_rules_that_together_cover_everything_are_found() -> None:
    def covers(*texts: str) -> bool:
        return covers_everything([parse_rule(text) for text in texts])

    assert covers("0.0.0.0/0")
    assert covers("10.0.0.0/8", "::/0")
    assert covers("0.0.0.0/1", "128.0.0.0-255.255.255.255")
    assert not covers("0.0.0.0/1", "128.0.0.1-255.255.255.255")
    assert not covers("10.0.0.0/8", "2001:db8::/32")
    assert not covers()


def test_overlapping_rules_are_named_by_position() -> None:
    texts = ("10.1.0.0/16", "10.0.0.0/8", "192.0.2.1", "10.2.0.0-10.3.0.0", "2001:db8::1")
    assert overlapping([parse_rule(text) for text in texts]) == [(0, 1), (1, 3)]
    assert overlapping([]) == []


v4 = st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(v4, v4), min_size=1, max_size=6), v4)
def test_matching_and_covering_agree_with_plain_arithmetic(ranges: list[tuple[int, int]], value: int) -> None:
    rules = [parse_rule(f"{ip_address(min(pair))}-{ip_address(max(pair))}") for pair in ranges]
    address = parse_address(str(ip_address(value)))
    assert (matching(rules, address) is not None) == any(min(pair) <= value <= max(pair) for pair in ranges)
    if covers_everything(rules):
        assert matching(rules, address) is not None


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6))
def test_overlap_is_reported_exactly_where_it_occurs(ranges: list[tuple[int, int]]) -> None:
    spans = [(min(pair), max(pair)) for pair in ranges]
    rules = [parse_rule(f"0.0.0.{low}-0.0.0.{high}") for low, high in spans]
    truth = {(i, j) for j in range(len(spans)) for i in range(j) if spans[i][0] <= spans[j][1] and spans[j][0] <= spans[i][1]}
    found = set(overlapping(rules))
    assert found <= truth
    assert bool(found) == bool(truth)
