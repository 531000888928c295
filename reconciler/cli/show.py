"""accord show."""

from __future__ import annotations

import click

from reconciler.cli.exits import OK
from reconciler.cli.options import database_option, format_option


@click.command(
    "show",
    epilog="""\b
Examples:
  accord show 3f2a1c9
  accord show 3f2a1c9 --format json
""",
)
@click.argument("revision")
@database_option
@format_option("text", "json")
def command(revision: str, database: str | None, format_: str) -> int:
    """Show one applied revision: who applied it and when, what it changed, and which guards it overrode."""
    from reconciler.cli.output import write_json, write_lines
    from reconciler.cli.records import entry_document, entry_lines, step_document, step_lines
    from reconciler.run.deployment import read_deployment
    from reconciler.run.history import show

    step, entries = show(read_deployment({"database_url": database}), revision)
    if format_ == "json":
        write_json({**step_document(step), "entries": [entry_document(entry) for entry in entries]})
    else:
        write_lines(step_lines(step))
        for entry in entries:
            write_lines(entry_lines(entry))
    return OK
