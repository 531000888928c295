"""accord history."""

from __future__ import annotations

import click

from reconciler.cli.exits import OK
from reconciler.cli.options import database_option, format_option


@click.command(
    "history",
    epilog="""\b
Examples:
  accord history
  accord history --limit 5 --format json
""",
)
@database_option
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Show only the newest N.")
@format_option("text", "json")
def command(database: str | None, limit: int | None, format_: str) -> int:
    """List applied revisions, newest first: when, by whom and with which overrides."""
    from reconciler.cli.output import say, write_json, write_lines
    from reconciler.cli.records import step_document, step_lines
    from reconciler.run.deployment import read_deployment
    from reconciler.run.history import history

    found = history(read_deployment({"database_url": database}), limit)
    if format_ == "json":
        write_json([step_document(step) for step in found])
    else:
        for step in found:
            write_lines(step_lines(step))
        if not found:
            say("No revision has been applied yet.")
    return OK
