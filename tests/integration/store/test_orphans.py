"""SQLite's own shell keeps no foreign keys: what is deleted there leaves rows that refer to nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from declared_states import SMALL, bring, held, query

from reconciler.access.resources import User
from reconciler.store.digests import drifted
from reconciler.store.engine import Database
from reconciler.store.orphans import remove_orphans

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])  # PostgreSQL keeps them whoever asks
TOKEN = (
    "INSERT INTO tokens (user_id, kind, accessor, sha256, created_at, expires_at)"
    " SELECT id, 'token', 'a', 's', '2026-01-01T00:00:00.000000Z', '9999-01-01T00:00:00.000000Z' FROM users WHERE name = '{}'"
)
PASSWORD = "INSERT INTO account_states (user_id, password_hash) SELECT id, '$argon2id$x' FROM users WHERE name = '{}'"


def in_the_shell(tmp_path: Path, *statements: str) -> None:
    connection = sqlite3.connect(tmp_path / "accord.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def broken_links(tmp_path: Path) -> list[object]:
    connection = sqlite3.connect(tmp_path / "accord.db")
    found: list[object] = connection.execute("PRAGMA foreign_key_check").fetchall()
    connection.close()
    return found


@pytest.mark.parametrize(("table", "name"), [("users", "alice"), ("users", "root"), ("teams", "web"), ("issuers", "tls-public")])
def test_rows_deleted_by_hand_are_drift_that_an_apply_repairs(database: Database, tmp_path: Path, table: str, name: str) -> None:
    bring(database, SMALL)
    in_the_shell(tmp_path, f"DELETE FROM {table} WHERE name = '{name}'")
    assert broken_links(tmp_path)
    with database.reading() as connection:
        assert drifted(connection)
    assert name not in getattr(held(database).declared, table)
    bring(database, SMALL)
    assert held(database).declared == SMALL
    assert broken_links(tmp_path) == []
    with database.reading() as connection:
        assert drifted(connection) == []


@pytest.mark.parametrize("deleted", ["alice", "zz-last"])
def test_an_account_made_again_gets_nothing_of_the_one_that_was_deleted(database: Database, tmp_path: Path, deleted: str) -> None:
    state = SMALL._replace(users={**SMALL.users, "zz-last": User("zz-last", "z@example.org", initial_password="none")})
    bring(database, state)
    in_the_shell(tmp_path, TOKEN.format(deleted), PASSWORD.format(deleted), f"DELETE FROM users WHERE name = '{deleted}'")
    bring(database, state)
    actual = held(database)
    assert actual.declared == state
    assert actual.runtime.tokens == {}
    assert query(database, "SELECT count(*) FROM account_states") == [(0,)]


def test_a_new_account_gets_nothing_of_a_deleted_directory_account(database: Database, tmp_path: Path) -> None:
    """No declared fact drifts here, and the id would be the next one."""
    bring(database, SMALL)
    in_the_shell(
        tmp_path,
        "INSERT INTO users (name, email, source) VALUES ('dora', 'd@corp.example.org', 'directory')",
        TOKEN.format("dora"),
        PASSWORD.format("dora"),
        "INSERT INTO directory_memberships (team_id, user_id) SELECT teams.id, users.id FROM teams, users"
        " WHERE teams.name = 'admins' AND users.name = 'dora'",
        "DELETE FROM users WHERE name = 'dora'",
    )
    with database.reading() as connection:
        assert drifted(connection) == []
    mallory = User("mallory", "m@example.org", initial_password="none")
    bring(database, SMALL._replace(users={**SMALL.users, "mallory": mallory}), "beef")
    runtime = held(database).runtime
    assert runtime.tokens == {}
    assert "mallory" not in runtime.can_set_password
    assert runtime.directory_members == {}


def test_a_new_account_gets_no_certificate_of_a_deleted_one(database: Database, tmp_path: Path) -> None:
    bring(database, SMALL)
    in_the_shell(
        tmp_path,
        "INSERT INTO users (name, email, source) VALUES ('dora', 'd@corp.example.org', 'directory')",
        "INSERT INTO certificates (issuer_name, team_name, owner_name, owner_id, serial, sha256, subject, not_before, not_after,"
        " pem, registered_at) SELECT 'tls', 'web', 'dora', id, '1', '', '', '', '', '', '' FROM users WHERE name = 'dora'",
        "DELETE FROM users WHERE name = 'dora'",
    )
    mallory = User("mallory", "m@example.org", initial_password="none")
    bring(database, SMALL._replace(users={**SMALL.users, "mallory": mallory}), "beef")
    assert query(database, "SELECT users.name FROM certificates JOIN users ON users.id = owner_id") == []
    with database.writing() as connection:
        assert remove_orphans(connection) == 1
    assert query(database, "SELECT owner_name, owner_id FROM certificates") == [("dora", None)]


def test_rows_with_references_are_kept(database: Database) -> None:
    bring(database, SMALL)
    with database.writing() as connection:
        assert remove_orphans(connection) == 0
    assert held(database).declared == SMALL
