"""The answers of commands about proposals: one document or text, whatever happened."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from reconciler.cli.exits import OK, proposal_code
from reconciler.cli.output import write_json, write_lines, write_problems

if TYPE_CHECKING:
    from reconciler.run.proposal_failures import ProposalFailed
    from reconciler.run.workshop import Shown

Found = TypeVar("Found")


def write_shown(shown: Shown, format_: str) -> None:
    """Write a proposal with its plan."""
    from reconciler.cli.proposal_records import shown_document, shown_lines
    from reconciler.plan.render.text import plan_lines

    if format_ == "json":
        write_json(shown_document(shown))
        return
    write_lines(shown_lines(shown))
    plan = shown.plan or shown.comparison
    if plan is not None:
        write_lines(plan_lines(plan))


def answering(run: Callable[[], Found], write: Callable[[Found], None], format_: str) -> int:
    """Run the steps and write what came of them, or, as a document or text, why they failed; return the exit code."""
    from reconciler.run.proposal_failures import failure_of

    try:
        found = run()
    except click.ClickException:
        raise
    except Exception as error:
        if os.environ.get("ACCORD_DEBUG"):
            raise
        return _failed(failure_of(error), format_)
    write(found)
    return OK


def _failed(failed: ProposalFailed, format_: str) -> int:
    from reconciler.cli.proposal_records import failed_document, failed_lines

    if format_ == "json":
        write_json(failed_document(failed))
    else:
        write_problems(failed.problems)
        write_lines(failed_lines(failed), err=True)
    return proposal_code(failed.reason)
