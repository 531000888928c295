"""The account that plans in a CI, with what `accord db grants` gives it: enough for all that reads, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from postgresql_server import PostgresqlServer
from scenario import ADMINISTRATORS, Accord, ConfigRepository, by_hand, issuer, team, user

from reconciler.store.tables import metadata

pytestmark = [pytest.mark.postgresql, pytest.mark.parametrize("database_kind", ["postgresql"])]
ROLE = "accord-plan"
SECRETS = (
    *("account_states.password_hash", "account_states.last_login_address", "tokens.sha256", "tokens.accessor", "tokens.minter"),
    *(
        "outbox.recipient",
        "outbox.detail",
        "outbox.claim",
        "certificates.pem",
        "directory_accounts.dn",
        "account_networks.network",
    ),
)


@pytest.fixture
def planning(
    accord: Accord, repository: ConfigRepository, postgresql_server: PostgresqlServer, tmp_path: Path
) -> Iterator[Accord]:
    """The program as that account, over a database with passwords, sessions and tokens, and a revision to plan."""
    base = {**ADMINISTRATORS, "issuers/tls.yaml": issuer("tls"), "users/alice.yaml": user("alice")}
    repository.commit({**base, "teams/web.yaml": team("web", members=["alice"], issuers=["tls"])})
    accord("apply", "--yes")
    by_hand(
        accord,
        "INSERT INTO account_states (user_id, password_hash) SELECT id, '$argon2id$x' FROM users",
        "UPDATE outbox SET sent_at = created_at",
        *(
            "INSERT INTO tokens (user_id, kind, accessor, sha256, created_at, expires_at) "
            f"SELECT id, '{kind}', '{kind}', '{kind}', '', '2099-01-01T00:00:00.000000Z' FROM users WHERE name = 'alice'"
            for kind in ("session", "token")
        ),
    )
    repository.commit({"users/alice.yaml": None, "teams/web.yaml": team("web", members=["root"], issuers=["tls"])})
    database = accord.environment["ACCORD_DATABASE_URL"].rpartition("/")[2]
    quoted = f'"{ROLE}"'
    granted = accord("db", "grants", ROLE).stdout
    postgresql_server.execute(
        f"CREATE ROLE {quoted} LOGIN; GRANT UPDATE, DELETE ON users, audit TO {quoted}; {granted}", database
    )
    yield Accord(repository.path, postgresql_server.url(database, ROLE), tmp_path / "its-cache")
    postgresql_server.execute(f"DROP OWNED BY {quoted}; DROP ROLE {quoted}", database)


def test_it_plans_what_the_owner_plans(planning: Accord, accord: Accord) -> None:
    plan = planning.json("plan")
    assert plan == accord.json("plan")
    assert plan["effects"] == {"mails": 0, "sessionsEnded": 1, "tokensEnded": 1}
    verdicts = {guard["id"]: guard["verdict"] for guard in plan["guards"]}
    assert verdicts["last-administrator"] == "pass", "root has a password, which is known without reading it"


@pytest.mark.parametrize(
    "command",
    [
        "plan --adopt",
        "drift",
        "access",
        "access --at 2099-01-01",
        "access --issuer tls",
        "explain alice tls",
        "history",
        "audit list",
        "audit verify",
        "audit export",
        "db check",
        "db current",
        "show APPLIED",
        "export FOLDER",
    ],
)
def test_it_runs_everything_that_only_reads(
    planning: Accord, accord: Accord, command: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    applied = json.loads(accord("history", "--format", "json").stdout)[0]["commit"]
    words = command.replace("APPLIED", applied)
    found = [
        each(*words.replace("FOLDER", str(tmp_path_factory.mktemp("exported") / "config")).split()).stdout
        for each in (planning, accord)
    ]
    assert command.startswith(("access", "explain", "export")) or found[0] == found[1]


def test_it_finds_drift_and_repairs_none(planning: Accord, accord: Accord) -> None:
    by_hand(accord, "UPDATE teams SET administrator = true WHERE name = 'web'")
    assert planning.json("drift", code=2)["differences"]
    refused = planning("drift", "--repair", "--yes", code=1)
    assert "does not allow this account" in refused.stderr
    assert "does not allow this account" in planning("apply", "--yes", code=1).stderr


def test_it_reads_no_secret_and_writes_nothing(planning: Accord) -> None:
    with psycopg.connect(planning.environment["ACCORD_DATABASE_URL"], autocommit=True) as connection:
        for secret in SECRETS:
            table, column = secret.split(".")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT {column} FROM {table}")  # type: ignore[arg-type]
        for table in metadata.tables:
            for forbidden in (f"DELETE FROM {table}", f"INSERT INTO {table} DEFAULT VALUES", f"TRUNCATE {table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(forbidden)  # type: ignore[arg-type]
