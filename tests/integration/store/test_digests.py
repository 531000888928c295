"""The digests find any difference from what was applied, in any declared column, and nothing else."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from declared_states import SEARCH, SMALL, bring, emptied, held, origins_of, query, run_sql, states
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Boolean, insert, select, update

from reconciler.access.resources import DeclaredState, Issuer, User
from reconciler.store import tables
from reconciler.store.digests import GROUPINGS, buckets_of, drifted, refresh
from reconciler.store.engine import Database
from reconciler.store.tables import TABLES

RUNTIME = {
    "directory_memberships",
    "directory_accounts",
    "directory_groups",
    "account_states",
    "login_failures",
    "directory_attempts",
    "account_networks",
    "tokens",
    "certificates",
    "audit",
    "outbox",
    "mail_quotas",
    "overrides",
    "state",
    "generations",
    "digests",
    "revisions",
    "login_aliases",  # an index of `users.logins`
    "previous_names",
    "revision_access",
}
"""Tables that hold nothing declared."""
BOOKKEEPING = {"file", "line", "item_lines", "revision_id", "public_id", "searched"}
COLUMNS = [
    (table.name, column.name)
    for table in tables.metadata.sorted_tables
    if table.name not in RUNTIME
    for column in table.columns
    if column.name not in BOOKKEEPING
]
OTHER = {"source": "directory", "type": "application", "until": "2026-02-03T00:00:00.000000Z"}
"""Values that a check or a length asks for."""


def found(database: Database) -> list[tuple[str, int]]:
    with database.reading() as connection:
        return drifted(connection)


def stored(database: Database) -> list[tuple[Any, ...]]:
    return query(database, "SELECT table_name, bucket, digest FROM digests ORDER BY table_name, bucket")


def test_every_declared_table_has_digests() -> None:
    assert set(GROUPINGS) == set(tables.metadata.tables) - RUNTIME
    assert {table.name for table in TABLES.values()} <= set(GROUPINGS)


@pytest.fixture
def bare(database: Database) -> Database:
    """A database brought to SMALL, and two rows more that nothing refers to, so that any of their columns can change."""
    extra = SMALL._replace(
        users={**SMALL.users, "zoe": User("zoe", "zoe@example.org", initial_password="none")},
        issuers={**SMALL.issuers, "zz": Issuer("zz")},
        teams={**SMALL.teams, "zz": SMALL.teams["web"]._replace(name="zz", members=(), permissions=())},
    )
    bring(database, extra)
    assert found(database) == []
    return database


@pytest.mark.parametrize(("name", "column"), COLUMNS, ids=lambda value: value)
def test_a_change_of_any_declared_column_is_found(bare: Database, name: str, column: str) -> None:
    table, keys = tables.metadata.tables[name], GROUPINGS[name].keys
    with bare.writing() as connection:
        row = connection.execute(select(table).order_by(*(table.c[key].desc() for key in keys))).mappings().first()
        assert row is not None
        kind = table.c[column].type
        new: Any
        if column == "user_id":
            new = connection.execute(select(tables.users.c.id).where(tables.users.c.name == "zoe")).scalar_one()
        elif column == "issuer_id":
            new = connection.execute(select(tables.issuers.c.id).where(tables.issuers.c.name == "zz")).scalar_one()
        elif column == "team_id":
            new = connection.execute(select(tables.teams.c.id).where(tables.teams.c.name == "zz")).scalar_one()
        elif column == "id":
            new = row["id"] + 5000
        elif isinstance(kind, Boolean):
            new = not row[column]
        else:
            new = OTHER.get(column, "2026-02-03T00:00:00.000000Z" if isinstance(kind, tables.Instant) else "changed")
        assert new != row[column]
        connection.execute(update(table).where(*(table.c[key] == row[key] for key in keys)).values({column: new}))
    assert buckets_of(name, [row[keys[0]]]) <= set(found(bare))


@pytest.mark.parametrize(("name", "column"), [item for item in COLUMNS if tables.metadata.tables[item[0]].c[item[1]].nullable])
def test_null_and_empty_text_differ(bare: Database, name: str, column: str) -> None:
    run_sql(bare, f'UPDATE {name} SET "{column}" = NULL')
    with bare.writing() as connection:
        refresh(connection, {(table, bucket) for table, bucket in drifted(connection)})
    assert found(bare) == []
    run_sql(bare, f"UPDATE {name} SET \"{column}\" = ''")
    assert {table for table, _ in found(bare)} == {name}


@pytest.mark.parametrize("name", list(GROUPINGS))
def test_a_removed_row_is_found(bare: Database, name: str) -> None:
    run_sql(bare, f"DELETE FROM {name}")
    assert name in {table for table, _ in found(bare)}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "values",
    ["users (id, name, email) VALUES (-5, 'eve', 'e')", "users (id, name, email) VALUES (-5000, 'eve', 'e')"]
    + [f"memberships (team_id, user_id) VALUES ({team}, 1)" for team in ("-5", "1.5", "'web'")],
)
def test_a_row_with_a_key_that_accord_never_gives_is_found(bare: Database, values: str) -> None:
    with closing(sqlite3.connect(bare.url.removeprefix("sqlite:///"))) as by_hand, by_hand:  # which keeps no foreign keys
        by_hand.execute(f"INSERT INTO {values}")
    assert {table for table, _ in found(bare)} == {values.partition(" ")[0]}


def test_a_digest_is_taken_over_the_rows_as_lines_of_json(bare: Database) -> None:
    run_sql(bare, "UPDATE memberships SET reason = 'tab\t, \"quotes\", back\\slash, \x7f and Ünïcödé 🔑' WHERE user_id = 1")
    with bare.writing() as connection:
        refresh(connection, drifted(connection))
    rows = query(bare, "SELECT team_id, user_id, until, reason FROM memberships ORDER BY team_id, user_id")
    separators = (",", ":") if bare.is_sqlite else (", ", ": ")
    lines = "\n".join(json.dumps(list(row), ensure_ascii=False, separators=separators) for row in rows)
    assert ("memberships", 0, hashlib.sha256(lines.encode()).hexdigest()) in stored(bare)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("users", {"name": "eve", "email": "eve@example.org"}),
        ("teams", {"name": "eves", "administrator": True}),
        ("issuers", {"name": "eves"}),
        ("email_templates", {"name": "eves", "subject": "", "text": ""}),
        ("settings", {"name": "eves", "guards": "{}", "policies": "{}"}),
        ("memberships", {"team_id": 1, "user_id": 1}),
        ("permissions", {"team_id": 1, "issuer_id": 1}),
    ],
)
def test_an_added_row_is_found(bare: Database, name: str, values: dict[str, Any]) -> None:
    with bare.writing() as connection:
        connection.execute(insert(tables.metadata.tables[name]).values(values))
    assert {table for table, _ in found(bare)} == {name}


def test_swapped_values_are_found(bare: Database) -> None:
    run_sql(
        bare, "UPDATE users SET email = CASE name WHEN 'alice' THEN 'bob@example.org' ELSE 'alice@example.org' END WHERE id < 3"
    )
    assert query(bare, "SELECT name, email FROM users WHERE id < 3") == [
        ("alice", "bob@example.org"),
        ("bob", "alice@example.org"),
    ]
    assert {table for table, _ in found(bare)} == {"users"}


def test_a_change_that_was_undone_is_not_drift(bare: Database) -> None:
    run_sql(bare, "UPDATE users SET email = email || 'x'")
    assert found(bare) != []
    run_sql(bare, "UPDATE users SET email = substr(email, 1, length(email) - 1)")
    assert found(bare) == []


def test_the_place_of_a_resource_does_not_count(bare: Database) -> None:
    for name in ("users", "teams", "issuers", "email_templates", "settings"):
        run_sql(bare, f"UPDATE {name} SET file = 'elsewhere.yaml', line = 7, revision_id = NULL")
    run_sql(bare, """UPDATE teams SET item_lines = '{"members": {"alice": 9}}'""")
    assert found(bare) == []


def test_directory_accounts_are_not_drift(bare: Database) -> None:
    run_sql(bare, "INSERT INTO users (name, email, source) VALUES ('dora', 'dora@corp.example.org', 'directory')")
    run_sql(
        bare,
        "INSERT INTO directory_memberships (team_id, user_id) "
        "SELECT teams.id, users.id FROM teams, users WHERE users.name = 'dora'",
    )
    run_sql(bare, "INSERT INTO account_states (user_id, password_hash) SELECT id, 'x' FROM users")
    assert found(bare) == []
    assert held(bare).runtime.directory_accounts == {"dora"}


def test_only_touched_buckets_are_computed_again(database: Database) -> None:
    many = [User(f"u{number:04}", "x@example.org", initial_password="none") for number in range(1100)]
    bring(database, DeclaredState(users={user.name: user for user in many}))
    assert [row[:2] for row in stored(database)] == [("users", 0), ("users", 1)]
    run_sql(database, "UPDATE digests SET digest = 'kept'")
    with database.writing() as connection:
        refresh(connection, [("users", 1)])
    assert [row[2] == "kept" for row in stored(database)] == [True, False]


def test_a_bucket_that_empties_leaves_no_digest(bare: Database) -> None:
    bring(bare, DeclaredState(), commit="beef")
    assert stored(bare) == []
    assert found(bare) == []


def test_an_apply_includes_repaired_drift(bare: Database) -> None:
    run_sql(bare, "UPDATE issuers SET description = 'by hand'")
    run_sql(bare, "INSERT INTO issuers (name) VALUES ('foreign')")
    bring(bare, SMALL, commit="beef")
    assert found(bare) == []
    assert held(bare).declared.issuers["tls-internal"].description == "Server certificates"


@SEARCH
@given(st.lists(states(), min_size=1, max_size=4))
def test_after_any_applies_the_digests_are_those_of_the_rows(database: Database, history: list[DeclaredState]) -> None:
    emptied(database)
    for number, state in enumerate(history):
        bring(database, state, commit=f"{number:040x}", origins=origins_of(state, f"{number}/"))
    kept = stored(database)
    with database.writing() as connection:
        connection.execute(tables.digests.delete())
        refresh(connection, drifted(connection))
    assert stored(database) == kept
