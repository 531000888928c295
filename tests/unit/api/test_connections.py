"""Fair shares of connections: who has to make room for whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from api.serving.connections import SHARE, Connections
from reconciler.access.permitted_ips import parse_rule

MOST = 8
QUOTA = MOST // SHARE
PROXY = "192.0.2.1"


class Held:
    """A connection."""


def connections() -> Connections[Held]:
    return Connections(MOST, (parse_rule(PROXY),))


def take(held: Connections[Held], peer: str | None, count: int) -> list[tuple[Held, Callable[[], None]]]:
    taken = [Held() for _ in range(count)]
    return [(each, held.add(peer, each)) for each in taken]


def test_a_network_with_its_share_makes_room_for_itself_from_its_oldest_on() -> None:
    held = connections()
    mine = take(held, "198.51.100.1", QUOTA)
    assert [*held.in_the_way_of("198.51.100.1")] == [each for each, _ in mine]
    assert held.is_full_for("198.51.100.1")
    assert [*held.in_the_way_of("198.51.100.2")] == []
    assert not held.is_full_for("198.51.100.2")
    mine[0][1]()
    assert not held.is_full_for("198.51.100.1")


def test_the_addresses_of_an_ipv6_site_share() -> None:
    held = connections()
    take(held, "2001:db8:0:7::1", 1)
    take(held, "2001:db8:0:7:8::2", QUOTA - 1)
    assert held.is_full_for("2001:db8:0:7::3")
    assert not held.is_full_for("2001:db8:0:8::3")


def test_mapped_addresses_and_zones_are_those_they_name() -> None:
    held = connections()
    take(held, "::ffff:198.51.100.1", QUOTA)
    assert held.is_full_for("198.51.100.1")
    take(held, "fe80::1%eth0", QUOTA)
    assert held.is_full_for("fe80::1%eth1")


def test_if_all_are_taken_the_network_with_most_makes_room() -> None:
    held = connections()
    take(held, PROXY, MOST - 3)
    take(held, "198.51.100.1", 1)
    most = take(held, "198.51.100.2", 2)
    assert [*held.in_the_way_of("198.51.100.3")] == [each for each, _ in most]
    assert held.is_full_for("198.51.100.3")


@pytest.mark.parametrize("exempt", [PROXY, None], ids=["a trusted proxy", "the local socket"])
def test_trusted_proxies_and_the_local_socket_have_no_share_and_are_in_nobodys_way(exempt: str | None) -> None:
    held = connections()
    take(held, exempt, 2 * MOST)
    assert not held.is_full_for(exempt)
    assert [*held.in_the_way_of(exempt)] == [*held.in_the_way_of("198.51.100.1")] == []


def test_what_has_ended_takes_no_room() -> None:
    held = connections()
    for _ in range(3 * MOST):
        for _, ended in take(held, "198.51.100.1", QUOTA):
            ended()
    assert not held.is_full_for("198.51.100.1")
    assert not held.is_full_for("198.51.100.2")
