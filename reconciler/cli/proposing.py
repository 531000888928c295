"""The answers of commands about proposals: one document or text, whatever happened."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from reconciler.cli.exits import OK, proposal_code
from reconciler.cli.output import write_json, write_lines, write_problems

if TYPE_CHECKING:
    from reconciler.run.proposing import Shown


def answering(run: Callable[[], Shown], format_: str) -> int:
    """Run the steps, write what came of them, and return the exit code. An error is an answer too."""
    from reconciler.cli.proposal_records import shown_document, shown_lines
    from reconciler.plan.render.text import plan_lines

    def shown() -> None:
        found = run()
        if format_ == "json":
            write_json(shown_document(found))
            return
        write_lines(shown_lines(found))
        plan = found.plan or found.comparison
        if plan is not None:
            write_lines(plan_lines(plan))

    return failing(shown, format_)


def failing(run: Callable[[], None], format_: str) -> int:
    """Run a command, and turn an error into a document or text, and into its exit code."""
    from reconciler.cli.proposal_records import failed_document, failed_lines
    from reconciler.run.proposal_failures import failure_of

    try:
        run()
    except click.ClickException:
        raise
    except Exception as error:
        if os.environ.get("ACCORD_DEBUG"):
            raise
        failed = failure_of(error)
        if format_ == "json":
            write_json(failed_document(failed))
        else:
            write_problems(failed.problems)
            write_lines(failed_lines(failed), err=True)
        return proposal_code(failed.reason)
    return OK
