"""Whatever a database refuses becomes one StoreError in an operator's words, and no message ever holds a password."""

from __future__ import annotations

import re
import socket
import sqlite3
import threading
from pathlib import Path

import pytest
from declared_states import SMALL, bring, held, query, run_sql
from postgresql_server import PostgresqlServer
from sqlalchemy import text

from reconciler.store import tables
from reconciler.store.bulk import insert_rows
from reconciler.store.engine import Database, open_database
from reconciler.store.errors import (
    _WORDS,
    DatabaseCorrupt,
    DatabaseLocked,
    DatabaseReadOnly,
    DatabaseRefuses,
    DatabaseUnreachable,
    StoreError,
    store_error,
)
from reconciler.store.schema import check, upgrade
from reconciler.store.urls import shown

SECRET = "hunter2-and-more"


def failing(url: str) -> StoreError:
    """The error of reading a database that cannot be read."""
    with pytest.raises(StoreError) as caught, open_database(url) as database, database.reading() as connection:
        connection.execute(text("SELECT * FROM users"))
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://accord:{SECRET}@127.0.0.1:1/accord",
        f"postgresql://accord:{SECRET}@127.0.0.1:1/accord?sslmode=disable",
        f"postgresql://127.0.0.1:1/accord?user=accord&password={SECRET}",
        f"postgresql://accord:{SECRET[:5]}@{SECRET[5:]}@127.0.0.1:1/accord",
        f"postgresql://accord:{SECRET}@127.0.0.1:port/accord",
        f"postgresql://accord:{SECRET}@127.0.0.1:1/accord?nonsense={SECRET}",
        f"mysql://accord:{SECRET}@127.0.0.1/accord",
        f"postgresql+asyncpg://accord:{SECRET}@127.0.0.1/accord",
        f"sqlite://accord:{SECRET}@host/accord.db",
        f"accord:{SECRET}",
    ],
)
def test_no_message_contains_the_password_of_a_url(url: str) -> None:
    message = str(failing(url))
    assert "hunter2" not in message
    assert SECRET[5:] not in message
    assert "Error" not in message  # an operator's words, not a class name


def test_a_password_that_a_driver_repeats_is_masked() -> None:
    error = store_error(f'FATAL: strange thing about "{SECRET}"', f"postgresql://accord:{SECRET}@host/accord")
    assert SECRET not in str(error)
    assert "strange thing" in str(error)


def test_a_url_is_shown_without_its_password_and_options() -> None:
    assert (
        shown(f"postgresql://accord:{SECRET}@host:5433/accord?sslpassword={SECRET}") == "postgresql://accord:***@host:5433/accord"
    )
    assert shown("sqlite:///accord.db?timeout=3") == "sqlite:///accord.db"


@pytest.mark.postgresql
def test_a_wrong_password_is_reported_and_not_repeated(postgresql_server: PostgresqlServer, postgresql_url: str) -> None:
    postgresql_server.execute("DROP ROLE IF EXISTS guest")
    postgresql_server.execute(f"CREATE ROLE guest LOGIN PASSWORD '{SECRET}'")
    with postgresql_server.asking_passwords():
        name = postgresql_url.rpartition("/")[2]
        error = failing(postgresql_server.url(name, "guest", f"{SECRET}-wrong"))
        assert isinstance(error, DatabaseUnreachable)
        assert "password" in str(error)
        assert SECRET not in str(error)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("account", "database", "options", "words"),
    [
        ("postgres", "nowhere", "", "does not exist on its server"),
        ("nobody", "postgres", "", "does not know this account"),
        ("sleeper", "postgres", "", "does not know this account, or does not let it log in"),
        ("postgres", "postgres", "?sslmode=verify-full", "is on a server without TLS"),
        ("postgres", "postgres", "?sslmode=verify-full&sslrootcert=/nowhere.pem", "authorities that `sslrootcert`|without TLS"),
        ("stranger", "postgres", "", r"does not let this account in from this machine"),
    ],
)
def test_what_somebody_must_set_right_is_told_apart_and_not_tried_again(
    postgresql_server: PostgresqlServer, account: str, database: str, options: str, words: str
) -> None:
    for name in ("sleeper NOLOGIN", "stranger LOGIN"):
        postgresql_server.execute(f"DROP ROLE IF EXISTS {name.split()[0]}")
        postgresql_server.execute(f"CREATE ROLE {name}")
    with postgresql_server.refusing("stranger"):
        error = failing(postgresql_server.url(database, account) + options)
    assert isinstance(error, DatabaseRefuses)
    assert re.search(words, str(error))
    assert not error.again


@pytest.mark.postgresql
def test_a_server_without_a_free_connection_is_tried_again(postgresql_server: PostgresqlServer) -> None:
    postgresql_server.execute("DROP ROLE IF EXISTS crowd")
    postgresql_server.execute("CREATE ROLE crowd LOGIN CONNECTION LIMIT 0")
    error = failing(postgresql_server.url(user="crowd"))
    assert "too many are open" in str(error)
    assert error.again


@pytest.mark.parametrize(
    ("text", "code", "again", "words"),
    [
        ("deadlock detected", "40P01", True, "somebody else's change to the same rows; try again"),
        ("could not serialize access", "40001", True, "try again"),
        ("canceling statement due to statement timeout", "57014", True, "did not finish a statement in time"),
        ("canceling statement due to lock timeout", "55P03", True, "is in use by another process"),
        ("connection failed: FATAL:  the database system is starting up", None, True, "is starting or stopping"),
        ("connection failed: FATAL:  the database system is shutting down", None, True, "is starting or stopping"),
        ("connection failed: FATAL:  sorry, too many clients already", None, True, "too many are open"),
        ("connection failed: SSL error: certificate verify failed", None, False, "no known authority vouches for"),
        ('connection failed: server certificate for "a" does not match host name "b"', None, False, "is for another name"),
        ('connection failed: FATAL:  no pg_hba.conf entry for host "::1", user "a", no encryption', None, False, "without TLS"),
        (
            "connection failed: FATAL:  Passwort falsch \x1b[2J",
            None,
            True,
            "cannot be reached: FATAL:  Passwort falsch \\u001b[2J",
        ),
        ("database is locked", None, True, "is in use by another process"),
        ("unable to open database file", None, False, "check the permissions of the file and its folder"),
    ],
)
def test_each_reason_has_its_own_words_and_says_whether_to_try_again(
    text: str, code: str | None, again: bool, words: str
) -> None:
    error = store_error(text, "postgresql://accord@host/accord", code)
    assert words in str(error)
    assert error.again is again


CODES = [code for meaning in _WORDS for code in meaning.codes]


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_the_errors_own_and_never_digits_in_its_text(code: str) -> None:
    assert re.fullmatch("[0-9A-Z]{5}", code)
    text = f'connection failed: connection to server at "h{code.lower()}", port {code} failed: Connection refused'
    error = store_error(text, f"postgresql://u{code}@h{code}/d{code}")
    assert error.again and "nothing listens" in str(error)
    assert "nothing listens" not in str(store_error("ein Fehler", "postgresql://accord@host/accord", code))
    assert not any(re.fullmatch("[0-9A-Z]{5}", pattern) for meaning in _WORDS for pattern in meaning.patterns)


@pytest.mark.parametrize(
    "name", ["disk is full", "malformed", "timeout expired", "deadlock detected", "unknown ca", "no such user"]
)
def test_the_name_of_a_host_or_a_file_means_nothing(name: str) -> None:
    refused = f'connection failed: connection to server at "{name}", port 1 failed: Connection refused'
    assert "nothing listens" in str(store_error(refused, "postgresql://accord@host/accord"))


@pytest.mark.postgresql
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_is_not_utf_8_is_refused(postgresql_server: PostgresqlServer, encoding: str) -> None:
    name = f"d_{encoding.lower()}"
    postgresql_server.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    error = failing(postgresql_server.url(name))
    assert f"is encoded in {encoding}" in str(error)
    assert "ENCODING 'UTF8' TEMPLATE template0" in str(error)
    postgresql_server.drop_database(postgresql_server.url(name))


@pytest.mark.postgresql
def test_the_encoding_of_the_client_is_ours(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with open_database(postgresql_url) as database, database.reading() as connection:
        assert connection.execute(text("SELECT 'Łukasz'")).scalar() == "Łukasz"


@pytest.mark.postgresql
def test_sequences_that_a_switch_over_left_behind_are_named_and_set_right(postgresql_url: str) -> None:
    with open_database(postgresql_url) as database:
        upgrade(database)
        bring(database, SMALL)
        assert upgrade(database) == []
        run_sql(database, "SELECT setval(pg_get_serial_sequence('users', 'id'), 1, false)")
        with pytest.raises(StoreError, match=r"numbers the rows of `users` .* is behind.*`accord db upgrade` sets it right"):
            run_sql(database, "INSERT INTO users (name, source, email, type) VALUES ('new', 'directory', '', 'person')")
        assert upgrade(database) == ["users"]
        assert query(database, "SELECT pg_sequence_last_value('users_id_seq') = max(id) FROM users") == [(True,)]


def test_a_server_that_does_not_listen_cannot_be_reached() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take the port
        error = failing(f"postgresql://accord@127.0.0.1:{unused.getsockname()[1]}/accord")
    assert isinstance(error, DatabaseUnreachable)


def test_a_host_without_an_address_cannot_be_reached() -> None:
    assert isinstance(failing("postgresql://accord@no-such-host.invalid/accord"), DatabaseUnreachable)


@pytest.mark.postgresql
@pytest.mark.parametrize("copying", [False, True])
def test_a_server_that_ends_the_connection_is_unreachable(
    postgresql_server: PostgresqlServer, postgresql_url: str, copying: bool
) -> None:
    with open_database(postgresql_url) as database:
        upgrade(database)
        with pytest.raises(DatabaseUnreachable), database.writing() as connection:
            backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            postgresql_server.execute(f"SELECT pg_terminate_backend({backend}, 5000)")
            if copying:
                insert_rows(connection, tables.previous_names, [("User", "a", "b")])
            else:
                connection.execute(text("SELECT 1"))


@pytest.mark.postgresql
def test_a_role_that_may_not_write_is_told_so(postgresql_server: PostgresqlServer, postgresql_url: str) -> None:
    name = postgresql_url.rpartition("/")[2]
    with open_database(postgresql_url) as database:
        upgrade(database)
    postgresql_server.execute(f"DROP ROLE IF EXISTS reader_{name}")
    postgresql_server.execute(f"CREATE ROLE reader_{name} LOGIN")
    postgresql_server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_{name}", name)
    with open_database(postgresql_server.url(name, f"reader_{name}")) as database:
        held(database)
        with pytest.raises(DatabaseReadOnly):
            bring(database, SMALL)
        with pytest.raises(DatabaseReadOnly), database.writing() as connection:
            insert_rows(connection, tables.previous_names, [("User", "a", "b")])
    postgresql_server.execute(f"DROP OWNED BY reader_{name}", name)
    postgresql_server.execute(f"DROP ROLE reader_{name}")


def test_rows_that_break_a_constraint_are_a_store_error(database: Database) -> None:
    rows = [("User", "a", "b"), ("User", "a", "c")]
    with pytest.raises(StoreError, match="refused"), database.writing() as connection:
        insert_rows(connection, tables.previous_names, rows)
    with database.writing() as connection:
        insert_rows(connection, tables.previous_names, rows[:1])  # the connection before left nothing, and no lock


def test_a_file_that_is_not_a_database_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "accord.db"
    file.write_bytes(b"apiVersion: accord/v1\n" * 1000)
    assert isinstance(failing(f"sqlite:///{file}"), DatabaseCorrupt)


def test_a_folder_in_the_files_place_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    for use in (upgrade, check):
        with pytest.raises(DatabaseRefuses, match=r"there is no folder `.*/nowhere`"):
            use(open_database(f"sqlite:///{tmp_path}/nowhere/accord.db"))
        with pytest.raises(DatabaseRefuses, match=f"is a folder; name a file in it, such as `{tmp_path}/accord.db`"):
            use(open_database(f"sqlite:///{tmp_path}"))


def test_a_database_that_stays_locked_is_reported_as_in_use(database_url: str) -> None:
    with open_database(database_url) as database:
        upgrade(database)
        with (
            database.writing(),
            open_database(f"{database_url}?timeout=0.2") as other,
            pytest.raises(DatabaseLocked),
            other.writing(),
        ):
            pass


@pytest.mark.parametrize("wait", ["soon", "-1", "nan", "inf"])
def test_a_wait_that_is_not_a_number_of_seconds_is_refused(database_url: str, wait: str) -> None:
    with pytest.raises(StoreError, match="timeout"):
        open_database(f"{database_url}?timeout={wait}")


def test_an_error_of_ours_passes_unchanged(database: Database) -> None:
    class Ours(Exception):
        """Not the database's."""

    with pytest.raises(Ours), database.writing():
        raise Ours
    with pytest.raises(Ours), database.reading():
        raise Ours


def test_a_broken_page_is_found(tmp_path: Path) -> None:
    file = tmp_path / "accord.db"
    url = f"sqlite:///{file}"
    with open_database(url) as database:
        upgrade(database)
        bring(database, SMALL)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    assert isinstance(failing(url), DatabaseCorrupt)


def test_threads_that_write_at_once_take_turns(database: Database) -> None:
    def count_up() -> None:
        for _ in range(10):
            run_sql(database, "UPDATE state SET generation = generation + 1")

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held(database).generation == 40
