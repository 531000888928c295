"""The guard `clock`: which clocks are believed, and which need a person's word."""

from __future__ import annotations

from datetime import timedelta

import pytest
from test_make_plan import ADMINS, ALICE, BOB, NOW, actual, desired, verdicts

from reconciler.access.resources import Revision
from reconciler.plan.actual import Clocks
from reconciler.plan.guards import APART, AUTHORS, IDLE
from reconciler.plan.make import make_plan
from reconciler.plan.plan import Plan

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
LONG_AGO = NOW - timedelta(days=4_000)


def planned(clocks: Clocks, committed: timedelta = timedelta(days=4_000)) -> Plan:
    revision = Revision("1" * 40, "Alice Jones <alice@example.org>", NOW - committed, "A change")
    return make_plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS, BOB), revision=revision, now=NOW, clocks=clocks)


def verdict(clocks: Clocks, committed: timedelta = timedelta(days=4_000)) -> str:
    return verdicts(planned(clocks, committed))["clock"]


@pytest.mark.parametrize("clocks", [Clocks(), Clocks(NOW), Clocks(NOW, NOW, NOW), Clocks(NOW - IDLE), Clocks(NOW + APART)])
def test_a_clock_that_agrees_passes(clocks: Clocks) -> None:
    assert verdict(clocks) == "pass"


def test_a_clock_behind_the_last_record_is_refused() -> None:
    assert verdict(Clocks(NOW + APART + SECOND)) == "refuse"
    assert "4000 days behind the last entry" in planned(Clocks(NOW + timedelta(days=4_000))).refusals[0].message


def test_a_clock_behind_the_commit_is_refused_even_where_nothing_is_recorded() -> None:
    assert verdict(Clocks(), committed=-AUTHORS) == "pass"
    assert verdict(Clocks(), committed=-AUTHORS - SECOND) == "refuse"
    assert "4000 days behind the commit" in planned(Clocks(), committed=timedelta(days=-4_000)).refusals[0].message


def test_a_clock_far_ahead_of_everything_is_refused() -> None:
    assert verdict(Clocks(NOW - IDLE - SECOND)) == "refuse"
    assert verdict(Clocks(LONG_AGO, NOW - IDLE - SECOND)) == "refuse"
    assert "30 days ahead" in planned(Clocks(NOW - IDLE - SECOND)).refusals[0].message


def test_an_idle_database_and_a_new_commit_are_no_reason_for_doubt() -> None:
    assert verdict(Clocks(LONG_AGO), committed=DAY) == "pass"


def test_an_api_that_runs_is_no_reason_for_doubt() -> None:
    assert verdict(Clocks(LONG_AGO, NOW - DAY)) == "pass"


@pytest.mark.parametrize("apart", [APART + SECOND, -APART - SECOND, timedelta(days=4_000)])
def test_the_database_servers_clock_is_asked(apart: timedelta) -> None:
    assert verdict(Clocks(NOW, NOW, NOW + apart), committed=DAY) == "refuse"


def test_the_database_servers_clock_may_be_this_very_clock_so_the_other_signs_count_as_well() -> None:
    assert verdict(Clocks(LONG_AGO, LONG_AGO, NOW)) == "refuse"
    assert verdict(Clocks(LONG_AGO, LONG_AGO, NOW), committed=DAY) == "pass"
    assert verdict(Clocks(LONG_AGO, NOW - DAY, NOW)) == "pass"


def test_nothing_to_do_is_never_refused() -> None:
    revision = Revision("1" * 40, "Alice Jones <alice@example.org>", LONG_AGO, "A change")
    made = make_plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS), revision=revision, now=NOW, clocks=Clocks(LONG_AGO))
    assert made.refusals == ()
