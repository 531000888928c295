"""Who gets a place, and who gets the next turn."""

from __future__ import annotations

import pytest

from api.authentication.places import INSIDER, Guest, Places, Visit, site_of
from reconciler.access.permitted_ips import parse_address


def stranger(number: int) -> Guest:
    return Guest(f"stranger {number}", False)


def known(number: int) -> Guest:
    return Guest(f"known {number}", True)


def entered(places: Places, *guests: Guest) -> list[Visit | None]:
    return [places.enter(guest) for guest in guests]


def taken(places: Places, *guests: Guest) -> list[Visit]:
    visits = [visit for visit in entered(places, *guests) if visit is not None]
    assert len(visits) == len(guests)
    return visits


def test_strangers_leave_a_share_to_known_networks() -> None:
    places = Places(6, 2)
    visits = entered(places, *map(stranger, range(1_000)))
    assert [visit is not None for visit in visits[:4]] == [True, True, True, False]
    assert not any(visits[3:])
    taken(places, *map(known, range(3)))
    assert places.enter(known(3)) is None


def test_known_networks_may_take_every_place() -> None:
    places = Places(6, 2)
    taken(places, *map(known, range(6)))
    assert places.enter(stranger(1)) is None


def test_a_guest_who_wants_to_be_alone_has_one_place() -> None:
    places = Places(6, 2)
    (visit,) = taken(places, known(1))
    assert places.enter(known(1), alone=True) is None
    places.leave(visit)
    assert places.enter(known(1), alone=True) is not None


@pytest.mark.parametrize(("guest", "most"), [(stranger(1), 2), (known(1), 5)])
def test_one_network_never_takes_the_last_place(guest: Guest, most: int) -> None:
    places = Places(6, 2)
    visits = entered(places, *[guest] * 100)
    assert sum(visit is not None for visit in visits) == most
    assert places.enter(guest._replace(network="another")) is not None


def test_a_place_that_is_given_back_is_free_again() -> None:
    places = Places(2, 1)
    (visit,) = taken(places, stranger(1))
    assert places.enter(stranger(2)) is None
    places.leave(visit)
    taken(places, stranger(2))


def test_a_known_network_displaces_the_stranger_who_came_last_and_waits() -> None:
    places = Places(4, 1)
    first, last = taken(places, stranger(1), stranger(2))
    taken(places, known(1), known(2))
    assert places.enter(known(3)) is None  # nobody waits
    for visit in (first, last):
        places.ask(visit)
    assert places.begin(first)
    assert places.enter(known(3)) is not None
    assert (first.is_displaced, last.is_displaced) == (False, True)
    assert places.enter(known(4)) is None  # who hashes is left alone
    places.end(first)
    assert not places.begin(last)


def test_turns_go_to_known_networks_first_and_then_in_order() -> None:
    places = Places(6, 1)
    visits = taken(places, stranger(1), stranger(2), known(1), known(2))
    for visit in visits:
        places.ask(visit)
    order = []
    while visits:
        (mine,) = [visit for visit in visits if places.begin(visit)]
        assert not any(places.begin(visit) for visit in visits)
        order.append(mine.guest.network)
        visits.remove(mine)
        places.end(mine)
    assert order == ["known 1", "known 2", "stranger 1", "stranger 2"]


def test_accord_itself_takes_turns_and_no_place() -> None:
    places = Places(1, 1)
    visit = places.attend(INSIDER)
    places.ask(visit)
    assert places.begin(visit)
    taken(places, stranger(1))
    places.leave(visit)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.9", "203.0.113.250", True),
        ("203.0.113.9", "203.0.114.9", False),
        ("::ffff:203.0.113.9", "203.0.113.1", True),
        ("2001:db8:1::1", "2001:db8:1:ffff::1", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("0.0.0.1", "::1", False),
    ],
)
def test_what_counts_as_one_network(one: str, other: str, same: bool) -> None:
    assert (site_of(parse_address(one)) == site_of(parse_address(other))) is same
    assert site_of(None) == site_of(None) != site_of(parse_address(one))


def test_strangers_leave_a_turn_to_known_networks() -> None:
    places = Places(6, 2)
    visits = taken(places, stranger(1), stranger(2), known(1))
    for visit in visits[:2]:
        places.ask(visit)
    assert [places.begin(visit) for visit in visits[:2]] == [True, False]
    places.ask(visits[2])
    assert places.begin(visits[2])
    places.end(visits[0])
    assert places.begin(visits[1])


def test_known_networks_take_all_turns() -> None:
    places = Places(6, 2)
    visits = taken(places, known(1), known(2), known(3))
    for visit in visits:
        places.ask(visit)
    assert [places.begin(visit) for visit in visits] == [True, True, False]
