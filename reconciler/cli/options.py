"""The options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def named(_ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty text, which a script's unset variable leaves and which would mean the default."""
    if value == "":
        raise click.UsageError(f"{param.opts[0]} is empty; name something, or leave the option out")
    return value


def repository_options(function: F) -> F:
    """Where the config repository is."""
    for option in (
        click.option(
            "--path",
            metavar="FOLDER",
            callback=named,
            help="The folder of the repository that holds the resources [default: its root].",
        ),
        click.option("--branch", metavar="NAME", callback=named, help="The branch whose head is desired [default: main]."),
        click.option(
            "--repository", metavar="LOCATION", callback=named, help="The config repository: a path or a remote URL [default: .]."
        ),
    ):
        function = option(function)
    return function


def database_option(function: F) -> F:
    """Where the database is."""
    return click.option(
        "--database",
        metavar="URL",
        callback=named,
        help="The database: sqlite:///FILE or postgresql://… [default: sqlite:///accord.db]. "
        "`?timeout=SECONDS` at its end: how long to wait for another writer [default: 30].",
    )(function)


def format_option(*formats: str) -> Callable[[F], F]:
    """How to write what was read; the first is the default."""
    return click.option(
        "--format", "format_", type=click.Choice(formats), default=formats[0], show_default=True, help="How to write the answer."
    )


def override_options(function: F) -> F:
    """Which guards are overridden, and why; see `check_overrides`."""
    for option in (
        click.option("--reason", help="Why guards are overridden; written to the audit log."),
        click.option(
            "--override", "overrides", multiple=True, metavar="GUARD", help="Go on although this guard refuses. May be repeated."
        ),
    ):
        function = option(function)
    return function


def check_overrides(overrides: tuple[str, ...], reason: str | None) -> None:
    """Raise UsageError unless guards are overridden by name, and with a reason that can be written down."""
    from reconciler.plan.guards import GUARDS
    from reconciler.wording.nearest import did_you_mean

    for guard in overrides:
        if guard not in GUARDS:
            raise click.UsageError(
                f"there is no guard `{guard}`{did_you_mean(guard, GUARDS) or '; there are ' + ', '.join(GUARDS)}"
            )
    if overrides and not (reason and reason.strip()):
        raise click.UsageError("--override needs --reason: it is written to the audit log")
    if reason and any("\ud800" <= char <= "\udfff" for char in reason):  # bytes that Python could not decode
        raise click.UsageError("--reason is not UTF-8; it is written to the audit log")


class Instant(click.ParamType[datetime]):
    """An RFC 3339 instant, or a date, which means its end in UTC."""

    name = "INSTANT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the option."""
        from reconciler.access.instants import parse_instant

        if isinstance(value, datetime):
            return value
        try:
            return parse_instant(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def utc_now() -> datetime:
    """The clock of this program."""
    return datetime.now(UTC)
