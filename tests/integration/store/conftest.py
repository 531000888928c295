from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.store.engine import Database, open_database
from reconciler.store.schema import upgrade


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with tables, and nothing in them."""
    with open_database(database_url) as opened:
        upgrade(opened)
        yield opened
