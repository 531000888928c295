"""What no Accord wrote into the tables is said, and never guessed at; and every instant keeps its width."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from declared_states import SMALL, bring, held, query, run_sql
from hypothesis import given
from hypothesis import strategies as st

from reconciler.store.engine import Database
from reconciler.store.errors import DatabaseCorrupt
from reconciler.store.read import read_history
from reconciler.store.tables import instant_text, read_instant

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=ZONES))
def test_an_instant_is_text_of_one_width_and_comes_back(moment: datetime) -> None:
    text = instant_text(moment)
    assert len(text) == 27
    assert read_instant(text) == moment
    assert read_instant(text).tzinfo is UTC


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_instants_sort_as_their_texts(one: datetime, other: datetime) -> None:
    assert (one < other) == (instant_text(one) < instant_text(other))


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("memberships", "until", "2027-01-31"),
        ("memberships", "until", "2027-01-31T00:00:00"),
        ("memberships", "until", "2027-13-31T00:00:00.000000Z"),
        ("memberships", "until", "never"),
        ("permissions", "until", ""),
        ("users", "password_change_required_after", "2027-01-31T00:00:00+00:00"),
        ("users", "labels", "cost-centre: 42"),
        ("users", "labels", '["a"]'),
        ("teams", "labels", '{"a": 1}'),
        ("teams", "previously", '{"old": 1}'),
        ("teams", "permitted_ips", "10.0.0.0/8"),
        ("teams", "permitted_ips", '"10.0.0.0/8"'),
        ("teams", "ad_groups", "[1]"),
        ("teams", "may_decide_for", "everyone"),
        ("settings", "guards", "{}"),
        ("settings", "guards", "[]"),
        ("settings", "policies", "[]"),
    ],
)
def test_a_value_that_was_written_by_hand_is_named(database: Database, table: str, column: str, value: str) -> None:
    bring(database, SMALL)
    run_sql(database, f"UPDATE {table} SET {column} = :value", value=value)
    with pytest.raises(DatabaseCorrupt, match="by hand") as caught:
        held(database)
    assert f"`{value}`" in str(caught.value)
    with pytest.raises(DatabaseCorrupt):
        bring(database, SMALL)
    assert query(database, "SELECT count(*) FROM revisions") == [(1,)]


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("max_administrators", '"ten"'),
        ("max_deletions_percent", "[1]"),
        ("separation_of_duties", '"admins"'),
        ("separation_of_duties", '["admins"]'),
        ("separation_of_duties", "[[1, 2]]"),
    ],
)
def test_a_guard_with_a_broken_limit_stops_everything(database: Database, limit: str, value: str) -> None:
    bring(database, SMALL)
    change = "json_set(guards, :path, json(:value))" if database.is_sqlite else "jsonb_set(guards::jsonb, :path, (:value)::jsonb)"
    path = f"$.{limit}" if database.is_sqlite else [limit]
    run_sql(database, f"UPDATE settings SET guards = {change}", path=path, value=value)
    with pytest.raises(DatabaseCorrupt, match="by hand"):
        held(database)


@pytest.mark.parametrize(
    ("table", "column"),
    [("teams", "administrator"), ("issuers", "enabled"), ("users", "disabled_by_git"), ("teams", "suppress_issued_emails")],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])  # PostgreSQL knows what a boolean is
def test_a_flag_that_is_neither_true_nor_false_is_named(database: Database, table: str, column: str) -> None:
    bring(database, SMALL)
    run_sql(database, f"UPDATE {table} SET {column} = 'no'")
    with pytest.raises(DatabaseCorrupt, match="`no`"):
        held(database)


def test_a_broken_instant_in_the_history_is_named(database: Database) -> None:
    bring(database, SMALL)
    run_sql(database, "UPDATE revisions SET applied_at = 'yesterday'")
    with pytest.raises(DatabaseCorrupt, match="`yesterday`"), database.reading() as connection:
        read_history(connection)
