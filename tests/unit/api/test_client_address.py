"""Who is believed about where a request comes from. A wrong answer here is a wrong allow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from growth import assert_linear
from hypothesis import given
from hypothesis import strategies as st

import api.http.addresses
from api.errors import Problem
from api.http.addresses import LONGEST, client_address
from reconciler.access.decide import permits
from reconciler.access.permitted_ips import Address, parse_rule
from reconciler.access.resources import Team

PROXY, SECOND, STRANGER = "192.0.2.1", "192.0.2.2", "198.51.100.9"
TRUSTED = tuple(map(parse_rule, ("192.0.2.0/24", "2001:db8:ffff::/48", "127.0.0.1")))


def address(peer: str, *, forwarded: str | None = None, x_forwarded_for: str | None = None) -> Address | None:
    relayed = forwarded is not None or x_forwarded_for is not None
    return client_address(peer, forwarded, x_forwarded_for, TRUSTED, relayed=relayed)


def told(header: str) -> str | None:
    """What `Forwarded` from a trusted proxy means."""
    found = address(PROXY, forwarded=header)
    return found and found.text


@pytest.mark.parametrize("peer", ["203.0.113.7", "2001:db8::7", "127.0.0.2", "::1"])
def test_without_a_proxy_the_caller_is_the_peer(peer: str) -> None:
    found = address(peer)
    assert found is not None
    assert found.text == peer


@pytest.mark.parametrize("peer", ["127.0.0.2", "::1", "::ffff:127.0.0.2", "[::1]"])
def test_a_proxy_on_this_machine_that_nobody_trusts_calls_for_nobody_known(peer: str) -> None:
    assert client_address(peer, None, None, TRUSTED, relayed=False) is not None
    assert client_address(peer, None, None, TRUSTED, relayed=True) is None
    assert address(peer, x_forwarded_for="127.0.0.2") is None


def test_a_proxy_elsewhere_that_nobody_trusts_is_the_caller() -> None:
    found = client_address(STRANGER, None, "127.0.0.2", TRUSTED, relayed=True)
    assert found is not None and found.text == STRANGER


@pytest.mark.parametrize("peer", ["", "unix:", "nonsense", "fe80::1%eth0"])
def test_a_peer_without_an_address_is_nobody(peer: str) -> None:
    assert address(peer) is None


@pytest.mark.parametrize(
    ("header", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("10.20.0.1, 203.0.113.7", "203.0.113.7"),  # what is left of it, the caller may have written
        (f"10.20.0.1, 203.0.113.7, {SECOND}", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("10.20.0.1,203.0.113.7", "203.0.113.7"),
    ],
)
def test_x_forwarded_for_is_read_from_the_right(header: str, client: str) -> None:
    found = address(PROXY, x_forwarded_for=header)
    assert found is not None
    assert found.text == client


@pytest.mark.parametrize(
    "header",
    ["", "unknown", "203.0.113.7,", "203.0.113.7, _hidden", "203.0.113.007", "a.example.org", ",", f"{SECOND}, {PROXY}", SECOND],
)
def test_an_address_that_x_forwarded_for_leaves_open_stays_unknown(header: str) -> None:
    assert address(PROXY, x_forwarded_for=header) is None


@pytest.mark.parametrize(
    ("header", "client"),
    [
        ("for=203.0.113.7", "203.0.113.7"),
        ("For=203.0.113.7;proto=https;by=192.0.2.1", "203.0.113.7"),
        ("for=10.20.0.1, for=203.0.113.7", "203.0.113.7"),
        (f"for=203.0.113.7, for={SECOND}", "203.0.113.7"),
        ('for="203.0.113.7:4711"', "203.0.113.7"),
        ('for="[2001:db8::7]:4711"', "2001:db8::7"),
        ('proto=https; for="[2001:db8::7]"', "2001:db8::7"),
    ],
)
def test_forwarded_is_read_from_the_right(header: str, client: str) -> None:
    assert told(header) == client


@pytest.mark.parametrize("header", ["", "for=", "for=unknown", "for=_gazonk", "by=10.20.0.1", "for", ";;;", "for=203.0.113.7,"])
def test_an_address_that_forwarded_leaves_open_stays_unknown(header: str) -> None:
    assert told(header) is None


@pytest.mark.parametrize(
    "written_by_the_caller",
    [
        'for="10.20.0.1',
        "for=10.20.0.1;x=\\",
        'for=10.20.0.1;x="',
        'for=10.20.0.1;x="\\',
        'for=10.20.0.1;x="\\"',
        'for=10.20.0.1, for="',
    ],
)
@pytest.mark.parametrize("of_the_proxy", ["for=203.0.113.7", 'for="203.0.113.7:80";proto=https'])
def test_an_open_quote_by_the_caller_cannot_swallow_what_the_proxy_adds(written_by_the_caller: str, of_the_proxy: str) -> None:
    assert told(f"{written_by_the_caller}, {of_the_proxy}") == "203.0.113.7"


@pytest.mark.parametrize(
    "host",
    [
        "x;for=10.20.0.1;y",
        ";for=10.20.0.1;",
        ", for=10.20.0.1",
        ';for=10.20.0.1;\\"',
        'a\\";for=10.20.0.1;b\\"',
        'a\\";for=10.20.0.1',
        'a\\";for=10.20.0.1;b\\\\',
    ],
)
@pytest.mark.parametrize(
    "element", ['for=203.0.113.7;host="{}"', 'host="{}";for=203.0.113.7', 'for=203.0.113.7;host="{}";proto=https']
)
def test_a_host_that_the_proxy_quotes_cannot_hold_another_address(host: str, element: str) -> None:
    assert told(element.format(host)) == "203.0.113.7"


_PIECES = st.lists(st.sampled_from(['"', "\\", ";", ",", "=", " ", "x", "for=10.20.0.1"]), max_size=8).map("".join)


@given(before=_PIECES, host=_PIECES)
def test_the_caller_can_never_choose_its_address(before: str, host: str) -> None:
    escaped = host.replace("\\", "\\\\").replace('"', '\\"')
    assert told(f'{before}, for=203.0.113.7;host="{escaped}"') == "203.0.113.7"
    assert told(f'{before},host="{escaped}";for="203.0.113.7"') == "203.0.113.7"


def test_an_element_with_two_callers_names_none() -> None:
    assert told("for=10.20.0.1;for=203.0.113.7") is None


@pytest.mark.parametrize(
    ("forwarded", "x_forwarded_for"), [("for=10.20.0.1", "203.0.113.7"), ("for=unknown", "203.0.113.7"), ("for=10.20.0.1", "")]
)
def test_two_headers_that_name_different_callers_are_refused(forwarded: str, x_forwarded_for: str) -> None:
    with pytest.raises(Problem, match="different callers"):
        address(PROXY, forwarded=forwarded, x_forwarded_for=x_forwarded_for)


def test_two_headers_that_agree_are_read() -> None:
    found = address(PROXY, forwarded='for="[2001:db8::7]"', x_forwarded_for="2001:DB8:0::7")
    assert found is not None
    assert found.value == 0x2001_0DB8_0000_0000_0000_0000_0000_0007


@pytest.mark.parametrize("header", ["forwarded", "x_forwarded_for"])
@pytest.mark.parametrize("peer", [STRANGER, "2001:db8::9"])
def test_headers_of_anybody_else_are_ignored(peer: str, header: str) -> None:
    found = address(peer, **{header: "for=10.20.0.1" if header == "forwarded" else "10.20.0.1"})
    assert found is not None
    assert found.text == peer


@pytest.mark.parametrize("peer", [PROXY, "127.0.0.1", "::ffff:127.0.0.1", "2001:db8:ffff::1"])
def test_a_trusted_proxy_that_tells_no_address_leaves_it_unknown(peer: str) -> None:
    assert address(peer) is None
    assert address(peer, x_forwarded_for="") is None
    assert address(peer, forwarded=f"for={SECOND}", x_forwarded_for=PROXY) is None


@pytest.mark.parametrize("claimed", ["127.0.0.2", "::1"])
def test_a_proxy_that_tells_a_loopback_address_makes_nobody_local(claimed: str) -> None:
    restricted = [Team("office", permitted_ips=("10.20.0.0/16",))]
    found = address(PROXY, x_forwarded_for=claimed)
    assert found is not None
    assert permits(restricted, found) == (False, None)


@pytest.mark.parametrize("piece", [",", '",', '"",', ',"a"', "\\", 'for="', ";"])
def test_reading_a_header_takes_time_in_proportion_to_its_length(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def reading(length: int) -> Callable[[], object]:
        header = piece * (length // len(piece))
        return lambda: client_address.__wrapped__(PROXY, header, header, TRUSTED, relayed=True)

    monkeypatch.setattr(api.http.addresses, "LONGEST", 64 * LONGEST)
    assert_linear(reading, LONGEST, 64 * LONGEST)


@pytest.mark.parametrize("piece", [",", '",', '"",', ',"a"', "\\", 'for="', ";"])
def test_a_header_is_read_up_to_its_limit(piece: str) -> None:
    header = (piece * LONGEST)[:LONGEST]
    assert told(header) is None
    with pytest.raises(Problem, match="too long"):
        address(PROXY, forwarded=header + ",")
    with pytest.raises(Problem, match="too long"):
        address(STRANGER, x_forwarded_for=header + ",")
