"""A connection is one consistent look, or one exclusive transaction."""

from __future__ import annotations

from sqlalchemy import text

from reconciler.store.engine import open_database
from reconciler.store.schema import current, upgrade


def test_a_database_without_tables_gets_them(database_url: str) -> None:
    with open_database(database_url) as database:
        assert current(database) is None
        upgrade(database)
        assert current(database) is not None
        with database.reading() as connection:
            assert connection.execute(text("SELECT generation FROM state")).scalar() == 0
