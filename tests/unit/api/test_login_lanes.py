"""Logins that wait outside the threads: in what order, how many, and what is not a login."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from waiting import until
from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser

from api.authentication.places import Guest
from api.serving.lanes import FOR_KNOWN, FOR_STRANGERS, MOST_WAITING, OVERDUE, Lines, LoginLanes


def test_networks_take_turns_and_each_keeps_its_order() -> None:
    lines: Lines[str] = Lines()
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        lines.put(item[0], item)
    assert len(lines) == 6
    assert [lines.take() for _ in range(6)] == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert len(lines) == 0


def test_one_network_with_a_thousand_logins_holds_nobody_up() -> None:
    lines: Lines[int] = Lines()
    for number in range(1_000):
        lines.put("flood", number)
    lines.put("honest", -1)
    assert -1 in [lines.take() for _ in range(2)]


class Channel:
    """A connection whose next request is answered when it may be."""

    def __init__(self, head: str, answered: list[Channel]) -> None:
        parser = HTTPRequestParser(Adjustments())
        parser.received(f"{head} HTTP/1.1\r\nHost: accord\r\nContent-Length: 0\r\n\r\n".encode())
        self.requests: list[Any] = [parser]
        self._answered = answered
        self.socket = None

    def service(self) -> None:
        self._answered.append(self)

    def cancel(self) -> None:
        pass


LOGIN = "POST /api/v1/sessions"


@pytest.fixture
def guests() -> list[Guest]:
    return []


@pytest.fixture
def lanes(guests: list[Guest], monkeypatch: pytest.MonkeyPatch) -> Iterator[LoginLanes]:
    made = LoginLanes(lambda _: guests.pop())
    monkeypatch.setattr("api.serving.lanes.WSGITask", lambda *_: type("Task", (), {"get_environment": dict}))
    yield made
    made.shutdown(5)


@pytest.mark.parametrize("head", [LOGIN, "POST //api/v1/sessions", "POST /certdog/api/login", f"{LOGIN}?x=1"])
def test_logins_are_answered_by_threads_of_their_own(head: str, lanes: LoginLanes, guests: list[Guest]) -> None:
    answered: list[Channel] = []
    for known in (True, False):
        guests.append(Guest("one", known))
        assert lanes.takes(Channel(head, answered))  # type: ignore[arg-type]
    until(lambda: len(answered) == 2, "answers")


@pytest.mark.parametrize("head", ["GET /api/v1/sessions", "DELETE /api/v1/sessions/current", "POST /api/v1/me/tokens", "POST /"])
def test_nothing_else_is(head: str, lanes: LoginLanes) -> None:
    assert not lanes.takes(Channel(head, []))  # type: ignore[arg-type]


def test_a_full_lane_takes_nobody_and_the_other_is_free(lanes: LoginLanes, guests: list[Guest]) -> None:
    for lane in (lanes._known, lanes._strangers):
        lane.set_thread_count(0)
    until(lambda: not lanes._known.threads and not lanes._strangers.threads, "the end of all threads")
    for number in range(MOST_WAITING):
        guests.append(Guest(str(number), False))
        assert lanes.takes(Channel(LOGIN, []))  # type: ignore[arg-type]
    guests.append(Guest("late", False))
    late = Channel(LOGIN, [])
    assert not lanes.takes(late)  # type: ignore[arg-type]
    assert late.requests[0].arrived == OVERDUE
    guests.append(Guest("home", True))
    assert lanes.takes(Channel(LOGIN, []))  # type: ignore[arg-type]


def test_a_request_that_cannot_be_understood_waits_with_strangers(lanes: LoginLanes) -> None:
    answered: list[Channel] = []
    assert lanes.takes(Channel(LOGIN, answered))  # type: ignore[arg-type]  # there is no guest: finding it out fails
    until(lambda: len(answered) == 1, "an answer")
    assert FOR_KNOWN > 0 < FOR_STRANGERS
