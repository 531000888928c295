"""Instants and durations: read strictly, shown as they were meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.access.instants import format_instant, parse_duration, parse_instant, parse_moment, show_instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-12-31", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 3, 1, tzinfo=UTC)),
        ("2026-12-31T18:00:00Z", datetime(2026, 12, 31, 18, tzinfo=UTC)),
        ("2026-12-31t18:00:00z", datetime(2026, 12, 31, 18, tzinfo=UTC)),
        ("2026-12-31T18:00:00.25+02:00", datetime(2026, 12, 31, 16, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-12-31T23:30:00-01:00", datetime(2027, 1, 1, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_date_means_its_end_and_an_instant_itself(text: str, instant: datetime) -> None:
    assert parse_instant(text) == instant
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["2026-12-31", "9999-12-31", "2024-02-29", "0001-01-01"])
def test_who_asks_about_a_day_asks_about_its_last_instant(text: str) -> None:
    asked = parse_moment(text)
    assert asked < parse_instant(text) and asked.date().isoformat() == text
    assert parse_moment("2026-12-31T18:00:00Z") == parse_instant("2026-12-31T18:00:00Z")


def test_the_last_day_of_the_calendar_has_an_end() -> None:
    end = parse_instant("9999-12-31")
    assert end == datetime.max.replace(tzinfo=UTC)
    assert show_instant(end) == "9999-12-31"
    assert show_instant(end - timedelta(microseconds=1)) == "9999-12-31T23:59:59.999998Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30",
        "2025-02-29",
        "2026-13-01",
        "2026-12-31T24:00:01Z",
        "9999-12-31T23:00:00-01:00",
        "0001-01-01T00:00:00+23:59",
        "0000-01-01",
    ],
)
def test_an_impossible_date_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not on the calendar"):
        parse_instant(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "tomorrow", "2026-1-1", "20261231", "2026-W01-1", "2026-12-31\n", "２０２６-12-31"),
        *("2026-12-31T18:00:00", "2026-12-31 18:00:00Z"),
    ],
)
def test_a_bad_instant_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"write a date, `2099-12-31`, or an RFC 3339 instant"):
        parse_instant(text)


@given(st.datetimes(min_value=datetime(2, 1, 1), timezones=st.just(UTC)))
def test_an_instant_is_read_as_it_was_written(instant: datetime) -> None:
    assert parse_instant(format_instant(instant)) == instant
    assert parse_instant(show_instant(instant)) == instant


def test_other_time_zones_are_written_in_utc() -> None:
    assert format_instant(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31T23:00:00Z"
    assert show_instant(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31"
    assert show_instant(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00Z"  # there is no day before


@pytest.mark.parametrize(
    ("text", "duration"),
    [("1s", timedelta(seconds=1)), ("30m", timedelta(minutes=30)), ("12h", timedelta(hours=12)), ("90d", timedelta(days=90))],
)
def test_a_duration_is_a_number_and_a_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["365001d", "999999d", "999999999d"])
def test_a_permanent_duration_fits_the_calendar_around_any_day(text: str) -> None:
    for day in (datetime(2026, 11, 2, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)):
        assert day - parse_duration(text) < day - timedelta(days=300_000)
        assert day + parse_duration(text) > day + timedelta(days=300_000)


@pytest.mark.parametrize("text", ["", "30", "m", "-1s", "1.5h", "1w", "1 d", "1d\n", "9999999999d"])
def test_anything_else_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
