"""accord export."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.exits import INVALID, OK
from reconciler.cli.options import database_option, utc_now


@click.command(
    "export",
    epilog="""\b
Examples:
  accord export config --database postgresql://accord@localhost/accord
  git -C config init -b main && git -C config add -A && git -C config commit -m "As it stands"
  accord plan --repository config      # no changes
  accord apply --repository config --yes --adopt

Exit codes: 0 everything was written; 1 error; 3 rows that no resource can declare were left out and listed.
""",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@database_option
def command(folder: Path, database: str | None) -> int:
    """Write the declared facts in the database to DIR, which must be empty, as a config repository.

    The files are valid. Rows that no resource can declare, such as a user with an impossible address, are left out and listed.

    To adopt an existing installation: export, commit, plan (no changes), apply --adopt.
    """
    from reconciler.cli.output import say
    from reconciler.run.deployment import read_deployment
    from reconciler.run.exporting import export_database
    from reconciler.wording.text import printable

    written, flaws = export_database(read_deployment({"database_url": database}), folder, now=utc_now())
    for flaw in flaws:
        say(f"accord: left out {flaw.kind} {printable(flaw.name)}: {printable(flaw.reason)}", err=True)
    say(f"Wrote {written:,} files to {folder}.")
    return INVALID if flaws else OK
