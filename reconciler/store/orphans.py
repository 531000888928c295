"""Rows whose user, team or issuer is gone: no Accord leaves them, a foreign hand in SQLite (foreign keys off) does."""

from __future__ import annotations

from sqlalchemy import select

from reconciler.store import tables
from reconciler.store.engine import Connection


def remove_orphans(connection: Connection) -> int:
    """Delete them as the database would have, had it been asked to keep its foreign keys; says how many there were."""
    return sum(
        connection.execute(key.parent.table.delete().where(key.parent.not_in(select(key.column)))).rowcount
        for table in tables.metadata.sorted_tables
        for key in table.foreign_keys
        if key.ondelete == "CASCADE"
    )
