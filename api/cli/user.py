"""accord-api user."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing

import click

from api.cli.groups import Group
from api.cli.operator import Operator, at_work, database_option
from api.cli.output import say


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


@_simple("unlock", "Forget an account's failed logins, so that it can log in at once.", "Unlocked {name}.")
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
