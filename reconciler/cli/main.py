"""The `accord` program: finds the command and turns every error into one message and one exit code."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from reconciler import __version__
from reconciler.cli.exits import ERROR, OK, exit_code
from reconciler.process import decide, finish, heed_signals, is_done, open_streams, say_interrupted, was_interrupted
from reconciler.store.commit import forget

COMMANDS = {
    "init": "Create a starter config repository.",
    "validate": "Check a working folder or a revision and report all problems.",
    "fmt": "Bring files into the usual order and indentation.",
    "rename": "Rename a resource in all files that mention it.",
    "schemas": "Write or refresh the schemas for editors.",
    "hook": "Make Git check what is about to be committed.",
    "plan": "Show what applying a revision would change, and whose access it affects.",
    "apply": "Bring the database into accord with a revision, in one transaction.",
    "propose": "Turn a change into a commit on a branch, with its plan.",
    "proposals": "List, show or withdraw what was proposed.",
    "drift": "Show how the database differs from the applied revision.",
    "access": "Show who may use which issuer: now, at an instant or under a revision.",
    "explain": "Explain why a user may or may not use an issuer.",
    "history": "List applied revisions.",
    "show": "Show one applied revision: who, when and what.",
    "audit": "List, verify or export the hash-chained audit log.",
    "mail": "Preview a mail with sample values.",
    "export": "Write the declared facts in the database as a config repository.",
    "import": "Convert another tool's configuration into a config repository.",
    "db": "Create, upgrade and check the database's tables.",
    "completion": "Print a shell's completion script.",
}
_EPILOG = """\b
Examples:
  accord init config --administrator alice --email alice@example.org
  accord validate config
  accord plan --repository config --database sqlite:///accord.db
  accord apply --repository config --yes
  accord access --issuer tls-public
  accord explain alice tls-public

\b
Exit codes: 0 done, or nothing to do; 1 error; 2 changes (plan --detailed-exitcode)
or drift; 3 invalid configuration; 4 unsafe: refused by a guard, or a rewind;
5 stale plan; 6 repository or database unreachable or busy: try again; 7 the base that
a plan is compared with is invalid; 130 interrupted; 143 terminated.
"""


class Commands(click.Group):
    """The commands by name. Help stays quick because a command's module is imported only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List commands in the order of a first day with Accord, not alphabetically."""
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
        module = importlib.import_module(f"reconciler.cli.{'import_' if cmd_name == 'import' else cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for an unknown one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from reconciler.wording.nearest import did_you_mean

            raise click.UsageError(f"there is no command `{args[0]}`{did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.command(cls=Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="accord")
def accord() -> None:
    """Accord keeps who may use which certificate issuer in Git and applies it to a database.

    Settings come from options, from environment variables (ACCORD_REPOSITORY, ACCORD_BRANCH, ACCORD_PATH,
    ACCORD_DATABASE_URL) and from the TOML file that ACCORD_CONFIG names, in this order.
    """


def main() -> NoReturn:
    """Run the program. Show a traceback only if ACCORD_DEBUG is set."""
    gc.disable()  # a run is short and makes few cycles; scanning a million tuples for them takes seconds
    sys.excepthook = _show_traceback
    try:
        open_streams()
        heed_signals("accord")
        decide(run(accord))
    except KeyboardInterrupt:  # before `run`, or between two of its lines
        decide(say_interrupted())
    finish()


def run(command: Callable[..., Any]) -> int:  # noqa: PLR0911 - one return for each way to end
    """Run a command and return its exit code."""
    forget()
    try:
        code = command(standalone_mode=False, prog_name="accord")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        return say_interrupted()
    except click.UsageError as error:
        if error.format_message().startswith("Usage:"):  # a group without a command: its help is the message
            _say(error.format_message())
            return ERROR
        _say(f"accord: {error.format_message()}")
        if error.ctx is not None:
            _say(f"Try `{error.ctx.command_path} --help`.")
        return ERROR
    except click.ClickException as error:
        _say(f"accord: {error.format_message()}")
        return ERROR
    except Exception as error:
        if was_interrupted() or _came_of_interrupt(error):
            return say_interrupted()
        if os.environ.get("ACCORD_DEBUG"):
            raise
        code, message = exit_code(error)
        if is_done():  # whatever failed then, it is not what was asked
            code, message = OK, f"the change is made, but then: {message.replace('; nothing was changed', '')}"
        _say(f"accord: {message}")
        return code


def _say(text: str) -> None:
    from reconciler.cli.output import say

    say(text, err=True)


def _show_traceback(*error: Any) -> None:
    import traceback

    _say("".join(traceback.format_exception(*error)).rstrip())


def _came_of_interrupt(error: BaseException | None) -> bool:
    """Tell whether an error arose while handling Ctrl-C: an interrupted library may fail while cleaning up."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False
