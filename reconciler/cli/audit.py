"""accord audit."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from reconciler.cli.exits import ERROR, OK
from reconciler.cli.options import Instant, database_option, format_option


@click.group(
    "audit",
    epilog="""\b
Examples:
  accord audit list --kind Team --name web-platform
  accord audit verify
  accord audit export > audit.jsonl && accord audit verify audit.jsonl
""",
)
def command() -> None:
    """List, verify and export the audit log, in which each entry contains the hash of the one before."""


@command.command(
    "list",
    epilog="""\b
Examples:
  accord audit list --limit 20
  accord audit list --kind User --name alice --format json
  accord audit list --since 2026-03-01T00:00:00Z
""",
)
@database_option
@click.option("--kind", metavar="KIND", help="Show only entries about resources of this kind.")
@click.option("--name", metavar="NAME", help="Show only entries about resources with this name.")
@click.option("--since", type=Instant(), help="Show only entries from this instant on.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Show only the newest N.")
@format_option("text", "json")
def list_entries(
    database: str | None, kind: str | None, name: str | None, since: datetime | None, limit: int | None, format_: str
) -> int:
    """List entries, oldest first: when, who and what."""
    from reconciler.access.resources import KINDS
    from reconciler.cli.output import write_json, write_lines
    from reconciler.cli.records import entry_document, entry_lines
    from reconciler.run.auditing import entries
    from reconciler.run.deployment import read_deployment
    from reconciler.wording.nearest import did_you_mean

    found = entries(read_deployment({"database_url": database}), since=since, kind=kind, name=name, limit=limit)
    if kind is not None and kind not in KINDS and not found:  # the log has entries about other things as well
        raise click.UsageError(f"there is no kind `{kind}`{did_you_mean(kind, KINDS) or '; the kinds are ' + ', '.join(KINDS)}")
    if format_ == "json":
        write_json([entry_document(entry) for entry in found])
    else:
        write_lines(line for entry in found for line in entry_lines(entry, dated=True))
    return OK


@command.command(
    "verify",
    epilog="""\b
Examples:
  accord audit verify
  accord audit verify --head 5b0f…      # check that it still contains this entry
  accord audit verify audit.jsonl       # an exported copy, without the database

Exit codes: 0 the chain is intact; 1 it is broken or unreadable; 6 database unreachable.
""",
)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@database_option
@click.option("--head", metavar="HASH", help="The hash of the last entry, as printed by an earlier run.")
@format_option("text", "json")
def verify(file: Path | None, database: str | None, head: str | None, format_: str) -> int:
    """Check the hash chain of the audit log in the database, or in FILE, written by `accord audit export`.

    In the database, the history of applied revisions must also match the log.
    """
    from reconciler.cli.output import say, write_json
    from reconciler.run.auditing import verify_database, verify_file
    from reconciler.run.deployment import read_deployment

    found = verify_database(read_deployment({"database_url": database}), head) if file is None else verify_file(file, head)
    broken = found.broken
    if format_ == "json":
        write_json({"entries": found.entries, "head": found.head, "broken": broken and broken._asdict()})
    elif broken is None:
        say(f"The audit log is intact: {found.entries:,} entries; the last hash is {found.head}")
    else:
        say(f"accord: the audit log is broken at entry {broken.id}: {broken.how}", err=True)
    return OK if broken is None else ERROR


@command.command(
    "export",
    epilog="""\b
Examples:
  accord audit export > audit.jsonl
""",
)
@database_option
def export(database: str | None) -> int:
    """Print every entry as a line of JSON, to keep and verify without the database."""
    from reconciler.cli.output import write_json_lines
    from reconciler.run.auditing import log_lines
    from reconciler.run.deployment import read_deployment

    write_json_lines(log_lines(read_deployment({"database_url": database})))
    return OK
