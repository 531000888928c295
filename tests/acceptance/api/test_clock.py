"""A clock that jumps: nothing is done by it that cannot be undone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from client import World
from waiting import until

from api.background import Periodic
from api.certificates import reminders
from api.state.clock import APART, JUMP, LONGEST_PAUSE, Clock, Signs, doubt

NOW = datetime(2031, 6, 1, 12, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def believed(signs: Signs, pause: timedelta = LONGEST_PAUSE) -> bool:
    return doubt(NOW, signs, pause) is None


def test_a_clock_that_goes_on_is_believed() -> None:
    assert believed(Signs(NOW, None, None))
    assert believed(Signs(NOW - JUMP, NOW - LONGEST_PAUSE, None))
    assert believed(Signs(NOW + JUMP, NOW, NOW - APART))


@pytest.mark.parametrize("jump", [JUMP + SECOND, -JUMP - SECOND, timedelta(days=20_000)])
def test_a_jump_while_a_process_runs_is_not_believed_even_if_the_server_jumped_too(jump: timedelta) -> None:
    assert not believed(Signs(NOW - jump, NOW, NOW))


@pytest.mark.parametrize("apart", [APART + SECOND, -APART - SECOND])
def test_the_database_servers_clock_is_asked(apart: timedelta) -> None:
    assert not believed(Signs(NOW, NOW, NOW - apart))


@pytest.mark.parametrize("server", [None, NOW], ids=["without a server", "with a server that has the same clock"])
def test_a_long_pause_needs_a_persons_word(server: datetime | None) -> None:
    long_ago = Signs(NOW, NOW - LONGEST_PAUSE - SECOND, server)
    assert "ACCORD_LONGEST_PAUSE=31d" in str(doubt(NOW, long_ago, LONGEST_PAUSE))
    assert believed(long_ago, timedelta(days=31))


def test_what_the_database_knows_of_the_time(world: World) -> None:
    now = datetime.now(UTC)
    clock = Clock(world.service.reader, LONGEST_PAUSE)
    assert clock.doubt(now) is None, "no API has run yet"
    reminders.scan(world.service.database, now)
    assert clock.doubt(now + HOUR / 2) is None
    assert clock.doubt(now + timedelta(days=400)) is not None
    restarted = Clock(world.service.reader, LONGEST_PAUSE, wall=lambda: now + timedelta(days=400))
    assert restarted.doubt(now + timedelta(days=400)) is not None, "a restart does not make it right"
    told = Clock(world.service.reader, timedelta(days=401), wall=lambda: now + timedelta(days=400))
    assert (told.doubt(now + timedelta(days=400)) is None) is world.service.database.is_sqlite


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_work_by_a_clock_in_doubt_is_left_out_and_reported(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[datetime] = []
    work: Callable[[datetime, Event], None] = lambda now, _: done.append(now)  # noqa: E731
    monkeypatch.setattr(world.service.clock, "_started", datetime.now(UTC) - timedelta(days=400, hours=1))
    periodic = Periodic("purging", work, every=0.01).unless(world.service._doubt)
    with caplog.at_level(logging.ERROR, "accord.api"):
        periodic.start()
        until(lambda: bool(caplog.records), "a report")
    assert "purging was left out: this machine's clock is 400 days ahead of" in caplog.text
    assert (done, "accord_clock_doubted 1.0" in world.metrics()) == ([], True)
    monkeypatch.setattr(world.service.clock, "_started", datetime.now(UTC))
    until(lambda: bool(done), "a round by a clock that is right again")
    periodic.stop()
    periodic.join(10)
    assert "accord_clock_doubted 0.0" in world.metrics()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_everything_that_deletes_or_switches_off_asks_the_clock_first(world: World) -> None:
    guarded = {each._name for each in world.service._background if each._doubt is not None}
    assert {"purging", "reminding"} <= guarded
