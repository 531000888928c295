"""Background work continues after failures, and ends on request."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import datetime

import pytest

from api.authentication import refusals
from api.background import Periodic
from api.state import snapshots
from reconciler.store.errors import StoreError
from tests.waiting import until

EVERY = 0.001


class _Rounds:
    """A task that fails in ways of its own, round by round."""

    def __init__(self, *outcomes: Exception | float | None) -> None:
        self._outcomes = iter(outcomes)
        self.count = 0
        self.stopping: threading.Event | None = None

    def __call__(self, now: datetime, stopping: threading.Event) -> float | None:
        self.count += 1
        self.stopping = stopping
        outcome = next(self._outcomes, None)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def running() -> Iterator[list[Periodic]]:
    started: list[Periodic] = []
    yield started
    for each in started:
        each.stop()
        assert each.join(10)


def test_a_task_runs_again_and_again(running: list[Periodic]) -> None:
    rounds = _Rounds()
    running.append(Periodic("counting", rounds, every=EVERY))
    running[0].start()
    until(lambda: rounds.count >= 3)


def test_a_failed_round_is_logged_and_the_next_one_follows(running: list[Periodic], caplog: pytest.LogCaptureFixture) -> None:
    rounds = _Rounds(StoreError("the disk is full"), ValueError("hunter2"), None)
    with caplog.at_level(logging.WARNING, "accord.api"):
        running.append(Periodic("counting", rounds, every=EVERY))
        running[0].start()
        until(lambda: rounds.count >= 3)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "counting waits: the database cannot be used: the disk is full",
        "counting failed (ValueError); it tries again",
    ]
    assert caplog.records[1].exc_info


def test_a_secret_task_logs_no_traceback(running: list[Periodic], caplog: pytest.LogCaptureFixture) -> None:
    rounds = _Rounds(ValueError("hunter2"), None)
    with caplog.at_level(logging.WARNING, "accord.api"):
        running.append(Periodic("mail", rounds, every=EVERY, is_secret=True))
        running[0].start()
        until(lambda: rounds.count >= 2)
    assert "hunter2" not in caplog.text
    assert "mail failed (ValueError)" in caplog.text


def test_a_task_says_when_its_next_round_is(running: list[Periodic]) -> None:
    rounds = _Rounds(EVERY, EVERY, 3600.0)
    running.append(Periodic("counting", rounds, every=3600, first=EVERY))
    running[0].start()
    until(lambda: rounds.count >= 3)


def test_a_stopped_task_ends_and_can_see_it(running: list[Periodic]) -> None:
    rounds = _Rounds()
    task = Periodic("counting", rounds, every=EVERY)
    task.start()
    until(lambda: rounds.count >= 1)
    task.stop()
    assert task.join(10)
    assert rounds.stopping is not None
    assert rounds.stopping.is_set()


def test_a_task_that_never_started_can_be_stopped() -> None:
    task = Periodic("counting", _Rounds(), every=EVERY)
    task.stop()
    assert task.join(0)


def test_threads_that_wait_for_work_log_what_fails_and_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rounds: list[str] = []

    def fail(self: object, *_: object) -> None:
        rounds.append(type(self).__name__)
        raise KeyError(7)

    monkeypatch.setattr(refusals, "EVERY", EVERY)
    monkeypatch.setattr(snapshots, "_SETTLED", EVERY)
    monkeypatch.setattr(refusals.Refusals, "flush", fail)
    monkeypatch.setattr(snapshots.AccessKeeper, "_read_ahead", fail)
    counted, keeper, stopping = refusals.Refusals(None), snapshots.AccessKeeper(None), threading.Event()  # type: ignore[arg-type]
    filling = threading.Thread(target=keeper.fill, args=(stopping,), daemon=True)
    filling.start()
    counted.start()
    with caplog.at_level(logging.ERROR, "accord.api"):
        for name, wake in (("AccessKeeper", keeper.stop), ("Refusals", counted._some.set)):
            for number in (1, 2):
                wake()
                until(lambda name=name, number=number: rounds.count(name) >= number, f"round {number} of {name}")
        stopping.set()
        counted._stopping.set()
        keeper.stop()
        counted._some.set()
        filling.join(10)
        counted._thread.join(10)
    said = {record.getMessage() for record in caplog.records}
    assert said == {f"{each} failed (KeyError); it tries again" for each in ("reading access ahead", "recording refusals")}
