"""A connection is one consistent look, or one exclusive transaction, and looking makes nothing."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import psycopg
import pytest
from declared_states import SMALL, bring, held, query, run_sql
from sqlalchemy import text
from waiting import LONG

from reconciler.store import engine
from reconciler.store.engine import Database, open_database
from reconciler.store.errors import ChangedMeanwhile, DatabaseUnreachable, StoreError
from reconciler.store.schema import upgrade

GENERATION = text("SELECT generation FROM state")
RAISE = "UPDATE state SET generation = generation + 1"


def test_reading_is_one_snapshot_while_others_write(database: Database) -> None:
    with database.reading() as connection:
        before = connection.execute(GENERATION).scalar()
        run_sql(database, RAISE)
        assert connection.execute(GENERATION).scalar() == before
    assert query(database, "SELECT generation FROM state") == [(1,)]


def test_a_writer_does_not_wait_for_a_reader_nor_a_reader_for_a_writer(database: Database) -> None:
    with database.writing() as writing:
        writing.execute(text(RAISE))
        with database.reading() as connection:
            assert connection.execute(GENERATION).scalar() == 0
    assert query(database, "SELECT generation FROM state") == [(1,)]


def test_a_reading_connection_cannot_write(database: Database) -> None:
    with pytest.raises(StoreError, match="cannot be written"), database.reading() as connection:
        connection.execute(text(RAISE))
    assert query(database, "SELECT generation FROM state") == [(0,)]


def test_the_second_writer_waits_and_sees_what_the_first_wrote(database: Database) -> None:
    seen: list[int | None] = []
    started = threading.Event()

    def second() -> None:
        started.set()
        with database.writing() as connection:
            seen.append(connection.execute(GENERATION).scalar())
            connection.execute(text(RAISE))

    thread = threading.Thread(target=second)
    with database.writing() as connection:
        thread.start()
        assert started.wait(LONG)
        thread.join(0.3)  # in so little time a slow machine shows less, and never anything wrong
        assert thread.is_alive()
        assert seen == []
        connection.execute(text(RAISE))
    thread.join(LONG)
    assert seen == [1]
    assert query(database, "SELECT generation FROM state") == [(2,)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_any_error_undoes_everything_and_frees_the_lock(database: Database, error: type[BaseException]) -> None:
    with pytest.raises(error), database.writing() as connection:
        connection.execute(text(RAISE))
        raise error
    assert query(database, "SELECT generation FROM state") == [(0,)]
    run_sql(database, RAISE)


def test_foreign_keys_are_kept(database: Database) -> None:
    with pytest.raises(StoreError):
        run_sql(database, "INSERT INTO memberships (team_id, user_id) VALUES (7, 7)")


def test_looking_makes_no_file(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path}/accord.db") as database:
        assert database.is_missing_file
        with pytest.raises(DatabaseUnreachable, match="accord db upgrade"), database.reading():
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_made_with_a_write_ahead_log(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path}/accord.db") as database:
        upgrade(database)
        assert not database.is_missing_file
    with sqlite3.connect(tmp_path / "accord.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "oracle://host/name", "nonsense", ""])
def test_a_url_of_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="sqlite:///"):
        open_database(url)


def test_the_short_name_of_postgresql_is_understood(database_url: str) -> None:
    with open_database(database_url.replace("postgresql://", "postgres://")) as database:
        upgrade(database)
        assert query(database, "SELECT generation FROM state") == [(0,)]


@pytest.mark.postgresql
def test_a_change_by_hand_waits_for_the_writer_and_a_directory_account_does_not(postgresql_url: str) -> None:
    """Else the change would count as applied: between what a plan reads and what it writes nobody would see it."""
    with open_database(postgresql_url) as database, psycopg.connect(postgresql_url, autocommit=True) as other:
        upgrade(database)
        bring(database, SMALL)
        other.execute("SET lock_timeout = 200")
        with database.writing():
            for table in ("teams", "issuers", "memberships", "permissions", "email_templates", "settings"):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.execute(f"DELETE FROM {table}".encode())
            other.execute("INSERT INTO users (name, email, source) VALUES ('dora', 'd@corp.example.org', 'directory')")
            other.execute(
                "INSERT INTO directory_memberships SELECT teams.id, users.id FROM teams, users WHERE users.name = 'dora'"
            )
            other.execute("UPDATE state SET generation = generation + 1")
        assert held(database).declared == SMALL
        assert held(database).runtime.directory_accounts == {"dora"}


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_file_written_while_it_is_read_without_locks_is_not_believed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_lies_still", lambda _: True)
    with open_database(database.url, read_only=True) as opened:
        with opened.reading() as connection:
            connection.execute(GENERATION)
        with pytest.raises(ChangedMeanwhile, match="while it was being read"), opened.reading() as connection:
            connection.execute(GENERATION)
            run_sql(database, RAISE)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_new_file_is_for_its_owner_alone(database_url: str) -> None:
    before = os.umask(0)
    try:
        with open_database(database_url) as opened, opened.writing() as connection:
            connection.execute(text("CREATE TABLE t (x INTEGER)"))
            folder = Path(database_url.removeprefix("sqlite:///")).parent
            modes = {path.name: path.stat().st_mode & 0o777 for path in folder.glob("accord.db*")}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("accord.db", "accord.db-wal", "accord.db-shm"), 0o600)
