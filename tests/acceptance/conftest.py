"""What most acceptance tests start from: an empty config repository, and the program against it and an empty database."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk import Desk
from scenario import Accord, ConfigRepository

from reconciler.store.engine import Database


@pytest.fixture
def repository(tmp_path: Path) -> ConfigRepository:
    return ConfigRepository(tmp_path / "config.git")


@pytest.fixture
def accord(repository: ConfigRepository, database: Database, tmp_path: Path) -> Accord:
    """On a database of each kind, unless the test says `@pytest.mark.parametrize("database_kind", ["sqlite"])`."""
    return Accord(repository.path, database.url, tmp_path / "cache")


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
