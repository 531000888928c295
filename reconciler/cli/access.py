"""accord access."""

from __future__ import annotations

from datetime import datetime

import click

from reconciler.cli.exits import OK
from reconciler.cli.options import Instant, database_option, format_option, repository_options, utc_now


@click.command(
    "access",
    epilog="""\b
Examples:
  accord access                                 # everyone, now
  accord access --user alice
  accord access --issuer tls-public --at 2099-03-03T12:00:00Z
  accord access --team web-platform --format json
  accord access --issuer tls-public --at 2026-03-03   # as it stood then, and under which commit
  accord access --revision 3f2a1c9
""",
)
@repository_options
@database_option
@click.option("--user", metavar="NAME", help="Show only this user's access.")
@click.option("--issuer", metavar="NAME", help="Show only access to this issuer.")
@click.option("--team", metavar="NAME", help="Show only access through this team.")
@click.option(
    "--at",
    type=Instant(asked_about=True),
    help="Show access at this instant, past or future; a date means the end of that day in UTC [default: now].",
)
@click.option("--revision", metavar="SHA", help="Show access as it stood under this applied revision.")
@format_option("text", "json")
def command(
    repository: str | None,
    branch: str | None,
    path: str | None,
    database: str | None,
    user: str | None,
    issuer: str | None,
    team: str | None,
    at: datetime | None,
    revision: str | None,
    format_: str,
) -> int:
    """Show who may use which issuer, through which teams and until when.

    For an instant in the past, Accord reads the revision that was in force then from the config repository.
    """
    from reconciler.cli.output import write_json, write_lines
    from reconciler.plan.render.access import access_lines
    from reconciler.plan.render.document import access_document
    from reconciler.run.access import Question, answer
    from reconciler.run.deployment import read_deployment

    deployment = read_deployment({"repository": repository, "branch": branch, "path": path, "database_url": database})
    found = answer(deployment, Question(user, issuer, team, at, revision), now=utc_now())
    if format_ == "json":
        write_json([access_document(access) for access in found.access])
    else:
        write_lines(
            access_lines(found.access, found.at, None if found.applied is None else found.applied.revision, past=found.past)
        )
    return OK
