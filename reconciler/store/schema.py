"""Checks and upgrades the version of the tables."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect

from reconciler.store.engine import Connection, Database
from reconciler.store.errors import DatabaseCorrupt, SchemaMissing, SchemaOutdated, SchemaTooNew
from reconciler.store.tables import metadata

HEAD = "0018"
"""The newest migration, kept here so that checking does not import Alembic; a test compares the two."""


def current(database: Database) -> str | None:
    """Return the version of the tables, or None without tables. Raises DatabaseUnreachable if the database does not answer."""
    if database.is_missing_file:
        return None
    with database.reading() as connection:
        return _current(connection)


def _current(connection: Connection) -> str | None:
    present = set(inspect(connection).get_table_names())
    if "alembic_version" in present:
        version: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        if version is not None:
            return version
    found = sorted(present & metadata.tables.keys())
    if found:  # it must not count as an empty database, to be filled anew
        raise DatabaseCorrupt(
            f"the database has the table `{found[0]}`, but no version in `alembic_version`: somebody deleted the version, or the "
            "table belongs to another program; restore a backup, or choose another database"
        )
    return None


def check(database: Database) -> None:
    """Raise SchemaMissing, SchemaOutdated or SchemaTooNew unless the tables have the version that this Accord needs."""
    found = current(database)
    if found is None:
        raise SchemaMissing(f"the database {database.shown} has no tables yet; create them with `accord db upgrade`")
    if found < HEAD:
        raise SchemaOutdated(
            f"the tables of {database.shown} are at {found}, but this version of Accord needs {HEAD}; run `accord db upgrade`"
        )
    if found > HEAD:
        raise _too_new(database, found)


def _too_new(database: Database, found: str) -> SchemaTooNew:
    return SchemaTooNew(
        f"the tables of {database.shown} are at {found}, from a newer version of Accord than this one ({HEAD}); upgrade Accord"
    )


def upgrade(database: Database) -> None:
    """Upgrade the tables to the version that this Accord needs, in one transaction, if necessary. Raises SchemaTooNew."""
    with database.writing() as connection:
        found = _current(connection)
        if found is not None and found > HEAD:
            raise _too_new(database, found)
        _migrate(connection)


def create(connection: Connection) -> bool:
    """Create the tables in the caller's transaction if there are none; tell whether it did."""
    if _current(connection) is not None:
        return False
    _migrate(connection)
    return True


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
