"""PostgreSQL's servers: nobody waits for one that is silent, and only the newest primary is believed."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from declared_states import query, run_sql
from faulty_proxy import FaultyProxy
from pgbouncer import Pgbouncer
from postgresql_pair import Pair, pair_of_servers
from postgresql_server import PostgresqlServer, find_binaries
from sqlalchemy import text
from waiting import LONG, until

from reconciler.store.engine import Database, open_database
from reconciler.store.errors import DatabaseBusy, DatabaseSilent, DatabaseUnreachable, NotPrimary, OutcomeUnknown
from reconciler.store.schema import upgrade

pytestmark = pytest.mark.postgresql
RAISE = "UPDATE state SET generation = generation + 1"


@pytest.fixture
def proxy(postgresql_server: PostgresqlServer) -> Iterator[FaultyProxy]:
    """A way to the server, on which things go wrong."""
    found = FaultyProxy("127.0.0.1", ("127.0.0.1", postgresql_server.port))
    yield found
    found.fault = "none"
    found.close()


def through(proxy: FaultyProxy, url: str, options: str = "") -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{url.rpartition('/')[2]}{options}"


def test_a_server_that_falls_silent_is_given_up(proxy: FaultyProxy, postgresql_tables: str) -> None:
    url = through(proxy, postgresql_tables, "?answer_timeout=0.5&timeout=0.5")
    with open_database(url, pooled=True) as database, closing(database.driver_connection()) as connection:
        assert query(database, "SELECT 1") == [(1,)]
        proxy.fault = "silence"
        with pytest.raises(DatabaseSilent, match="in time"), database.translated():
            connection.execute("SELECT 1")
        assert connection.closed
        with pytest.raises(DatabaseUnreachable), database.recording():
            pass


def test_a_server_that_never_answers_a_connection_is_given_up(proxy: FaultyProxy, postgresql_tables: str) -> None:
    proxy.fault = "silence"
    with open_database(through(proxy, postgresql_tables, "?connect_timeout=0.5")) as database:
        began = time.monotonic()
        with pytest.raises(DatabaseSilent), database.reading():
            pass
        assert time.monotonic() - began < LONG / 4


def test_a_silent_host_does_not_delay_another(proxy: FaultyProxy, postgresql_server: PostgresqlServer) -> None:
    proxy.fault = "silence"
    url = f"postgresql://postgres@127.0.0.1:{proxy.port},127.0.0.1:{postgresql_server.port}/postgres?connect_timeout=60"
    began = time.monotonic()
    with open_database(url) as database:
        assert query(database, "SELECT 1") == [(1,)]
    assert time.monotonic() - began < 30


def test_giving_up_ends_all_waiting_until_there_is_an_answer(postgresql_server: PostgresqlServer, postgresql_tables: str) -> None:
    failures: list[BaseException] = []

    def wait(database: Database) -> None:
        try:
            with database.recording() as connection:
                connection.execute(text("SELECT pg_sleep(600)"))
        except DatabaseUnreachable as error:
            failures.append(error)

    with open_database(f"{postgresql_tables}?timeout=600", pooled=True) as database:
        assert database.servers is not None
        waiting = threading.Thread(target=wait, args=(database,))
        waiting.start()
        sleeping = "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'"
        until(lambda: postgresql_server.query(sleeping))
        database.servers.give_up()
        waiting.join(LONG)
        postgresql_server.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM ({sleeping}) sleeping")
        assert len(failures) == 1
        with pytest.raises(DatabaseSilent), database.reading():
            pass
        database.servers.answered()
        assert query(database, "SELECT 1") == [(1,)]


def test_a_slow_statement_is_not_a_silent_server(postgresql_tables: str) -> None:
    with (
        open_database(f"{postgresql_tables}?answer_timeout=0.5", pooled=True) as database,
        closing(database.driver_connection()) as connection,
    ):
        with pytest.raises(DatabaseBusy), database.translated():
            connection.execute("SELECT pg_sleep(60)")
        assert not connection.closed


def test_each_transaction_sets_its_limits_and_leaves_none_in_the_session(postgresql_tables: str) -> None:
    limits = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    with open_database(f"{postgresql_tables}?timeout=7", pooled=True) as database:
        with database.recording() as connection:
            assert [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in limits] == ["7s", "10s", "1min"]
        with database._engine.connect() as connection:
            assert [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in limits] == ["0"] * 3


def test_a_commit_that_is_cut_off_may_stand(postgresql_server: PostgresqlServer, postgresql_tables: str) -> None:
    with (
        open_database(postgresql_tables) as database,
        pytest.raises(OutcomeUnknown, match="unknown"),
        database.recording() as connection,
    ):
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        postgresql_server.execute(f"SELECT pg_terminate_backend({backend}, 5000)")


def test_a_connection_that_broke_leaves_nothing_open_when_it_is_dropped(
    postgresql_server: PostgresqlServer, postgresql_tables: str
) -> None:
    with open_database(postgresql_tables) as database, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        connection = database.driver_connection()
        postgresql_server.execute(f"SELECT pg_terminate_backend({connection.info.backend_pid}, 5000)")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        del connection
        gc.collect()
    assert [str(each.message) for each in warned] == []


@pytest.fixture(scope="module")
def pair(postgresql_server: PostgresqlServer) -> Iterator[Pair]:
    """A primary and its synchronous standby."""
    binaries = find_binaries()
    assert binaries is not None
    with pair_of_servers(binaries, synchronous=True) as found:
        with open_database(found.url()) as database:
            upgrade(database)
        yield found


def test_the_primary_is_found_whatever_its_place(pair: Pair) -> None:
    ports = (pair.primary.port, pair.standby.port)
    for one, other in (ports, ports[::-1]):
        with open_database(f"postgresql://postgres@127.0.0.1:{one},127.0.0.1:{other}/postgres") as database:
            run_sql(database, RAISE)


def test_a_standby_is_read_where_there_is_no_primary_and_never_written_to(pair: Pair) -> None:
    pair.catch_up()
    with pytest.raises(NotPrimary, match="standby"), open_database(pair.standby.url()) as database, database.reading():
        pass
    with open_database(pair.standby.url(), read_only=True) as database:
        assert query(database, "SELECT pg_is_in_recovery()") == [(True,)]
    for one, other in ((pair.primary, pair.standby), (pair.standby, pair.primary)):
        both = f"postgresql://postgres@127.0.0.1:{one.port},127.0.0.1:{other.port}/postgres"
        with open_database(both, read_only=True) as database:
            assert query(database, "SELECT pg_is_in_recovery()") == [(False,)]
    with open_database(f"{pair.standby.url()}?target_session_attrs=standby", read_only=True) as database:
        assert query(database, "SELECT pg_is_in_recovery()") == [(True,)]


def test_a_commit_that_no_standby_confirms_is_no_success(pair: Pair) -> None:
    """PostgreSQL reports one, with a warning, if something ends the wait for the standby."""
    pair.standby.stop()
    try:
        with open_database(pair.primary.url(), pooled=True) as database:
            stop = threading.Event()
            cancelling = threading.Thread(target=cancel, args=(pair, stop))
            cancelling.start()
            try:
                with pytest.raises(OutcomeUnknown, match="no standby confirmed"), database.recording() as connection:
                    connection.exec_driver_sql(RAISE)
            finally:
                stop.set()
                cancelling.join()
    finally:
        pair.standby.start()
        pair.catch_up()


def cancel(pair: Pair, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        pair.primary.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")


def test_a_primary_of_the_past_is_not_believed(pair: Pair) -> None:
    pair.catch_up()
    old = pair.primary
    with open_database(pair.url(), pooled=True) as database, open_database(old.url(), pooled=True) as only_old:
        with closing(database.driver_connection()) as before, closing(only_old.driver_connection()):
            pair.fail_over()  # while the old one goes on, as after a fail-over without fencing
            with closing(database.driver_connection()) as connection:
                assert connection.info.port == pair.primary.port
            with pytest.raises(psycopg.OperationalError):  # cut off: it led to the old one
                before.execute("SELECT 1")
        assert database.servers is not None
        assert only_old.servers is not None
        only_old.servers._timelines = database.servers._timelines
        with pytest.raises(NotPrimary, match="before a fail-over"):
            only_old.driver_connection()


@pytest.fixture
def pooled_url(postgresql_server: PostgresqlServer, postgresql_url: str) -> Iterator[str]:
    """A database behind PgBouncer, which gives a connection to another client after each transaction."""
    with Pgbouncer.before(postgresql_server) as bouncer:
        yield bouncer.url(postgresql_url.rpartition("/")[2])


def test_everything_works_behind_pgbouncer_in_transaction_mode(pooled_url: str) -> None:
    with open_database(pooled_url, pooled=True) as database:
        upgrade(database)
        connections = [database.driver_connection() for _ in range(3)]
        assert all(each.is_pooled for each in connections)
        for number in range(20):  # the driver would prepare a statement that it has run five times
            for each in connections:
                assert each.execute("SELECT generation FROM state WHERE id = %s", (1,)).fetchone() == (number,)
            run_sql(database, RAISE)
        assert query(database, "SHOW statement_timeout") != [("0",)]
        assert connections[0].execute("SHOW statement_timeout").fetchone() == ("0",)
        for each in connections:
            each.close()


def test_a_direct_connection_prepares_statements(postgresql_tables: str) -> None:
    with open_database(postgresql_tables, pooled=True) as database, closing(database.driver_connection()) as connection:
        assert not connection.is_pooled
        for _ in range(10):
            connection.execute("SELECT generation FROM state WHERE id = %s", (1,))
        assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (1,)
