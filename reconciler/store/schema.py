"""Checks and upgrades the version of the tables."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import inspect, text

from reconciler.store.engine import Connection, Database
from reconciler.store.errors import DatabaseCorrupt, SchemaMissing, SchemaOutdated, SchemaTooNew
from reconciler.store.tables import metadata
from reconciler.wording.text import printable

_OURS = frozenset({"state", "audit", "revisions", "memberships"})
"""Tables of every version. Other programs also use Alembic, and count their versions in a table of the same name."""
_COUNTED = ("audit", "revisions")
"""Tables whose rows Accord numbers itself, without a gap."""
HEAD = "0021"
"""The newest migration, kept here so that checking does not import Alembic; a test compares the two."""


def current(database: Database) -> str | None:
    """Return the version of the tables, or None without tables. Raises DatabaseUnreachable if the database does not answer."""
    database.require_place()
    if database.is_missing_file:
        return None
    with database.reading() as connection:
        return _current(connection)


def _current(connection: Connection) -> str | None:
    present = set(inspect(connection).get_table_names())
    if "alembic_version" in present:
        versions = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
        if present.issuperset(_OURS) and len(versions) == 1 and re.fullmatch("[0-9]{4}", versions[0]):
            return str(versions[0])
        if versions or not present.issuperset(_OURS):  # tables of Accord's without a version are answered below
            raise DatabaseCorrupt(
                "the database belongs to another program, which keeps its own version in the table `alembic_version` "
                f"({printable(', '.join(versions)) or 'empty'}); nothing was changed. Accord needs a database of its own"
            )
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


def upgrade(database: Database) -> list[str]:
    """Upgrade the tables to the version that this Accord needs, in one transaction, if necessary. Raises SchemaTooNew.

    Return the tables whose sequences were behind.
    """
    with database.writing() as connection:
        found = _current(connection)
        if found is not None and found > HEAD:
            raise _too_new(database, found)
        _migrate(connection)
        return (
            [] if database.is_sqlite else list(filter(lambda table: _mend_sequence(connection, table), sorted(metadata.tables)))
        )


def _mend_sequence(connection: Connection, table: str) -> bool:
    """Set a table's sequence after its rows; tell whether it was behind. Logical replication copies rows, and no sequences."""
    if "id" not in metadata.tables[table].columns or table in _COUNTED:
        return False
    sequence = f"pg_get_serial_sequence('{table}', 'id')"
    behind = text(
        f"SELECT setval({sequence}, newest) FROM (SELECT max(id) AS newest FROM {table}) AS rows "
        f"WHERE {sequence} IS NOT NULL AND newest > coalesce(pg_sequence_last_value({sequence}::regclass), 0)"
    )
    return connection.execute(behind).first() is not None


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
