"""The tables are brought to this Accord's version from anywhere, once, in one transaction; other versions are refused."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from declared_states import SMALL, bring, held, query, run_sql
from sqlalchemy import inspect, text

import reconciler.store
from reconciler.access.public_ids import derived_ids
from reconciler.store import schema
from reconciler.store.digests import drifted
from reconciler.store.engine import Database, open_database
from reconciler.store.errors import DatabaseCorrupt, SchemaMissing, SchemaOutdated, SchemaTooNew, StoreError
from reconciler.store.schema import HEAD, check, create, current, upgrade
from reconciler.store.tables import metadata


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(reconciler.store.__file__).parent / "migrations"))
    return config


def upgrade_to(database: Database, version: str) -> None:
    with database.writing() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def test_the_recorded_version_is_that_of_alembic() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


def test_versions_sort_in_the_order_of_their_migrations() -> None:
    versions = [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]
    assert versions == sorted(versions)


def test_an_empty_database_is_upgraded_to_the_newest_version(database_url: str) -> None:
    with open_database(database_url) as database:
        assert current(database) is None
        with pytest.raises(SchemaMissing, match="accord db upgrade"):
            check(database)
        upgrade(database)
        assert current(database) == HEAD
        check(database)


def comparing(database: Database) -> dict[str, Any]:
    """Whether the tables are those of the code, but for an index that only SQLite has."""
    return {
        "compare_type": True,
        "include_object": lambda _item, name, *_: database.is_sqlite or name != "ix_users_searched",
    }


@pytest.mark.filterwarnings("ignore:Computed default on ")  # PostgreSQL adds casts: see the next test
def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    with database.reading() as connection:
        # Alembic takes an empty text for no default on SQLite; the migrations are the same, so PostgreSQL's answer holds
        options = {**comparing(database), "compare_server_default": not database.is_sqlite}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_the_migrations_compute_the_columns_of_the_code(database: Database) -> None:
    def plain(text: str) -> str:
        return re.sub(r"ELSE NULL::text|::(text|character varying)|[()\s]", "", text.lower().replace("else null::text", ""))

    if database.is_sqlite:
        return  # SQLAlchemy takes two such columns for one there; the migration has the same text for both
    for table in ("account_states", "users"):
        with database.reading() as connection:
            columns = inspect(connection).get_columns(table)
        found = {column["name"]: plain(column["computed"]["sqltext"]) for column in columns if "computed" in column}
        computed = {column.name: column.computed for column in metadata.tables[table].c}
        assert found == {name: plain(str(each.sqltext)) for name, each in computed.items() if each is not None}


def test_the_migrations_make_the_checks_of_the_code(database: Database) -> None:
    with database.reading() as connection:
        for table in metadata.sorted_tables:
            declared = {str(c.name) for c in table.constraints if c.__class__.__name__ == "CheckConstraint" and c.name}
            assert {c["name"] for c in inspect(connection).get_check_constraints(table.name)} == declared


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    bring(database, SMALL)
    before = held(database)
    upgrade(database)
    assert held(database) == before


@pytest.mark.parametrize("version", ["0001", "0002"])
def test_a_populated_database_of_an_older_version_keeps_everything(database_url: str, version: str) -> None:
    with open_database(database_url) as database:
        upgrade_to(database, version)
        moment = "2026-01-01T00:00:00.000000Z"
        for statement in (
            "INSERT INTO revisions (id, commit_sha, author, committed_at, summary, repository, branch, path, applied_at,"
            " applied_by, plan_digest, generation, overrides, counts, accord_version)"
            f" VALUES (1, 'c0ffee', 'A', '{moment}', '', 'r', 'main', '', '{moment}', 't', 'sha256:0', 1, '[]', '{{}}', '0')",
            "INSERT INTO users (name, email, file, revision_id) VALUES ('alice', 'a@example.org', 'a.yaml', 1)",
            "INSERT INTO teams (name, administrator, file) VALUES ('admins', true, 'a.yaml')",
            "INSERT INTO memberships (team_id, user_id, reason) VALUES (1, 1, 'founder')",
            "INSERT INTO account_states (user_id, password_hash) VALUES (1, '$argon2id$x')",
            "UPDATE state SET generation = 7",
        ):
            run_sql(database, statement.replace(" true", " 1") if database.is_sqlite else statement)
        if version < HEAD:
            with pytest.raises(SchemaOutdated, match=version):
                check(database)
        upgrade(database)
        check(database)
        actual = held(database)
        assert list(actual.declared.users) == ["alice"]
        assert actual.declared.teams["admins"].members[0].reason == "founder"
        assert actual.runtime.can_set_password == {"alice"}
        assert actual.generation == 7
        bring(database, actual.declared, "beef")
        with database.reading() as connection:
            assert drifted(connection) == []


@pytest.mark.parametrize("version", ["0006", "0008"])
@pytest.mark.parametrize("has_mark", [False, True])
def test_a_state_without_a_mark_gets_one(database_url: str, version: str, has_mark: bool) -> None:
    with open_database(database_url) as database:
        upgrade_to(database, version)
        if has_mark:  # as the migration 0006 made it for a while
            run_sql(database, "ALTER TABLE state ADD COLUMN mark VARCHAR(16) DEFAULT '' NOT NULL")
        upgrade(database)
        check(database)
        bring(database, SMALL)
        assert query(database, "SELECT mark FROM state") == query(database, "SELECT mark FROM generations")
        with database.reading() as connection:
            context = MigrationContext.configure(connection, opts=comparing(database))
            assert compare_metadata(context, metadata) == []


def test_counts_of_passwords_sent_to_a_directory_get_a_table_of_their_own(database_url: str) -> None:
    with open_database(database_url) as database:
        upgrade_to(database, "0006")
        for key, count, last, until in (
            ("wrong:a", 3, "2026-01-01", "2026-01-02"),
            ("sent:a", 1, "2026-01-03", "2026-01-04"),
            ("sent:b", 2, "2026-01-05", "2026-01-06"),
            ("203.0.113.9", 4, "2026-01-07", "2026-01-08"),
        ):
            run_sql(database, f"INSERT INTO login_failures VALUES ('{key}', {count}, '{last}', '{until}')")
        upgrade(database)
        columns = "guid, wrong, last_wrong_at, wrong_until, under_way, under_way_until"
        with database.reading() as connection:
            counts = connection.execute(text(f"SELECT {columns} FROM directory_attempts ORDER BY guid")).all()
            addresses = connection.execute(text("SELECT * FROM login_failures")).all()
    assert counts == [("a", 3, "2026-01-01", "2026-01-02", 1, "2026-01-04"), ("b", 0, None, None, 2, "2026-01-06")]
    assert addresses == [("203.0.113.9", 4, "2026-01-07", "2026-01-08")]


def test_the_address_of_the_last_login_becomes_the_first_known_network(database_url: str) -> None:
    moment = "2026-01-01T00:00:00.000000Z"
    with open_database(database_url) as database:
        upgrade_to(database, "0009")
        for number, address in enumerate(("198.51.100.7", "2001:db8:0:1:2::3", "unknown"), start=1):
            run_sql(database, f"INSERT INTO users (id, name, email) VALUES ({number}, 'user{number}', '')")
            columns = "user_id, last_login_at, last_login_address, failed_logins"
            run_sql(database, f"INSERT INTO account_states ({columns}) VALUES ({number}, '{moment}', '{address}', 3)")
        run_sql(database, "UPDATE users SET source = 'directory' WHERE id = 1")
        values = f"(1, 'a-guid', 'corp.example.org', '', '{moment}')"
        run_sql(database, f"INSERT INTO directory_accounts (user_id, guid, domain, dn, read_at) VALUES {values}")
        upgrade(database)
        found = query(
            database, "SELECT account, network, user_id, last_login_at, failures FROM account_networks ORDER BY user_id"
        )
    assert found == [("a-guid", "198.51.100.7", 1, moment, 0), ("2", "2001:db8:0:1::/64", 2, moment, 0)]


def test_certificates_and_their_mails_outlive_the_change_of_what_identifies_them(database_url: str) -> None:
    moment, later = "2026-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"
    pem = (Path(__file__).parents[3] / "examples" / "certificate.pem").read_text()
    with open_database(database_url) as database:
        upgrade_to(database, "0011")
        run_sql(database, "INSERT INTO issuers (id, name) VALUES (1, 'tls')")
        for number, text in ((1, pem), (2, "damaged"), (3, pem)):
            run_sql(
                database,
                "INSERT INTO certificates (id, issuer_id, issuer_name, team_name, owner_name, serial, sha256, subject,"
                " not_before, not_after, pem, registered_at) VALUES"
                f" ({number}, 1, 'tls', 'web', 'alice', '{number}', '{number}', 'CN=x',"
                f" '{moment}', '{later}', '{text}', '{moment}')",
            )
            run_sql(
                database,
                "INSERT INTO outbox (template, certificate_id, recipient, created_at)"
                f" VALUES ('certificate-issued', {number}, 'a@example.org', '{moment}')",
            )
        run_sql(database, "UPDATE certificates SET renews_id = 2 WHERE id = 1")
        upgrade(database)
        columns = "id, renews_id, serial, pem, issued_by <> '', verified_by, next_reminder_at"
        rows = query(database, f"SELECT {columns} FROM certificates ORDER BY id")
        assert [tuple(row) for row in rows] == [
            (1, 2, "1", pem, True, None, None),
            (2, None, "2", "damaged", False, None, None),
            (3, None, "3", pem, True, None, None),
        ]
        mails = query(database, "SELECT certificate_id, recipient FROM outbox ORDER BY certificate_id")
        assert [tuple(row) for row in mails] == [(number, "a@example.org") for number in (1, 2, 3)]
        run_sql(database, "UPDATE certificates SET serial = '1'")
        run_sql(database, "DELETE FROM certificates WHERE id = 2")
        assert [tuple(row) for row in query(database, "SELECT renews_id FROM certificates ORDER BY id")] == [(None,), (None,)]
        assert len(query(database, "SELECT id FROM outbox")) == 2


def test_verified_certificates_say_what_verified_them(database_url: str) -> None:
    moment, later = "2026-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"
    pem = (Path(__file__).parents[3] / "examples" / "certificate.pem").read_text()
    with open_database(database_url) as database:
        upgrade_to(database, "0014")
        for number, declared in ((1, [pem]), (2, ["damaged", pem]), (3, ["damaged"]), (4, []), (5, [pem])):
            written = json.dumps(declared)
            run_sql(database, f"INSERT INTO issuers (id, name, ca_certificates) VALUES ({number}, 'tls{number}', '{written}')")
            verified = ("true" if number < 5 else "false") if not database.is_sqlite else str(int(number < 5))
            run_sql(
                database,
                "INSERT INTO certificates (id, issuer_id, issuer_name, team_name, owner_name, serial, sha256, subject,"
                " not_before, not_after, pem, registered_at, verified) VALUES"
                f" ({number}, {number}, 'tls', 'web', 'alice', '{number}', '{number}', 'CN=x',"
                f" '{moment}', '{later}', '{pem}', '{moment}', {verified})",
            )
            run_sql(
                database,
                "INSERT INTO outbox (template, certificate_id, recipient, created_at)"
                f" VALUES ('certificate-issued', {number}, 'a@example.org', '{moment}')",
            )
        upgrade(database)
        sha256 = hashlib.sha256(base64.b64decode("".join(pem.splitlines()[1:-1]))).hexdigest()
        rows = query(database, "SELECT id, verified_by FROM certificates ORDER BY id")
        assert [tuple(row) for row in rows] == [(1, sha256), (2, sha256), (3, None), (4, None), (5, None)]
        assert len(query(database, "SELECT id FROM outbox WHERE certificate_id IS NOT NULL")) == 5
        if database.is_sqlite:
            numbers = query(database, "SELECT name, seq FROM sqlite_sequence ORDER BY name")
            assert [tuple(row) for row in numbers] == [("certificates", 5), ("outbox", 5)]
            made = query(database, "SELECT sql FROM sqlite_master WHERE name = 'ix_outbox_waiting'")
            assert "WHERE sent_at IS NULL AND ended_at IS NULL" in made[0][0]


def test_mails_that_were_given_up_are_marked_in_a_column(database_url: str) -> None:
    moment = "2026-01-01T00:00:00.000000Z"
    with open_database(database_url) as database:
        upgrade_to(database, "0007")
        for ended_at, error in (
            (moment, "given up: the mail server refuses the recipient"),
            (moment, "the certificate was revoked"),
            (None, "the mail server does not answer"),
            (None, None),
        ):
            values = ", ".join("NULL" if value is None else f"'{value}'" for value in (ended_at, error))
            run_sql(
                database,
                f"INSERT INTO outbox (template, created_at, ended_at, last_error) VALUES ('welcome', '{moment}', {values})",
            )
        upgrade(database)
        assert query(database, "SELECT last_error FROM outbox WHERE given_up ORDER BY id") == [
            ("the mail server refuses the recipient",)
        ]
        assert query(database, "SELECT last_error FROM outbox WHERE NOT given_up ORDER BY id") == [
            ("the certificate was revoked",),
            ("the mail server does not answer",),
            (None,),
        ]


def test_two_upgrades_at_once_end_in_one(database_url: str) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with open_database(database_url) as database:
                upgrade(database)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with open_database(database_url) as database:
        check(database)
        assert query(database, "SELECT id, generation FROM state") == [(1, 0)]


def test_tables_of_a_newer_accord_are_left_alone(database: Database) -> None:
    run_sql(database, "UPDATE alembic_version SET version_num = '9999'")
    for use in (check, upgrade):
        with pytest.raises(SchemaTooNew, match="9999"):
            use(database)
    assert current(database) == "9999"


def test_an_upgrade_that_fails_leaves_no_table_behind(database_url: str) -> None:
    with open_database(database_url) as database:
        with database.writing() as connection:
            # in the way of the third migration's index
            connection.execute(text("CREATE TABLE ix_login_failures_last_failed_at (nonsense INTEGER)"))
        with pytest.raises(StoreError):
            upgrade(database)
        assert current(database) is None
        with database.reading() as connection:
            assert inspect(connection).get_table_names() == ["ix_login_failures_last_failed_at"]


@pytest.mark.parametrize("statement", ["DELETE FROM alembic_version", "DROP TABLE alembic_version"])
def test_tables_without_a_version_are_not_taken_for_an_empty_database(database_url: str, statement: str) -> None:
    with open_database(database_url) as database:
        upgrade(database)
        bring(database, SMALL)
        run_sql(database, statement)
        for use in (check, current, upgrade):
            with pytest.raises(DatabaseCorrupt, match="no version in `alembic_version`"):
                use(database)
        assert query(database, "SELECT generation FROM state") == [(1,)]


@pytest.mark.parametrize("version", ["bc804d8e7a18", "0003", HEAD, "9999", "0001_init", ""])
def test_a_version_that_another_program_counts_is_left_alone(database_url: str, version: str) -> None:
    with open_database(database_url) as database:
        with database.writing() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
            if version:
                connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": version})
            connection.execute(text("CREATE TABLE users (id INTEGER)"))
        for use in (check, current, upgrade):
            with pytest.raises(DatabaseCorrupt, match="belongs to another program"):
                use(database)
        assert query(database, "SELECT version_num FROM alembic_version") == ([(version,)] if version else [])
        with database.reading() as connection:
            assert set(inspect(connection).get_table_names()) == {"alembic_version", "users"}


def test_tables_are_made_once_in_the_callers_transaction(database_url: str) -> None:
    with open_database(database_url) as database:
        with pytest.raises(ValueError, match="refused"), database.writing() as connection:
            assert create(connection)
            raise ValueError("refused")
        assert current(database) is None
        with database.writing() as connection:
            assert create(connection)
            assert not create(connection)
        check(database)


def test_asking_for_the_version_makes_no_file(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path}/accord.db", read_only=True) as database:
        assert schema.current(database) is None
        with pytest.raises(SchemaMissing):
            check(database)
    assert list(tmp_path.iterdir()) == []


def test_rows_of_older_versions_get_the_identifiers_that_new_ones_would_have(database_url: str) -> None:
    with open_database(database_url) as database:
        upgrade_to(database, "0018")
        number = 100_000
        rows = (
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) SELECT 'user-' || i, '' FROM n"
            if database.is_sqlite
            else f"SELECT 'user-' || i, '' FROM generate_series(1, {number}) AS n(i)"
        )
        run_sql(database, f"INSERT INTO users (name, email) {rows}")
        run_sql(database, "INSERT INTO users (name, email, source) VALUES ('jörg b', '', 'directory')")
        run_sql(database, "INSERT INTO teams (name) VALUES ('web')")
        run_sql(database, "INSERT INTO issuers (name) VALUES ('tls')")
        began = time.monotonic()
        upgrade(database)
        assert time.monotonic() - began < 30  # a few seconds on a machine that does nothing else
        found = dict(query(database, "SELECT name, public_id FROM users"))
        assert len(set(found.values())) == number + 1
        for name in ("user-1", f"user-{number}", "jörg b"):
            assert found[name] == next(derived_ids("User", name))
        assert query(database, "SELECT public_id FROM teams") == [(next(derived_ids("Team", "web")),)]
        assert query(database, "SELECT public_id FROM issuers") == [(next(derived_ids("Issuer", "tls")),)]
