"""accord db."""

from __future__ import annotations

import click

from reconciler.cli.exits import ERROR, OK
from reconciler.cli.options import database_option, format_option


@click.group(
    "db",
    epilog="""\b
Examples:
  accord db upgrade
  accord db current
  accord db check && echo "ready"
""",
)
def command() -> None:
    """Create, upgrade and check the database's tables."""


@command.command(
    epilog="""\b
Example:
  accord db upgrade --database postgresql://accord@localhost/accord
"""
)
@database_option
def upgrade(database: str | None) -> int:
    """Bring the tables to this Accord's version, in one transaction. Run it before a new version's first apply."""
    from reconciler.run.database import upgrade_database
    from reconciler.run.deployment import read_deployment

    before, after = upgrade_database(read_deployment({"database_url": database}))
    click.echo(f"The schema is at {after}" + (" already." if before == after else f" (was {before or 'not there'})."))
    return OK


@command.command(
    epilog="""\b
Example:
  accord db current
"""
)
@database_option
@format_option("text", "json")
def current(database: str | None, format_: str) -> int:
    """Print the version of the tables; exit with 1 where there are none."""
    from reconciler.cli.output import write_json
    from reconciler.run.database import current_version, version_document
    from reconciler.run.deployment import read_deployment

    version = current_version(read_deployment({"database_url": database}))
    if format_ == "json":
        write_json(version_document(version))
    else:
        click.echo(version or "There are no tables yet; `accord db upgrade` makes them.")
    return ERROR if version is None else OK


@command.command(
    epilog="""\b
Example:
  accord db check
"""
)
@database_option
@format_option("text", "json")
def check(database: str | None, format_: str) -> int:
    """Check that the database can be reached and has this Accord's tables."""
    from reconciler.cli.output import write_json
    from reconciler.run.database import check_database, version_document
    from reconciler.run.deployment import read_deployment

    version = check_database(read_deployment({"database_url": database}))
    if format_ == "json":
        write_json(version_document(version))
    else:
        click.echo(f"The schema is at {version}, as it should be.")
    return OK
