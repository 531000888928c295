"""accord explain."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from reconciler.cli.exits import OK
from reconciler.cli.options import Instant, database_option, format_option, repository_options, utc_now

if TYPE_CHECKING:
    from reconciler.access.permitted_ips import Address


@click.command(
    "explain",
    epilog="""\b
Examples:
  accord explain alice tls-public
  accord explain alice tls-public --address 10.20.1.7
  accord explain alice tls-public --at 2099-03-03       # a date means the end of that day in UTC
  accord explain alice tls-public --revision 3f2a1c9 --format json

Exit codes: 0 explained, whether the answer is yes or no; 1 error, such as an unknown name.
""",
)
@click.argument("user")
@click.argument("issuer")
@repository_options
@database_option
@click.option("--address", metavar="IP", help="Check permitted IPs for a caller at this address, over the network.")
@click.option(
    "--at",
    type=Instant(asked_about=True),
    help="Answer for this instant, past or future; a date means the end of that day in UTC [default: now].",
)
@click.option("--revision", metavar="SHA", help="Answer as of this applied revision.")
@format_option("text", "json")
def command(
    user: str,
    issuer: str,
    repository: str | None,
    branch: str | None,
    path: str | None,
    database: str | None,
    address: str | None,
    at: datetime | None,
    revision: str | None,
    format_: str,
) -> int:
    """Explain why USER may or may not use ISSUER: every way to it, and who declared each link.

    If the answer is no, show what is missing and which file would have to declare it.
    """
    from reconciler.cli.explanation import explanation_document, explanation_lines
    from reconciler.cli.output import write_json, write_lines
    from reconciler.run.access import Question
    from reconciler.run.deployment import read_deployment
    from reconciler.run.explaining import explain

    deployment = read_deployment({"repository": repository, "branch": branch, "path": path, "database_url": database})
    caller = None if address is None else _address(address)
    found = explain(deployment, Question(user, issuer, None, at, revision), caller, now=utc_now())
    if format_ == "json":
        write_json(explanation_document(found))
    else:
        write_lines(explanation_lines(found))
    return OK


def _address(text: str) -> Address:
    from reconciler.access.permitted_ips import parse_address

    try:
        return parse_address(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
