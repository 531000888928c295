"""The worlds of the API's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from client import World
from organisation import Applied, copy_repository, copy_sqlite
from scenario import Accord


@pytest.fixture
def world(organised: Accord) -> Iterator[World]:
    """A small organisation on a database of each kind, and the API over it."""
    found = World(organised)
    yield found
    found.service.stop()


@pytest.fixture(scope="module")
def shared_world(applied_on_sqlite: Applied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world shared by all tests of a module, on SQLite. They add what they need, and change nothing that others read."""
    folder = tmp_path_factory.mktemp("world")
    repository = copy_repository(applied_on_sqlite, folder / "config.git")
    found = World(Accord(repository.path, copy_sqlite(applied_on_sqlite, folder / "accord.db"), folder / "cache"))
    yield found
    found.service.stop()
