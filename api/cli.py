"""`accord-api`: serve the API, and what an operator does on the host itself."""

from __future__ import annotations

import getpass
import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

import click
import orjson

from api.errors import Problem
from api.settings import Misconfigured, Settings, read_settings
from reconciler import __version__
from reconciler.store.audit import append
from reconciler.store.engine import Database, open_database
from reconciler.store.errors import DatabaseUnreachable, StoreError

ERROR, UNREACHABLE, INTERRUPTED = 1, 6, 130
_database = click.option(
    "--database", "database_url", metavar="URL", help="The database; else ACCORD_DATABASE_URL, else sqlite:///accord.db."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="accord-api")
def accord_api() -> None:
    """Accord at runtime: logins, tokens and decisions.

    \b
    Examples:
      accord-api serve --listen 127.0.0.1:8080
      accord-api user set-password alice
      accord-api token list alice

    \b
    Exit codes: 0 done; 1 error; 6 database unreachable; 130 interrupted.
    """


@accord_api.command()
@_database
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; else ACCORD_LISTEN, else 127.0.0.1:8080.")
@click.option("--server", type=click.Choice(["waitress", "granian"]), default="waitress", show_default=True)
@click.option("--threads", help="Threads that answer; else ACCORD_THREADS, else 8.")
@click.option("--workers", help="Processes, with granian; else ACCORD_WORKERS, else 1.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Else ACCORD_LOG_FORMAT, else text.")
@click.option("--verbose", is_flag=True, help="Log every request.")
def serve(server: str, verbose: bool, **options: str | None) -> None:
    """Serve the API until SIGTERM or Ctrl-C; accepted requests are finished.

    \b
    Examples:
      accord-api serve
      accord-api serve --server granian --workers 2 --listen 0.0.0.0:8080
      ACCORD_TRUSTED_PROXIES=10.0.0.0/8 accord-api serve --log-format json
    """
    from api import logs
    from api import server as servers

    settings = read_settings(options)
    logs.configure(settings.log_format, logging.DEBUG if verbose else logging.INFO)

    def ready(url: str) -> None:
        logging.getLogger("accord.api").info("listening on %s", url)

    if server == "waitress":
        servers.serve_waitress(settings, ready)
        return
    os.environ.update({f"ACCORD_{name.upper()}": value for name, value in options.items() if value})
    try:
        servers.serve_granian(settings, ready)
    except ModuleNotFoundError:
        raise Misconfigured("granian needs the extra `fast`: pip install 'accord-access[fast]'") from None


@accord_api.group()
def user() -> None:
    """Act on an account, for the first administrator and for emergencies; the audit log says that you did."""


def _acting(options: dict[str, str | None]) -> tuple[Settings, Database, dict[str, Any]]:
    settings = read_settings(options)
    return settings, open_database(settings.database_url), {"actor": f"operator:{getpass.getuser()}", "now": datetime.now(UTC)}


@user.command("set-password")
@click.argument("name")
@click.option("--change-required/--no-change-required", default=True, show_default=True, help="At the next login.")
@_database
def set_password(name: str, change_required: bool, **options: str | None) -> None:
    """Set an account's password, asked for on a terminal, else the first line of standard input.

    \b
    Examples:
      accord-api user set-password alice
      pass accord/alice | accord-api user set-password alice --no-change-required
    """
    from api import accounts
    from api.access import AccessKeeper
    from api.authentication.passwords import Passwords
    from api.reader import Reader

    settings, database, act = _acting(options)
    policies = AccessKeeper(Reader(database)).now().policies
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    accounts.set_password(
        database, Passwords(settings.hashes), policies.passwords, name, password, change_required=change_required, **act
    )
    click.echo(f"Set the password of {name}." + (" It must be changed at the next login." if change_required else ""))


def _simple(command: str, help_text: str, said: str) -> Callable[[Callable[..., None]], None]:
    def decorate(act: Callable[..., None]) -> None:
        @user.command(command, help=f"{help_text}\n\n\b\nExample:\n  accord-api user {command} alice")
        @click.argument("name")
        @_database
        def run_it(name: str, **options: str | None) -> None:
            _, database, who = _acting(options)
            act(database, name, **who)
            click.echo(said.format(name=name))

    return decorate


@_simple("unlock", "Forget an account's failed logins, so that the next may follow at once.", "Unlocked {name}.")
def _unlock(*arguments: Any, **who: Any) -> None:
    from api import accounts

    accounts.unlock(*arguments, **who)


@_simple("require-password-change", "Ask for a new password at the next login.", "{name} must change the password next.")
def _require(*arguments: Any, **who: Any) -> None:
    from api import accounts

    accounts.require_password_change(*arguments, **who)


@_simple("disable", "Switch an account off at once; its sessions and tokens end.", "Disabled {name}.")
def _disable(database: Database, name: str, **who: Any) -> None:
    from api import accounts

    accounts.set_disabled(database, name, True, **who)


@_simple("enable", "Take `disable` back; what Git or a directory switched off stays off.", "Enabled {name} again.")
def _enable(database: Database, name: str, **who: Any) -> None:
    from api import accounts

    accounts.set_disabled(database, name, False, **who)


@accord_api.group()
def token() -> None:
    """List and revoke API tokens and sessions."""


@token.command("list")
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_database
def list_tokens(name: str, form: str, **options: str | None) -> None:
    """The live API tokens and sessions of an account; never a secret.

    \b
    Examples:
      accord-api token list alice
      accord-api token list alice --format json
    """
    from api import accounts
    from api.authentication import credentials
    from api.reader import Reader

    _, database, act = _acting(options)
    with database.reading() as connection:
        account = accounts.require(accounts.find(connection, name), name)
    found = [
        {"kind": kind, **each}
        for kind in ("token", "session")
        for each in credentials.list_credentials(Reader(database), account.id, act["now"], kind)
    ]
    if form == "json":
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    for each in found:
        used = f"last used {each['lastUsedAt']} from {each['lastUsedAddress']}" if each["lastUsedAt"] else "never used"
        click.echo(f"{each['id']}  {each['kind']:<7}  until {each['expiresAt']}  {used}  {each['name']}".rstrip())
    if not found:
        click.echo(f"{name} has no live token and no session.")


@token.command("revoke")
@click.argument("name")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All tokens and sessions of the account.")
@_database
def revoke_tokens(name: str, ids: tuple[str, ...], everything: bool, **options: str | None) -> None:
    """Revoke tokens or sessions of an account by their ids, or all of them.

    \b
    Examples:
      accord-api token revoke alice 5f0c9d2b7a6e4c11
      accord-api token revoke alice --all
    """
    from api import accounts
    from api.authentication import credentials

    if bool(ids) is everything:
        raise click.UsageError("name the ids to revoke (`accord-api token list`), or say --all")
    _, database, act = _acting(options)
    with database.recording() as connection:
        account = accounts.require(accounts.find(connection, name), name)
        ended: list[str] = []
        for each in ids or (None,):
            revoked = credentials.revoke(connection, account.id, act["now"], accessor=each)
            if each is not None and not revoked:
                raise click.ClickException(f"{name} has no live token or session `{each}`; nothing was revoked")
            ended += revoked
        events = credentials.revoked_events(name, ended, "operator")
        append(connection, events, at=act["now"], actor=act["actor"])
    click.echo(f"Revoked {len(ended)}.")


def main() -> NoReturn:
    """Run the program. No traceback reaches the user, unless ACCORD_DEBUG asks for it."""
    sys.exit(run(accord_api))


def run(command: Callable[..., Any]) -> int:  # noqa: PLR0911 - an exit code a kind of end
    """Run a command to its exit code."""
    try:
        command(standalone_mode=False, prog_name="accord-api")
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", INTERRUPTED)
    except click.ClickException as error:
        return _say(error.format_message(), ERROR)
    except DatabaseUnreachable as error:
        return _say(str(error), UNREACHABLE)
    except (StoreError, Misconfigured) as error:
        return _say(str(error), ERROR)
    except Problem as problem:
        return _say(problem.detail, ERROR)
    except OSError as error:
        return _say(f"cannot listen or write: {error.strerror}", ERROR)
    except Exception as error:
        if os.environ.get("ACCORD_DEBUG"):
            raise
        return _say(f"a fault of Accord's ({type(error).__name__}); ACCORD_DEBUG=1 shows where", ERROR)
    return 0


def _say(message: str, code: int) -> int:
    click.echo(f"accord-api: {message}", err=True)
    return code
