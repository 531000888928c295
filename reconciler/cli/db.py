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
  accord db grants accord_plan | psql accord
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
    """Upgrade the tables to this version of Accord, in one transaction. Run it before the first apply of a new version.

    It also sets right the sequences that number rows, which are behind after a switch-over by logical replication.
    """
    from reconciler.cli.output import say
    from reconciler.run.database import upgrade_database
    from reconciler.run.deployment import read_deployment, shown_database

    deployment = read_deployment({"database_url": database})
    before, after, mended = upgrade_database(deployment)
    where = shown_database(deployment)
    if before == after:
        say(f"The schema of {where} is already at {after}.")
    else:
        say(f"The schema of {where} is now at {after} (before: {before or 'no tables'}).")
    if mended:
        say(f"Its sequences were behind the rows of {', '.join(mended)}, and were set right.")
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
    """Print the version of the tables; exit with 1 if there are no tables."""
    from reconciler.cli.output import say, write_json
    from reconciler.run.database import current_version, version_document
    from reconciler.run.deployment import read_deployment

    version = current_version(read_deployment({"database_url": database}))
    if format_ == "json":
        write_json(version_document(version))
    else:
        say(version or "There are no tables yet; create them with `accord db upgrade`.")
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
    """Check that the database is reachable and has the tables of this version of Accord."""
    from reconciler.cli.output import say, write_json
    from reconciler.run.database import check_database, version_document
    from reconciler.run.deployment import read_deployment

    version = check_database(read_deployment({"database_url": database}))
    if format_ == "json":
        write_json(version_document(version))
    else:
        say(f"The schema is up to date, at {version}.")
    return OK


@command.command(
    epilog="""\b
Examples:
  accord db grants accord_plan
  accord db grants accord_plan | psql accord
"""
)
@click.argument("role", metavar="ROLE")
def grants(role: str) -> int:
    """Print the SQL that lets the PostgreSQL account ROLE run the commands that only read, such as plan, drift and access.

    ROLE can read no password hash, token or session, and write nothing; anything else that it may do with these tables is
    revoked. The owner of the tables runs the SQL, and again after each `accord db upgrade`.
    """
    from reconciler.cli.output import say
    from reconciler.run.database import grants

    if not role.strip() or "\0" in role:
        raise click.UsageError("ROLE must be the name of a PostgreSQL account")
    for statement in grants(role):
        say(statement)
    return OK
