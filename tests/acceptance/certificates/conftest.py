"""Fixtures of the tests of the register."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from register_world import RegisterWorld
from scenario import Accord


@pytest.fixture
def world(organised: Accord) -> Iterator[RegisterWorld]:
    """A small organisation on each kind of database, and the API over it."""
    found = RegisterWorld(organised)
    yield found
    found.service.stop()
