"""accord-api user."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import click

from api.cli.groups import Group
from api.cli.operator import Operator, at_work, database_option
from api.cli.output import say, say_json


@click.group(
    "user",
    cls=Group,
    epilog="""\b
Examples:
  accord-api user set-password alice
  accord-api user disable mallory
  accord-api user import-hashes users.htpasswd --dry-run
""",
)
def command() -> None:
    """Act on an account, for the first administrator and in emergencies. The audit log records it."""


@command.command(
    "set-password",
    epilog="""\b
Examples:
  accord-api user set-password alice
  pass accord/alice | accord-api user set-password alice --no-change-required
""",
)
@click.argument("name")
@click.option("--change-required/--no-change-required", default=True, show_default=True, help="At the next login.")
@click.option("--revoke-tokens/--keep-tokens", default=True, show_default=True, help="End its API tokens as well.")
@database_option
def set_password(name: str, change_required: bool, revoke_tokens: bool, **options: str | None) -> None:
    """Set an account's password, prompted for on a terminal, else the first line of standard input.

    Its sessions end, and so do its API tokens unless you keep them.
    """
    from api import administration
    from api.authentication.passwords import Passwords
    from api.settings import open_leaked
    from api.state.reader import Reader
    from api.state.snapshots import AccessKeeper

    with at_work(options) as (settings, database, authority):
        reader = Reader(database)
        policy = AccessKeeper(reader).now().policies.passwords
        reader.close()
        hasher = Passwords(settings.hashes, leaked=open_leaked(settings))
        new = _read_password()
        administration.set_password(
            authority, hasher, policy, name, new, change_required=change_required, revoke_tokens=revoke_tokens
        )
    say(f"Set the password of {name}." + (" It must be changed at the next login." if change_required else ""))


def _read_password() -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.ClickException("the password on standard input is not UTF-8") from None


def _simple(name: str, summary: str, said: str) -> Callable[[Callable[[Operator, str], None]], None]:
    def decorate(act_on: Callable[[Operator, str], None]) -> None:
        @command.command(name, help=summary, epilog=f"\b\nExample:\n  accord-api user {name} alice\n")
        @click.argument("name")
        @database_option
        def run_it(name: str, **options: str | None) -> None:
            with at_work(options) as operator:
                act_on(operator, name)
            say(said.format(name=name))

    return decorate


@_simple("unlock", "Forget an account's failed logins, so that none of them makes the next login wait.", "Unlocked {name}.")
def _unlock(operator: Operator, name: str) -> None:
    from api import administration
    from api.directory.domains import Domains

    with closing(Domains(operator.settings.directories)) as domains:
        administration.unlock(operator.authority, name, domains.guid_of)


@_simple(
    "require-password-change",
    "Require a new password at the next login. Its sessions and tokens end.",
    "{name} must change the password at the next login.",
)
def _require(operator: Operator, name: str) -> None:
    from api import administration

    administration.require_password_change(operator.authority, name)


@_simple("disable", "Disable an account at once. Its sessions and tokens end.", "Disabled {name}.")
def _disable(operator: Operator, name: str) -> None:
    from api import administration

    administration.set_disabled(operator.authority, name, True)


@_simple("enable", "Undo `disable`. If Git or a directory has disabled the account, it stays disabled.", "Enabled {name} again.")
def _enable(operator: Operator, name: str) -> None:
    from api import administration

    administration.set_disabled(operator.authority, name, False)


_SHOWN = 20
"""Errors of a file of hashes that are written."""


@command.command(
    "import-hashes",
    epilog="""\b
Examples:
  accord-api user import-hashes users.htpasswd --dry-run
  accord-api user import-hashes users.htpasswd
  ./export-users | accord-api user import-hashes - --replace --require-change
""",
)
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--replace", is_flag=True, help="Replace passwords that accounts have already.")
@click.option("--require-change", is_flag=True, help="Require a new password at the next login.")
@click.option(
    "--revoke-tokens/--keep-tokens",
    default=True,
    show_default=True,
    help="End the API tokens of accounts whose password is replaced.",
)
@click.option("--dry-run", is_flag=True, help="Check everything, and change nothing.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@database_option
def import_hashes(
    file: str, replace: bool, require_change: bool, revoke_tokens: bool, dry_run: bool, form: str, **options: str | None
) -> None:
    """Take over the bcrypt hashes of accounts' passwords, all or none, from a file or, with `-`, from standard input.

    It has a line `NAME:HASH` for each account, as `htpasswd -B` writes it, or is a JSON object, `{"NAME": "HASH"}`.

    People log in with the passwords that they have, which are then hashed anew. Accounts that have a password here are refused
    unless you replace it: then their sessions end, and so do their API tokens unless you keep them. Until the last of these
    hashes is gone, every login takes as long as with the costliest: at cost 10 a tenth of a second longer, at 14, the highest
    that is accepted, a second.
    """
    from api import administration
    from api.authentication import hash_files
    from api.state.reader import Reader
    from reconciler.progress import progress_bar
    from reconciler.wording.text import count

    shown = "standard input" if file == "-" else file
    try:
        found = hash_files.read(_read_hashes(file, hash_files.LONGEST_FILE))
    except hash_files.Unreadable as error:
        raise click.ClickException(f"{shown} {error}") from None
    terms = administration.HashImport(replace, require_change, revoke_tokens, dry_run)
    try:
        with at_work(options) as (_, database, authority), progress_bar("Taking over") as progress:
            done = administration.import_hashes(authority, Reader(database), found, terms, progress=progress)
    except administration.HashesRefused as refused:
        lines = [f"{shown}, {found.word} {each.number:,}: {each.message}" for each in refused.faults[:_SHOWN]]
        more = len(refused.faults) - _SHOWN
        lines += [f"and {count(more, 'more error')}"] if more > 0 else []
        raise click.ClickException("\n".join([f"{refused}:", *lines])) from None
    if form == "json":
        say_json({"dryRun": dry_run, "accounts": [administration.described(each) for each in done]})
        return
    replaced = sum(each.replaced for each in done)
    say(
        f"{'Would take' if dry_run else 'Took'} over the {count(len(done), 'password hash', 'password hashes')} of {shown}"
        + (f", {replaced:,} in place of another password." if replaced else ".")
    )


def _read_hashes(file: str, longest: int) -> bytes:
    """The content of a file, or one byte more than it may have. Raises ClickException or OSError."""
    if file == "-":
        return sys.stdin.buffer.read(longest + 1)
    if "$2" in file:
        raise click.ClickException("name a file, not a hash: others on this host can read arguments")
    with Path(file).open("rb") as opened:
        about = os.fstat(opened.fileno())
        if stat.S_ISREG(about.st_mode) and about.st_mode & stat.S_IRWXO:
            raise click.ClickException(
                f"everybody on this host can open {file}, which holds password hashes; first `chmod o= {file}`"
            )
        return opened.read(longest + 1)
