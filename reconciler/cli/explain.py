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
  accord explain alice tls-public --at 2099-03-03       # a date means its end in UTC
  accord explain alice tls-public --revision 3f2a1c9 --format json

Exit codes: 0 explained, whether the answer is yes or no; 1 error, such as a name that does not exist.
""",
)
@click.argument("user")
@click.argument("issuer")
@repository_options
@database_option
@click.option("--address", metavar="IP", help="Judge permitted IPs for a caller from this address, over the network.")
@click.option("--at", type=Instant(), help="At this instant, past or coming; a date means its end in UTC [default: now].")
@click.option("--revision", metavar="SHA", help="As it stood under this applied revision.")
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
    """Explain why USER may or may not use ISSUER: every way that leads there, and who declared each link of it.

    For a no, it says what is missing, and in which file it would have to be.
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
