"""PostgreSQL that fails over, hangs, or is behind PgBouncer: no answer is older than what was acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from client import PASSWORD
from faulty_proxy import FaultyProxy
from organisation import Applied, apply_organisation, copy_postgresql
from pgbouncer import Pgbouncer
from postgresql_pair import Pair, go_on, hang, pair_of_servers
from postgresql_server import PostgresqlServer, find_binaries
from revocations import Revocations
from served import Server, command, serving
from waiting import until

from reconciler.store.engine import open_database
from reconciler.store.schema import upgrade

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]
ACCOUNTS = ("alice", "root")


@pytest.fixture
def pair(postgresql_server: object) -> Iterator[Pair]:
    """Two servers, each of which commits when the other has it."""
    binaries = find_binaries()
    assert binaries is not None
    with pair_of_servers(binaries, synchronous=True) as found:
        with open_database(found.url()) as database:
            upgrade(database)
        yield found


@pytest.fixture(params=[(), ("--server", "granian")], ids=["waitress", "granian"])
def server(pair: Pair, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    apply_organisation(tmp_path, pair.url())
    with serving(pair.url(), tmp_path, *request.param) as found:
        yield found


def test_no_answer_is_older_than_what_was_acknowledged(pair: Pair, server: Server) -> None:
    load = Revocations(pair.url(), server.port, "tls", ACCOUNTS, pause=0.005)
    load.mint(150)
    pair.catch_up()
    with load.going_on():
        until(lambda: load.confirmed > 10)
        hang(pair.primary)
        pair.fail_over()
        load.last_permitted = 0.0
        until(lambda: load.last_permitted, "an answer by the new primary")
        go_on(pair.standby)  # it takes itself for the primary still
        before = load.asked()
        until(lambda: load.asked() > before + 200)
        pair.standby.stop()
        pair.take_back()
        done = load.confirmed
        until(lambda: load.confirmed > done + 10, "revocations that both servers have")
    assert load.lost(pair.primary.url()) == []
    assert load.wrongly_permitted() == []
    assert load.refused == []
    assert load.statuses.keys() <= {0, 200, 401, 503}  # 0: the connection ended, which is no permission either
    assert b"accord_database_up 1.0" in server.metrics()


@pytest.fixture(params=[(), ("--server", "granian")], ids=["waitress", "granian"])
def silenced(
    applied_on_postgresql: Applied, postgresql_server: PostgresqlServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Server, FaultyProxy, str]]:
    """A server whose way to PostgreSQL can fall silent, and a token."""
    url = copy_postgresql(applied_on_postgresql, postgresql_server)
    way = FaultyProxy("127.0.0.1", ("127.0.0.1", postgresql_server.port))
    name = url.rpartition("/")[2]
    with serving(f"postgresql://postgres@127.0.0.1:{way.port}/{name}", tmp_path, *request.param) as server:
        load = Revocations(url, server.port, "tls", ["alice"])
        load.mint(1)
        yield server, way, load.tokens[0].secret
        way.fault = "none"
    way.close()
    postgresql_server.drop_database(url)


def test_a_silent_database_takes_only_decisions_away(silenced: tuple[Server, FaultyProxy, str]) -> None:
    server, way, secret = silenced
    body = {"issuer": "tls"}
    assert server.call("POST", "/api/v1/decisions", secret, body).status == 200
    way.fault = "silence"
    asked = [server.begin("POST", "/api/v1/decisions", secret, body) for _ in range(8)]  # all threads
    assert server.call("GET", "/healthz").status == 200
    assert {each.answer().status for each in asked} == {503}
    assert b"accord_database_up 0.0" in server.metrics()
    assert server.call("GET", "/readyz").status == 503
    assert server.call("POST", "/api/v1/sessions", None, {"username": "alice", "password": "wrong"}).status == 503
    way.fault = "none"
    until(lambda: server.call("POST", "/api/v1/decisions", secret, body).status == 200, "decisions")
    assert b"accord_database_up 1.0" in server.metrics()


@pytest.mark.parametrize("options", [(), ("--server", "granian")], ids=["waitress", "granian"])
def test_the_api_works_behind_pgbouncer(
    applied_on_postgresql: Applied, postgresql_server: PostgresqlServer, tmp_path: Path, options: tuple[str, ...]
) -> None:
    url = copy_postgresql(applied_on_postgresql, postgresql_server)
    with Pgbouncer.before(postgresql_server) as bouncer:
        pooled = bouncer.url(url.rpartition("/")[2])
        given = command("user", "set-password", "alice", "--no-change-required", url=pooled, given=PASSWORD)
        assert given.returncode == 0, given.stderr
        with serving(pooled, tmp_path, *options) as server, ThreadPoolExecutor(8) as callers:
            secret = server.call("POST", "/api/v1/sessions", None, {"username": "alice", "password": PASSWORD}).json["token"]

            def ask(_: int) -> bool:
                return bool(server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"}).json["allow"])

            assert all(callers.map(ask, range(100)))
            assert server.call("DELETE", "/api/v1/sessions/current", secret).status == 204
            assert server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"}).status == 401
    postgresql_server.drop_database(url)
