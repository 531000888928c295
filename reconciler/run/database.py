"""accord db: the version of the database's tables."""

from __future__ import annotations

from reconciler.run.deployment import Deployment
from reconciler.store import schema
from reconciler.store.engine import open_database
from reconciler.store.grants import reading_grants


def upgrade_database(deployment: Deployment) -> tuple[str | None, str, list[str]]:
    """Upgrade the tables to the version that this Accord needs.

    Return the version before (None: no tables) and after, and the tables whose sequences were behind.
    """
    with open_database(deployment.database_url) as database:
        before = schema.current(database)
        mended = schema.upgrade(database)
        return before, schema.HEAD, mended


def current_version(deployment: Deployment) -> str | None:
    """Return the version of the tables, or None if there are no tables."""
    with open_database(deployment.database_url, read_only=True) as database:
        return schema.current(database)


def check_database(deployment: Deployment) -> str:
    """Return the version of the tables. Raises StoreError unless this Accord needs that version."""
    with open_database(deployment.database_url, read_only=True) as database:
        schema.check(database)
        return schema.HEAD


def grants(role: str) -> list[str]:
    """Return the SQL that lets an account of PostgreSQL plan, but neither read secrets nor write."""
    return reading_grants(role)


def version_document(version: str | None) -> dict[str, str | None]:
    """Return the version of the tables, and the version that this Accord needs, as JSON data."""
    return {"version": version, "needed": schema.HEAD}
