"""accord hook."""

from __future__ import annotations

import os

import click

from reconciler.cli.exits import ERROR, OK
from reconciler.cli.options import utc_now


@click.group(
    "hook",
    epilog="""\b
Examples:
  accord hook install             # check each commit in this clone
  accord hook run                 # what the hook does: check what is staged
  accord hook uninstall
""",
)
def command() -> None:
    """Make Git check what is about to be committed."""


_FOLDER = click.argument("folder", metavar="[DIR]", required=False, default=".")


@command.command(
    "install",
    epilog="""\b
Examples:
  accord hook install
  accord hook install config
""",
)
@_FOLDER
def install(folder: str) -> int:
    """Write a pre-commit hook into the clone in DIR [default: this folder].

    The hook runs `accord hook run`. It is in Git's own folder, where no branch can change it; linked work trees share it.
    Another hook is not overwritten.
    """
    from reconciler.cli.output import say
    from reconciler.source.hook import install_hook

    say(f"Git now checks each commit: {install_hook(folder)}")
    return OK


@command.command(
    "uninstall",
    epilog="""\b
Example:
  accord hook uninstall
""",
)
@_FOLDER
def uninstall(folder: str) -> int:
    """Remove the hook that `accord hook install` wrote."""
    from reconciler.cli.output import say
    from reconciler.source.hook import uninstall_hook

    removed = uninstall_hook(folder)
    say("There is no hook." if removed is None else f"Removed {removed}.")
    return OK


@command.command(
    "run",
    epilog="""\b
Examples:
  accord hook run
  accord hook run || exit 1       # in a hook of your own

Exit codes: 0 valid (there may be warnings); 1 errors.
""",
)
def run() -> int:
    """Check what is staged in this folder's clone, whatever else is in the folder, and report every problem."""
    from reconciler.cli.output import say, write_lines
    from reconciler.plan.render.problems import problem_lines, tally
    from reconciler.run.deployment import read_deployment
    from reconciler.run.validating import validate_staged
    from reconciler.wording.text import count

    hooks_own = os.environ.get("GIT_DIR", "."), os.environ.get("GIT_INDEX_FILE")  # of the commit that is being made
    found = validate_staged(read_deployment({}), *hooks_own, now=utc_now())
    write_lines(problem_lines(found.problems))
    say(f"{count(found.resources, 'resource')} in {count(found.files, 'file')}: {tally(found.problems)}")
    return ERROR if any(problem.severity == "error" for problem in found.problems) else OK
