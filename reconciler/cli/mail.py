"""accord mail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.exits import ERROR, OK
from reconciler.cli.options import format_option, repository_options, utc_now
from reconciler.mail.variables import VARIABLES

if TYPE_CHECKING:
    from reconciler.plan.render.text import Line
    from reconciler.run.previewing import Preview


@click.group(
    "mail",
    epilog="""\b
Examples:
  accord mail preview welcome
  accord mail preview certificate-expiring --format html > mail.html
""",
)
def command() -> None:
    """Preview the mails that Accord sends. To see what is waiting to be sent, run `accord-api mail status`."""


@command.command(
    "preview",
    short_help="Preview one mail with sample values.",
    epilog="""\b
Examples:
  accord mail preview welcome                       # from the working folder
  accord mail preview welcome config                # from another folder
  accord mail preview certificate-issued --rev HEAD # from a revision of the repository
  accord mail preview welcome --format html > mail.html

Exit codes: 0 shown; 1 the template has errors.
""",
)
@click.argument("name", type=click.Choice([*VARIABLES]), metavar="NAME")
@click.argument("folder", required=False, metavar="[PATH]", type=click.Path(path_type=Path))
@repository_options
@click.option("--rev", metavar="REV", help="Read the template from this revision of the repository instead of a folder.")
@format_option("text", "html", "json")
def preview(
    name: str,
    folder: Path | None,
    repository: str | None,
    branch: str | None,
    path: str | None,
    rev: str | None,
    format_: str,
) -> int:
    """Preview one mail with sample values: welcome, password-reset, password-set, certificate-issued, certificate-expiring,
    token-expiring or token-minted.

    The mail uses the declared template, or the built-in one if there is no declared one. `--format html` writes only the
    HTML part.
    """
    from reconciler.cli.output import write_html, write_json, write_lines, write_problems
    from reconciler.progress import progress_bar
    from reconciler.run.deployment import cache_folder, read_deployment
    from reconciler.run.errors import InvalidConfiguration
    from reconciler.run.previewing import preview_folder, preview_revision
    from reconciler.run.validating import working_folder

    if rev is not None and folder is not None:
        raise click.UsageError("give a PATH or --rev, not both; --path names a folder inside the repository")
    deployment = read_deployment({"repository": repository, "branch": branch, "path": path})
    try:
        with progress_bar("Reading") as progress:
            if rev is not None:
                shown = preview_revision(deployment, rev, name, now=utc_now(), progress=progress)
            else:
                where = folder if folder is not None else working_folder(deployment)
                shown = preview_folder(where, cache_folder(deployment), name, now=utc_now(), progress=progress)
    except InvalidConfiguration as error:
        write_problems(error.problems)
        return ERROR
    write_problems(shown.warnings)
    if format_ == "json":
        write_json(_document(shown))
    elif format_ == "html":
        write_html(shown.rendered.html)
    else:
        write_lines(_lines(shown))
    return OK


def _lines(shown: Preview) -> Iterator[Line]:
    source = "the built-in template (no template is declared)" if shown.origin is None else str(shown.origin)
    yield "heading", f"Mail {shown.name}, from {source}"
    yield "dim", "with sample values; use --format html to see the HTML part"
    yield "plain", ""
    yield "plain", f"Subject: {shown.rendered.subject}"
    yield "plain", ""
    for line in shown.rendered.text.rstrip("\n").split("\n"):
        yield "plain", line


def _document(shown: Preview) -> dict[str, Any]:
    return {
        "name": shown.name,
        "source": None if shown.origin is None else str(shown.origin),
        "subject": shown.rendered.subject,
        "text": shown.rendered.text,
        "html": shown.rendered.html,
    }
