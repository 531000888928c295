"""What the register's tests start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from register_world import RegisterWorld
from scenario import Accord, ConfigRepository

from reconciler.store.engine import Database


@pytest.fixture
def world(accord: Accord, repository: ConfigRepository, database: Database) -> Iterator[RegisterWorld]:
    """A small organisation on a database of each kind, and the API over it."""
    found = RegisterWorld(accord, repository, database.url)
    yield found
    found.service.stop()
