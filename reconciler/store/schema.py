"""The version of the tables, and bringing them to this Accord's."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect

from reconciler.store.engine import Connection, Database
from reconciler.store.errors import DatabaseCorrupt, SchemaMissing, SchemaOutdated, SchemaTooNew
from reconciler.store.tables import metadata

HEAD = "0008"
"""The newest migration; a test keeps it equal to Alembic's. Here so that looking does not import Alembic."""


def current(database: Database) -> str | None:
    """The version of the tables, or None where there are none. Raises DatabaseUnreachable where it does not answer."""
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
    if found:  # to take it for an empty one would be to create everything anew
        raise DatabaseCorrupt(
            f"the database holds the table `{found[0]}`, and in `alembic_version` nothing says of which Accord it is: somebody "
            "deleted that, or it is another program's; restore a backup, or choose another database"
        )
    return None


def check(database: Database) -> None:
    """Raise SchemaMissing, SchemaOutdated or SchemaTooNew unless the tables are of this Accord's version."""
    found = current(database)
    if found is None:
        raise SchemaMissing(f"the database {database.shown} has no tables yet; `accord db upgrade` makes them")
    if found < HEAD:
        raise SchemaOutdated(
            f"the tables of {database.shown} are at {found}, and this Accord needs {HEAD}; run `accord db upgrade`"
        )
    if found > HEAD:
        raise _too_new(database, found)


def _too_new(database: Database, found: str) -> SchemaTooNew:
    return SchemaTooNew(
        f"the tables of {database.shown} are at {found}, made by a newer Accord than this ({HEAD}); upgrade Accord"
    )


def upgrade(database: Database) -> None:
    """Bring the tables to this Accord's version in one transaction; does nothing where they are. Raises SchemaTooNew."""
    with database.writing() as connection:
        found = _current(connection)
        if found is not None and found > HEAD:
            raise _too_new(database, found)
        _migrate(connection)


def create(connection: Connection) -> bool:
    """Make the tables in the caller's transaction, where there are none; says whether it did."""
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
