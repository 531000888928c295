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
  accord import certdog export.json config --hashes users.htpasswd
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


@command.command(
    "certdog",
    epilog="""\b
Examples:
  accord import certdog export.json config
  accord import certdog export.json config --hashes users.htpasswd

Exit codes: 0 written; 1 error; 3 the file has errors. Unless the code is 0, nothing was written.
""",
)
@click.argument("source", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--hashes",
    metavar="NEW",
    type=click.Path(path_type=Path),
    help="Write the users' password hashes to this new file, for `accord-api user import-hashes`. Without it they are left out.",
)
def certdog(source: Path, folder: Path, hashes: Path | None) -> int:
    """Convert an export of the product that Accord succeeds, a JSON file, into a config repository in DIR.

    Users, teams and issuers keep the names and ids that their clients know; mail templates get Accord's values. The first apply
    mails users a password, unless their own is taken over by its hash.
    """
    from reconciler.cli.output import say, write_problems
    from reconciler.run.importing import import_predecessor
    from reconciler.wording.text import count

    problems, written = import_predecessor(source, folder, hashes)
    write_problems(problems)
    if written is None:
        say("accord: the file has errors; nothing was written", err=True)
        return INVALID
    say(f"Wrote {count(written.files, 'file')} to {folder}.")
    if hashes is not None:
        say(f"Wrote {count(written.hashes, 'password hash', 'password hashes')} to {hashes}, which only you can read.")
    return OK
