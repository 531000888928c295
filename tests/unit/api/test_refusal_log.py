"""How many lines about refusals the log gets."""

from __future__ import annotations

import logging

import pytest

from api.refusal_log import OF_ALL, OF_ONE, WINDOW, RefusalLog, Throttle

FACTS = {"status": 403, "actor": "alice", "address": "::1", "operation": "GET /x", "reason": "narrowed", "requestId": "7"}


def test_one_source_gets_few_lines_and_all_together_not_many_more() -> None:
    throttle = Throttle(of_one=3, of_all=5, window=60)
    assert throttle.left_out(0) == 0
    assert [throttle.passes("one") for _ in range(5)] == [True] * 3 + [False] * 2
    assert [throttle.passes(str(number)) for number in range(5)] == [True] * 2 + [False] * 3
    assert throttle.left_out(59.9) == 0
    assert throttle.left_out(60) == 5
    assert throttle.left_out(60) == 0
    assert throttle.passes("one")


def test_a_flood_of_refusals_is_told_in_one_line(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("api.refusal_log.time.monotonic", lambda: clock[0])
    log = RefusalLog()
    for _ in range(OF_ONE + 7):
        log.refuse("one", FACTS)
    assert len(caplog.records) == OF_ONE < OF_ALL
    assert caplog.messages[0] == "refused with 403: alice at ::1, GET /x: narrowed"
    assert vars(caplog.records[0])["requestId"] == "7"
    assert caplog.records[0].levelno == logging.WARNING
    caplog.clear()
    clock[0] += WINDOW
    log.tell()
    assert caplog.messages == ["7 more refusals were left out of the log within 60 seconds"]
