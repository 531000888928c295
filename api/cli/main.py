"""The `accord-api` program: finds the command, and turns every error into one message and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from api.cli.groups import Group
from api.cli.output import say
from reconciler import __version__
from reconciler.process import (
    ERROR,
    OK,
    UNREACHABLE,
    decide,
    finish,
    heed_signals,
    open_streams,
    say_interrupted,
    was_interrupted,
)
from reconciler.store.commit import forget

COMMANDS = {
    "serve": "Serve the API and deliver mail until SIGTERM or Ctrl-C.",
    "user": "Act on an account: its password, its failed logins, disabling it.",
    "token": "List and revoke API tokens and sessions.",
    "mail": "See which mail is waiting, retry it, send a test message.",
    "directory": "Examine the domain controllers, and find groups to map to teams.",
    "completion": "Print the shell completion script.",
}
_EPILOG = """\b
Examples:
  accord-api user set-password alice
  accord-api serve --listen 127.0.0.1:8080
  accord-api token list alice
  accord-api mail status

\b
Exit codes: 0 done; 1 error; 6 database unreachable or busy: try again; 130 interrupted; 143 terminated.
"""


class Commands(Group):
    """The commands by name. A command's module is imported only when it runs, so that help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order a newcomer needs them."""
        return list(COMMANDS)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Click would answer an interrupt with an empty line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise click.Abort from interrupt

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"api.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="accord-api")
def accord_api() -> None:
    """Accord at runtime: logins, tokens, decisions and mail, from the database that `accord` keeps in accord with Git.

    Settings come from options, from environment variables (ACCORD_DATABASE_URL, ACCORD_LISTEN and others) and from the TOML file
    named by ACCORD_CONFIG, in this order.
    """


def main() -> NoReturn:
    """Run the program. Users see no traceback unless ACCORD_DEBUG is set."""
    sys.excepthook = _show_traceback
    try:
        open_streams()
        heed_signals("accord-api")
        decide(run(accord_api))
    except KeyboardInterrupt:  # before `run`, or between two of its lines
        decide(say_interrupted())
    finish()


def run(command: Callable[..., Any]) -> int:  # noqa: PLR0911 - one return for each way to end
    """Run a command; its exit code."""
    forget()
    try:
        code = command(standalone_mode=False, prog_name="accord-api")
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        return say_interrupted()
    except click.ClickException as error:
        if error.format_message().startswith("Usage:"):  # a group without a command: its help is the message
            say(error.format_message(), err=True)
            return ERROR
        context = error.ctx if isinstance(error, click.UsageError) else None
        return _say(error.format_message() + (f"\nTry `{context.command_path} --help`." if context else ""), ERROR)
    except Exception as error:
        if was_interrupted():
            return say_interrupted()
        if os.environ.get("ACCORD_DEBUG"):
            raise
        return _explain(error)
    return code if isinstance(code, int) else OK


def _explain(error: Exception) -> int:
    from api.errors import Problem
    from api.settings import Misconfigured
    from reconciler.store.errors import StoreError

    if isinstance(error, StoreError) and error.again:
        return _say(str(error), UNREACHABLE)
    if isinstance(error, StoreError | Misconfigured | Problem):
        return _say(str(error), ERROR)
    if isinstance(error, OSError):
        return _say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", ERROR)
    return _say(f"internal error ({type(error).__name__}); set ACCORD_DEBUG=1 to see where", ERROR)


def _say(message: str, code: int) -> int:
    say(f"accord-api: {message}", err=True)
    return code


def _show_traceback(*error: Any) -> None:
    import traceback

    say("".join(traceback.format_exception(*error)).rstrip(), err=True)
