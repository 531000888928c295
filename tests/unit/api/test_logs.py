"""Logs: what a client sends neither begins a line of its own nor reaches a terminal as an escape."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from api.logs import JsonLines, TextLines

HOSTILE = "bob\n2026-01-01 ERROR accord.api: \x1b[2J\u202e\x9b31m"


def record(message: str, *, raised: str | None = None) -> logging.LogRecord:
    found = None
    if raised is not None:
        try:
            raise ValueError(raised)
        except ValueError:
            found = sys.exc_info()
    return logging.LogRecord("accord.api", logging.WARNING, __file__, 1, "refused %s", (message,), found)


def test_a_line_of_text_stays_one_line() -> None:
    line = TextLines().format(record(HOSTILE))
    assert "\n" not in line
    assert line.isprintable()
    assert "refused bob" in line


def test_a_traceback_has_lines_but_no_escapes() -> None:
    lines = TextLines().format(record("bob", raised=HOSTILE))
    assert lines.count("\n") > 2
    assert lines.replace("\n", "").isprintable()


@pytest.mark.parametrize("raised", [None, HOSTILE])
def test_a_line_of_json_reads_back_as_it_was(raised: str | None) -> None:
    line = JsonLines().format(record(HOSTILE, raised=raised))
    assert line.isprintable()
    assert json.loads(line)["message"] == f"refused {HOSTILE}"
