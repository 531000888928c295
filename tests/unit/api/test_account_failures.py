"""How long the next login of an account must wait; pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.authentication.account_failures import LONGEST, MOST, Failures, Tries
from api.state.policies import read_policies

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
POLICIES = read_policies(None)


def guesses(networks: int, days: int) -> int:
    """How many passwords so many networks can try when none of them misses a chance."""
    here = [Failures()] * networks
    now, tried = NOW, 0
    while now < NOW + timedelta(days=days):
        here = [each if each.last is not None and each.last > now - LONGEST else Failures() for each in here]
        strangers = Failures(sum(each.number for each in here), max((each.last for each in here if each.last), default=None))
        tries = [Tries(False, False, each, strangers) for each in here]
        free = next((number for number, each in enumerate(tries) if not each.must_wait(POLICIES, now)), None)
        if free is None:
            now = max(now, min(each.next_login(POLICIES) or now for each in tries))
            continue
        here[free] = Failures(here[free].number + 1, now)
        tried += 1
    return tried


@pytest.mark.parametrize("networks", [1, 5, 300])
def test_guessing_stays_hopeless_from_any_number_of_networks(networks: int) -> None:
    assert guesses(networks, 1) <= MOST + 40
    assert guesses(networks, 5) <= 5 * (MOST + 40)


def test_one_network_never_uses_up_what_all_may_try() -> None:
    assert guesses(1, 1) < MOST / 4
    assert guesses(1, 5) < MOST


@pytest.mark.parametrize(("number", "seconds"), [(4, 0), (5, 1), (6, 2), (11, 64), (60, 86_400)])
def test_the_delay_of_a_network_doubles(number: int, seconds: int) -> None:
    here = Failures(number, NOW)
    after = Tries(False, True, here, Failures(number, NOW)).next_login(POLICIES)
    assert ((after is not None and after - NOW) or timedelta(0)) == timedelta(seconds=seconds)


def test_a_known_network_never_waits_for_others() -> None:
    assert not Tries(True, True, Failures(), Failures(10_000, NOW)).must_wait(POLICIES, NOW)


def test_extreme_policies_do_not_overflow() -> None:
    policies = POLICIES._replace(max_failures=1, delay=timedelta(days=1), max_delay=timedelta(days=999_999))
    after = Failures(60, NOW).next_login(1, policies.delay, policies.max_delay)
    assert after is not None
    assert after.year > 2999
