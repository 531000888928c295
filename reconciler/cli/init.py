"""accord init."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from reconciler.cli.exits import OK


@click.command(
    "init",
    epilog="""\b
Examples:
  accord init config --administrator alice --email alice@example.org
  cd config && git init -b main && accord hook install
  git add -A && git commit -m "Who may use what" && accord plan
""",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--administrator", metavar="NAME", help="The first administrator's login name [default: ask on the terminal].")
@click.option(
    "--email",
    metavar="ADDRESS",
    help="The address that receives the administrator's first password [default: ask on the terminal].",
)
@click.option("--full-name", metavar="TEXT", help="The administrator's full name.")
def command(folder: Path, administrator: str | None, email: str | None, full_name: str | None) -> int:
    """Create a starter config repository in DIR, which must be new or empty (it may contain .git).

    It has a resource of each kind, CODEOWNERS, CI workflows for GitHub Actions and GitLab, and the
    schemas for editors.
    """
    from reconciler.cli.output import say
    from reconciler.source.starter import write_starter

    name = administrator or _ask("The first administrator's login name", "--administrator")
    address = email or _ask("The administrator's e-mail address", "--email")
    written = write_starter(folder, name, address, full_name)
    say(f"Wrote {len(written):,} files to {folder}. Next:")
    say(f"  cd {folder} && git init -b main && accord hook install")
    say('  git add -A && git commit -m "Who may use what" && accord plan')
    return OK


def _ask(question: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"{option} is required: there is no terminal to ask on")
    return str(click.prompt(question))
