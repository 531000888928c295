"""Nothing that people copy, and nothing that is tested against the clock, holds only until some year to come.

A date is long past or far off: one between comes round, and then a page is wrong, and its test fails for no other reason.
`.ci/on-another-day` runs the tests on another day; what stands here is quicker, and says where.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from docs.examples import TOP, examples, pages

PAST, FAR = "2026-12-01", "2090-01-01"
"""What is before the one is past wherever Accord is used; what is after the other outlives it."""
_DATE = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)")
_END = re.compile(r"(?:until|--at)\W{0,6}(\d{4}-\d\d-\d\d)", re.IGNORECASE)


def coming_round(wanted: re.Pattern[str], text: str) -> list[str]:
    return [date for date in wanted.findall(text) if PAST <= date < FAR]


def found(wanted: re.Pattern[str], files: Iterable[Path]) -> dict[str, list[str]]:
    """The dates that come round, by the file they stand in."""
    texts = {file: file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()}
    assert texts
    return {str(file.relative_to(TOP)): dates for file, text in texts.items() if (dates := coming_round(wanted, text))}


def test_no_date_in_an_example_a_schema_or_a_config_repository_comes_round() -> None:
    for folder in ("examples", "schemas", "tests/config-repos"):
        assert found(_DATE, (TOP / folder).rglob("*")) == {}
    assert found(_DATE, [TOP / "docs" / "reference" / "openapi.json"]) == {}


def test_no_command_on_a_page_speaks_of_a_date_that_comes_round() -> None:
    for page in pages():
        commands = "\n".join(example.command for example in examples(page.read_text(encoding="utf-8")))
        assert coming_round(_DATE, commands) == [], page


def test_no_access_on_a_page_or_in_a_program_ends_on_a_date_that_comes_round() -> None:
    """Any other date may stand there: when something was measured, released or printed."""
    assert found(_END, [*pages(), *(TOP / "docs" / "images").iterdir()]) == {}
    for room in ("reconciler", "api", "docs", "benchmarks"):
        assert found(_END, (TOP / room).rglob("*.py")) == {}


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("{issuer: vpn, until: 2030-12-31}", ["2030-12-31"]),
        ('"permissionUntil": "2031-01-01T00:00:00Z"', ["2031-01-01"]),
        ("accord access --at 2027-03-03T12:00:00Z", ["2027-03-03"]),
        ("bob gains vpn until 2099-12-31; until: 2001-12-31", []),
        ("Measured on 2027-03-03", []),
    ],
)
def test_an_end_is_recognised_however_it_is_written(text: str, dates: list[str]) -> None:
    assert coming_round(_END, text) == dates
