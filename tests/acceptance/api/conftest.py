"""What the API's tests start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from client import World
from scenario import Accord, ConfigRepository

from reconciler.store.engine import Database


@pytest.fixture
def world(accord: Accord, repository: ConfigRepository, database: Database) -> Iterator[World]:
    """A small organisation on a database of each kind, and the API over it."""
    found = World(accord, repository, database.url)
    yield found
    found.service.stop()
