"""Two PostgreSQL servers that change places under load: no answer is older than what was acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from organisation import apply_organisation
from postgresql_pair import Pair, go_on, hang, pair_of_servers
from postgresql_server import find_binaries
from revocations import Revocations
from served import Server, serving
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
