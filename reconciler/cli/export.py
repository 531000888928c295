"""accord export."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.exits import OK
from reconciler.cli.options import database_option


@click.command(
    "export",
    epilog="""\b
Examples:
  accord export config --database postgresql://accord@localhost/accord
  git -C config init -b main && git -C config add -A && git -C config commit -m "As it stands"
  accord plan --repository config      # no changes
  accord apply --repository config --yes --adopt
""",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@database_option
def command(folder: Path, database: str | None) -> int:
    """Write the database's declared facts as a config repository into DIR, which must be empty.

    This is how an existing installation is adopted: export, commit, plan (no changes), apply --adopt.
    """
    from reconciler.run.deployment import read_deployment
    from reconciler.run.exporting import export_database

    written = export_database(read_deployment({"database_url": database}), folder)
    click.echo(f"Wrote {written:,} files to {folder}.")
    return OK
