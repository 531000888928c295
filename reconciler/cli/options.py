"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def repository_options(function: F) -> F:
    """Add the options that locate the config repository."""
    for option in (
        click.option(
            "--path",
            metavar="FOLDER",
            help="The folder in the repository that contains the resources [default: the root].",
        ),
        click.option("--branch", metavar="NAME", help="The branch whose head is the desired state [default: main]."),
        click.option("--repository", metavar="LOCATION", help="The config repository: a path or a remote URL [default: .]."),
    ):
        function = option(function)
    return function


def database_option(function: F) -> F:
    """Add the option that locates the database."""
    return click.option(
        "--database",
        metavar="URL",
        help="The database: sqlite:///FILE or postgresql://… [default: sqlite:///accord.db]. "
        "Append `?timeout=SECONDS` to set how long to wait for another writer [default: 30].",
    )(function)


def format_option(*formats: str) -> Callable[[F], F]:
    """Add the option for the output format; the first format is the default."""
    return click.option(
        "--format", "format_", type=click.Choice(formats), default=formats[0], show_default=True, help="The output format."
    )


def override_options(function: F) -> F:
    """Add the options that override guards; see `check_overrides`."""
    for option in (
        click.option("--reason", help="Why guards are overridden; recorded in the audit log."),
        click.option(
            "--override",
            "overrides",
            multiple=True,
            metavar="GUARD",
            help="Proceed although this guard refuses. May be repeated.",
        ),
    ):
        function = option(function)
    return function


def check_overrides(overrides: tuple[str, ...], reason: str | None) -> None:
    """Raise UsageError unless each guard exists and overriding comes with a reason that can be recorded."""
    from reconciler.plan.guards import GUARDS
    from reconciler.wording.nearest import did_you_mean

    for guard in overrides:
        if guard not in GUARDS:
            raise click.UsageError(
                f"there is no guard `{guard}`{did_you_mean(guard, GUARDS) or '; the guards are ' + ', '.join(GUARDS)}"
            )
    if overrides and not (reason and reason.strip()):
        raise click.UsageError("--override needs --reason, which is recorded in the audit log")
    if reason and any("\ud800" <= char <= "\udfff" for char in reason):  # bytes that Python could not decode
        raise click.UsageError("--reason must be UTF-8, because it is recorded in the audit log")


class Instant(click.ParamType[datetime]):
    """An RFC 3339 instant, or a date, which means the end of that day in UTC."""

    name = "INSTANT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse the option's value."""
        from reconciler.access.instants import parse_instant

        if isinstance(value, datetime):
            return value
        try:
            return parse_instant(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def utc_now() -> datetime:
    """Return the current time; this program's only clock."""
    return datetime.now(UTC)
