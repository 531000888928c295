"""What most acceptance tests start from: an empty config repository, and the program against it and an empty database."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import samba_domain
from desk import Desk
from organisation import Applied, apply_organisation, copy_postgresql, copy_repository, copy_sqlite
from postgresql_server import PostgresqlServer
from samba_domain import SambaDomain
from scenario import Accord, ConfigRepository

from reconciler.store.engine import Database, open_database
from reconciler.store.schema import upgrade


@pytest.fixture
def repository(tmp_path: Path) -> ConfigRepository:
    return ConfigRepository(tmp_path / "config.git")


@pytest.fixture
def accord(repository: ConfigRepository, database: Database, tmp_path: Path) -> Accord:
    """On a database of each kind, unless the test says `@pytest.mark.parametrize("database_kind", ["sqlite"])`."""
    return Accord(repository.path, database.url, tmp_path / "cache")


@pytest.fixture(scope="session")
def applied_on_sqlite(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Applied:
    folder = tmp_path_factory.mktemp("organisation")
    shutil.copy(sqlite_template, folder / "accord.db")
    return apply_organisation(folder, f"sqlite:///{folder}/accord.db")


@pytest.fixture(scope="session")
def applied_on_postgresql(postgresql_server: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> Applied:
    url = postgresql_server.new_database()
    with open_database(url) as opened:
        upgrade(opened)
    return apply_organisation(tmp_path_factory.mktemp("organisation"), url)


@pytest.fixture
def organised(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Accord]:
    """The program, against a small organisation that was applied to a database of each kind."""
    applied: Applied = request.getfixturevalue(f"applied_on_{database_kind}")
    repository = copy_repository(applied, tmp_path / "config.git")
    if database_kind == "sqlite":
        yield Accord(repository.path, copy_sqlite(applied, tmp_path / "accord.db"), tmp_path / "cache")
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    url = copy_postgresql(applied, server)
    yield Accord(repository.path, url, tmp_path / "cache")
    server.drop_database(url)


@pytest.fixture
def desk(tmp_path: Path, database_url: str) -> Desk:
    """With no database at all, as on a first day."""
    return Desk(tmp_path, database_url)


@pytest.fixture
def begun(desk: Desk) -> Desk:
    """The starter, committed and applied."""
    desk.accord("init", str(desk.config), "--administrator", "alice", "--email", "alice@example.org")
    desk.git("init", "-q", "-b", "main")
    desk.commit("Who may use what")
    desk.accord("apply", "--yes")
    return desk


@pytest.fixture(scope="session")
def domains_folder() -> Iterator[Path]:
    """The folder of the domains."""
    if not samba_domain.is_installed():
        reason = "Samba's domain controller is not installed, or we are not root; what needs Active Directory is not tested"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="accord-ad-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def domain(domains_folder: Path) -> Iterator[SambaDomain]:
    """A controller shared by all tests, with a lockout threshold of 4. Tests create their own accounts."""
    with samba_domain.running(domains_folder / "corp") as found:
        yield found
