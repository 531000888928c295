"""accord import."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from reconciler.cli.exits import INVALID, OK


@click.group(
    "import",
    epilog="""\b
Examples:
  accord import peribolos kubernetes/org/config config
""",
)
def command() -> None:
    """Make a config repository from another tool's configuration."""


@command.command(
    "peribolos",
    epilog="""\b
Examples:
  accord import peribolos org.yaml config
  accord import peribolos kubernetes/org/config config --minimum-permission admin --email-domain corp.example.org

Exit codes: 0 written; 1 error; 3 the files have errors. Unless the code is 0, nothing was written.
""",
)
@click.argument("source", metavar="PATH", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--minimum-permission",
    type=click.Choice(["write", "maintain", "admin"]),
    default="write",
    show_default=True,
    help="The lowest permission on a repository that lets people use its issuer.",
)
@click.option(
    "--email-domain",
    metavar="DOMAIN",
    default="example.org",
    show_default=True,
    help="The domain of the placeholder e-mail addresses; peribolos files contain no addresses.",
)
def peribolos(source: Path, folder: Path, minimum_permission: Literal["write", "maintain", "admin"], email_domain: str) -> int:
    """Convert a GitHub organisation's peribolos YAML, a file or a folder, into a config repository in DIR.

    Teams (including nested ones) and their members are kept; repositories become issuers.
    """
    from reconciler.cli.output import say, write_problems
    from reconciler.run.importing import import_organisation

    problems, written = import_organisation(source, folder, minimum_permission, email_domain)
    write_problems(problems)
    if written is None:
        say("accord: the files have errors; nothing was written", err=True)
        return INVALID
    say(f"Wrote {written:,} files to {folder}.")
    return OK
