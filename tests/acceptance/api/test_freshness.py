"""A committed change takes effect at the next call, in every process; what cannot be read is not decided."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from client import Caller, World, settings
from postgresql_server import PostgresqlServer
from scenario import Accord, ConfigRepository, team, user
from waiting import LONG

from api.app import create_app
from api.service import Service
from reconciler.store.engine import open_database
from reconciler.store.schema import upgrade

DECIDE = ("POST", "/decisions", {"json": {"issuer": "tls"}})


def _answer_in_another_process(url: str, pipe: Connection) -> None:
    service = Service(settings(url))
    service.start()
    app = create_app(service)
    pipe.send("ready")
    while (asked := pipe.recv()) is not None:
        secret, address, (method, path, arguments) = asked
        result = Caller(app, secret, address).send(method, path, **arguments)
        pipe.send((result.status_code, result.json))
    service.stop()


class Replica:
    """A second process that shares the database."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self, secret: str, question: Any = DECIDE, address: str = "127.0.0.1") -> tuple[int, Any]:
        self._pipe.send((secret, address, question))
        status, body = self._pipe.recv()
        return status, body.get("allow") if status == 200 else body.get("reason")


@pytest.fixture
def replica(world: World) -> Iterator[Replica]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer_in_another_process, args=(world.url, theirs))
    process.start()
    assert ours.recv() == "ready"
    yield Replica(ours)
    ours.send(None)
    process.join(LONG)
    assert process.exitcode == 0


@pytest.mark.slow
def test_the_very_next_call_on_another_process_is_refused(world: World, replica: Replica) -> None:
    root = world.caller("root")

    def refused_after(change: Callable[[Any], object], *refusal: Any) -> None:
        minted = world.mint("alice")
        assert replica(minted.secret) == (200, True)  # it has everything in mind now
        change(minted)
        assert replica(minted.secret) == refusal

    def disable(_: Any) -> None:
        root("PUT", "/users/alice/disabled", 204)

    def apply(files: dict[str, Any]) -> Callable[[Any], object]:
        return lambda _: world.apply(files)

    refused_after(lambda minted: root("DELETE", f"/users/alice/tokens/{minted.accessor}", 204), 401, None)
    refused_after(lambda minted: world.with_secret(minted.secret)("DELETE", "/sessions/current", 204), 401, None)
    refused_after(disable, 401, None)
    root("DELETE", "/users/alice/disabled", 204)
    web = {"members": ["alice"], "issuers": ["tls"]}
    refused_after(apply({"teams/web.yaml": team("web", members=[], issuers=["tls"])}), 200, False)
    world.apply({"teams/web.yaml": team("web", **web)})
    refused_after(apply({"teams/web.yaml": team("web", members=["alice"])}), 200, False)
    world.apply({"teams/web.yaml": team("web", **web)})
    refused_after(apply({"teams/web.yaml": team("web", **web, permittedIPs=["10.0.0.0/8"])}), 403, "address-not-permitted")
    assert replica(world.mint("alice").secret, address="203.0.113.7") == (403, "address-not-permitted")
    world.apply({"teams/web.yaml": team("web", **web)})
    refused_after(apply({"users/alice.yaml": user("alice", enabled=False)}), 401, None)
    world.apply({"users/alice.yaml": user("alice")})
    refused_after(apply({"users/alice.yaml": None, "teams/web.yaml": team("web")}), 401, None)


@pytest.mark.slow
def test_an_end_takes_effect_on_another_process_at_its_instant(world: World, replica: Replica) -> None:
    for seconds in (2, 10, 50):  # a slow machine needs more of them until the first question is answered
        lives = timedelta(seconds=seconds)
        ends = datetime.now(UTC) + lives
        until = {"user": "alice", "until": ends.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        world.apply({"teams/web.yaml": team("web", members=[until], issuers=["tls"])})
        secret = world.mint("alice").secret
        if replica(secret) == (200, True):
            break
    insist_on_the_end(lambda: replica(secret), (200, True), ends, (200, False))
    minted = world.mint("alice", lives=lives)
    insist_on_the_end(lambda: replica(minted.secret)[0], 200, minted.expires_at, 401)


def insist_on_the_end(ask: Callable[[], object], before: object, ends: datetime, after: object) -> None:
    """One answer is expected before an instant, another from it on."""
    while (asked := datetime.now(UTC)) < ends:
        found = ask()
        assert found == before or (found == after and datetime.now(UTC) >= ends), (found, asked, ends)
    assert ask() == after


@pytest.mark.slow
def test_a_grant_takes_effect_at_once_as_well(world: World, replica: Replica) -> None:
    secret = world.mint("nobody").secret
    assert replica(secret) == (200, False)
    world.apply({"teams/web.yaml": team("web", members=["alice", "nobody"], issuers=["tls"])})
    assert replica(secret) == (200, True)


def assert_nothing_is_answered(world: World, caller: Caller) -> None:
    """While the database is away, no call that needs it is answered from memory."""
    problem = caller("POST", "/decisions", 503, json={"issuer": "tls"})
    assert problem["type"] == "urn:accord:problem:unavailable"
    assert "sqlite" not in repr(problem) and "postgres" not in repr(problem)
    for method, path in (("GET", "/me"), ("GET", "/auth"), ("GET", "/me/access"), ("GET", "/users"), ("GET", "/readyz")):
        assert caller.send(method, path).headers["retry-after"] == "1"
        caller(method, path, 503)
    world.caller()("POST", "/sessions", 503, json={"username": "alice", "password": "a rather long passphrase"})
    world.caller()("GET", "/healthz", 200)


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A file moved out of its place."""
    moved = path.with_suffix(".aside")
    path.rename(moved)
    try:
        yield moved
    finally:
        moved.replace(path)


def write_out(file: Path) -> None:
    """Leave nothing in SQLite's log beside the file."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_deleted_sqlite_file_is_not_answered_from(world: World, tmp_path: Path) -> None:
    alice = world.caller("alice")
    assert alice("POST", "/decisions", 200, json={"issuer": "tls"})["allow"] is True
    with aside(tmp_path / "accord.db"):
        assert_nothing_is_answered(world, alice)
        assert not (tmp_path / "accord.db").exists()
    assert alice("POST", "/decisions", 200, json={"issuer": "tls"})["allow"] is True


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_sqlite_file_that_replaces_another_is_the_one_that_counts(world: World, tmp_path: Path) -> None:
    alice = world.caller("alice")
    assert alice("POST", "/decisions", 200, json={"issuer": "tls"})["allow"] is True
    file = tmp_path / "accord.db"
    write_out(file)
    shutil.copy(file, tmp_path / "restored.db")
    with open_database(f"sqlite:///{tmp_path}/restored.db") as restored, restored.writing() as connection:
        connection.exec_driver_sql("UPDATE tokens SET revoked_at = created_at")
    (tmp_path / "restored.db").replace(file)
    alice("POST", "/decisions", 401, json={"issuer": "tls"})


def test_a_replaced_database_counts_even_with_the_same_generation(
    world: World, database_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    alice = world.caller("alice")
    assert alice("POST", "/decisions", 200, json={"issuer": "tls"})["allow"] is True
    world.execute("DELETE FROM memberships")  # past everything, so that the generation does not tell
    if database_kind == "sqlite":
        write_out(tmp_path / "accord.db")
        shutil.copy(tmp_path / "accord.db", tmp_path / "restored.db")
        (tmp_path / "restored.db").replace(tmp_path / "accord.db")
    else:
        server = request.getfixturevalue("postgresql_server")
        name = world.url.rpartition("/")[2]
        server.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
    assert alice("POST", "/decisions", 200, json={"issuer": "tls"})["allow"] is False


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_corrupt_sqlite_file_is_not_answered_from(world: World, tmp_path: Path) -> None:
    alice = world.caller("alice")
    assert alice("POST", "/decisions", 200, json={"issuer": "tls"})["allow"] is True
    file = tmp_path / "accord.db"
    write_out(file)
    (tmp_path / "corrupt.db").write_bytes(b"\xff" * file.stat().st_size)
    (tmp_path / "corrupt.db").replace(file)
    alice("POST", "/decisions", 503, json={"issuer": "tls"})


@pytest.mark.slow
@pytest.mark.postgresql
def test_a_stopped_postgresql_is_not_answered_from_and_is_used_again_once_it_is_back(
    durable_postgresql_server: PostgresqlServer, repository: ConfigRepository, tmp_path: Path
) -> None:
    url = durable_postgresql_server.new_database()
    with open_database(url) as database:
        upgrade(database)
    world = World(Accord(repository.path, url, tmp_path / "cache"))
    alice = world.caller("alice")
    assert alice("POST", "/decisions", 200, json={"issuer": "tls"})["allow"] is True
    durable_postgresql_server.stop()
    try:
        assert_nothing_is_answered(world, alice)
    finally:
        durable_postgresql_server.start()
    assert alice("POST", "/decisions", 200, json={"issuer": "tls"})["allow"] is True
    world.service.stop()
