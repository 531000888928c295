"""accord-api token."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from api.cli.groups import Group
from api.cli.operator import at_work, database_option
from api.cli.output import say, say_json


@click.group(
    "token",
    cls=Group,
    epilog="""\b
Examples:
  accord-api token list alice
  accord-api token expiring --within 30d
  accord-api token revoke alice --all
""",
)
def command() -> None:
    """List and revoke API tokens and sessions."""


@command.command(
    "list",
    epilog="""\b
Examples:
  accord-api token list alice
  accord-api token list alice --format json
""",
)
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@database_option
def list_tokens(name: str, form: str, **options: str | None) -> None:
    """List an account's live API tokens and sessions, without their secrets."""
    from api.authentication import credentials
    from api.state import accounts
    from api.state.reader import Reader

    with at_work(options) as (_, database, __):
        with database.reading() as connection:
            account = accounts.require(accounts.find(connection, name), name)
        reader = Reader(database)
        found = [
            {"kind": kind, **each}
            for kind in ("token", "session")
            for each in credentials.list_credentials(reader, account.id, datetime.now(UTC), kind)
        ]
        reader.close()
    if form == "json":
        say_json(found)
        return
    for each in found:
        used = f"last used {each['lastUsedAt']} from {each['lastUsedAddress']}" if each["lastUsedAt"] else "never used"
        say(f"{each['id']}  {each['kind']:<7}  until {each['expiresAt']}  {used}  {each['name']}".rstrip())
    if not found:
        say(f"{name} has no live tokens or sessions.")


@command.command(
    "expiring",
    epilog="""\b
Examples:
  accord-api token expiring
  accord-api token expiring --within 30d --format json
""",
)
@click.option("--within", default="14d", show_default=True, metavar="DURATION", help="Such as 12h or 30d.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@database_option
def list_expiring(within: str, form: str, **options: str | None) -> None:
    """List the API tokens of all accounts that expire soon and have no successor."""
    from datetime import UTC, datetime

    from api import token_reminders
    from reconciler.access.instants import format_instant, parse_duration

    try:
        duration = parse_duration(within)
    except ValueError as error:
        raise click.UsageError(f"--within: {error}") from None
    with at_work(options) as operator, operator.database.reading() as connection:
        found = token_reminders.expiring(connection, datetime.now(UTC), duration)
    for each in found:
        for name in ("expiresAt", "lastUsedAt"):
            each[name] = each[name] and format_instant(each[name])
    if form == "json":
        say_json(found)
        return
    for each in found:
        used = f"last used {each['lastUsedAt']}" if each["lastUsedAt"] else "never used"
        say(f"{each['expiresAt']}  {each['account']}  {each['id']}  {used}  {each['name']}".rstrip())
    if not found:
        say(f"No token expires within {within}.")


@command.command(
    "revoke",
    epilog="""\b
Examples:
  accord-api token revoke alice 5f0c9d2b7a6e4c11
  accord-api token revoke alice --all
""",
)
@click.argument("name")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All tokens and sessions of the account.")
@database_option
def revoke_tokens(name: str, ids: tuple[str, ...], everything: bool, **options: str | None) -> None:
    """Revoke an account's tokens or sessions by their IDs, or all of them."""
    from api import administration

    if bool(ids) is everything:
        raise click.UsageError("name the IDs to revoke (`accord-api token list` shows them), or use --all")
    with at_work(options) as (_, __, authority):
        ended = administration.revoke_credentials(authority, name, None if everything else ids)
    say(f"Revoked {ended}.")
