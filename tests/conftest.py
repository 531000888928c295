"""What all tests share: a real PostgreSQL server, and an empty database of each kind."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from postgresql_server import PostgresqlServer, find_binaries

from reconciler.store import tables
from reconciler.store.audit import GENESIS
from reconciler.store.engine import Database, open_database
from reconciler.store.schema import HEAD, upgrade

# What a script starts in the background ignores Ctrl-C, and so would all that is started from here.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Debian's servers are there, where a root without a login shell does not look.
os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"

# How long an example takes says how quick the machine is, and nothing of the program.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def _servers(folder_owner: str, *, durable: bool) -> Iterator[PostgresqlServer]:
    binaries = find_binaries()
    if binaries is None:
        reason = "PostgreSQL's server is not installed (Debian: apt-get install postgresql); what needs it is not tested"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix=f"accord-{folder_owner}-") as parent:
        Path(parent).chmod(0o755)  # the account `postgres` must be able to walk through
        server = PostgresqlServer(binaries, Path(parent) / "cluster", durable=durable)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A server for everybody: it forgets everything in a power cut, and is quick."""
    yield from _servers("quick", durable=False)


@pytest.fixture(scope="session")
def durable_postgresql_server() -> Iterator[PostgresqlServer]:
    """A server as people run it, with fsync, for tests that kill."""
    yield from _servers("durable", durable=True)


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """An empty PostgreSQL database."""
    url = postgresql_server.new_database()
    yield url
    postgresql_server.drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind: a SQLite file that is not there yet, and a PostgreSQL database without tables."""
    if database_kind == "sqlite":
        return f"sqlite:///{tmp_path}/accord.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with tables, to copy: quicker than running the migrations for each test."""
    file = tmp_path_factory.mktemp("template") / "accord.db"
    with open_database(f"sqlite:///{file}") as opened:
        upgrade(opened)
    return file


@pytest.fixture(scope="session")
def postgresql_tables(postgresql_server: PostgresqlServer) -> str:
    """The URL of a PostgreSQL database with tables, one for all tests: making one takes a third of a second."""
    url = postgresql_server.new_database()
    with open_database(url) as opened:
        upgrade(opened)
    return url


def _empty(server: PostgresqlServer, url: str) -> None:
    """As it was when its tables were made, whatever a test did to the rows, and whoever is still connected."""
    name = url.rpartition("/")[2]
    server.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
    statements = [f"DELETE FROM {table.name}" for table in reversed(tables.metadata.sorted_tables)]
    statements += [f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), 1, false)" for table in tables.TABLES.values()]
    statements.append(f"INSERT INTO state (id, generation, audit_count, audit_head) VALUES (1, 0, 0, '{GENESIS}')")
    statements.append(f"UPDATE alembic_version SET version_num = '{HEAD}'")
    server.execute("; ".join(statements), name)


@pytest.fixture
def database(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind with tables, and nothing in them."""
    if database_kind == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "accord.db")
        with open_database(f"sqlite:///{tmp_path}/accord.db") as opened:
            yield opened
        return
    url: str = request.getfixturevalue("postgresql_tables")
    _empty(request.getfixturevalue("postgresql_server"), url)
    with open_database(url) as opened:
        yield opened
