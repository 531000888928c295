"""accord-api user."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from api.cli.groups import Group
from api.cli.operator import at_work, database_option
from reconciler.store.engine import Database


@click.group(
    "user",
    cls=Group,
    epilog="""\b
Examples:
  accord-api user set-password alice
  accord-api user disable mallory
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
@database_option
def set_password(name: str, change_required: bool, **options: str | None) -> None:
    """Set an account's password, prompted for on a terminal, else the first line of standard input. Its sessions end."""
    from api import administration
    from api.authentication.passwords import Passwords
    from api.state.reader import Reader
    from api.state.snapshots import AccessKeeper

    with at_work(options) as (settings, database, act):
        reader = Reader(database)
        policy = AccessKeeper(reader).now().policies.passwords
        reader.close()
        hasher = Passwords(settings.hashes)
        administration.set_password(database, hasher, policy, name, _read_password(), change_required=change_required, **act)
    click.echo(f"Set the password of {name}." + (" It must be changed at the next login." if change_required else ""))


def _read_password() -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.ClickException("the password on standard input is not UTF-8") from None


def _simple(name: str, summary: str, said: str) -> Callable[[Callable[..., None]], None]:
    def decorate(act_on: Callable[..., None]) -> None:
        @command.command(name, help=summary, epilog=f"\b\nExample:\n  accord-api user {name} alice\n")
        @click.argument("name")
        @database_option
        def run_it(name: str, **options: str | None) -> None:
            with at_work(options) as (_, database, act):
                act_on(database, name, **act)
            click.echo(said.format(name=name))

    return decorate


@_simple("unlock", "Forget an account's failed logins, so that it can log in at once.", "Unlocked {name}.")
def _unlock(database: Database, name: str, **act: Any) -> None:
    from api import administration

    administration.unlock(database, name, **act)


@_simple(
    "require-password-change", "Require a new password at the next login.", "{name} must change the password at the next login."
)
def _require(database: Database, name: str, **act: Any) -> None:
    from api import administration

    administration.require_password_change(database, name, **act)


@_simple("disable", "Disable an account at once. Its sessions and tokens end.", "Disabled {name}.")
def _disable(database: Database, name: str, **act: Any) -> None:
    from api import administration

    administration.set_disabled(database, name, True, **act)


@_simple("enable", "Undo `disable`. If Git or a directory has disabled the account, it stays disabled.", "Enabled {name} again.")
def _enable(database: Database, name: str, **act: Any) -> None:
    from api import administration

    administration.set_disabled(database, name, False, **act)
