"""Options that commands share."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from reconciler.plan.objections import Override

F = TypeVar("F", bound=Callable[..., Any])
LONGEST_OVERRIDE = timedelta(days=366)
"""How long an override can be remembered: what is meant to last longer is a setting."""


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


def as_given(**options: str | None) -> str:
    """Return the options that were given, to be given again. One with a password is left out: it belongs in no log."""
    from reconciler.source.location import without_credentials
    from reconciler.store.urls import masked

    public: dict[str, Callable[[str], str]] = {"repository": without_credentials, "database": lambda url: masked(url, url)}
    said = {name: value for name, value in options.items() if value and public.get(name, str)(value) == value}
    return " ".join(f"--{name} {shlex.quote(value)}" for name, value in said.items())


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


def welcome_option(function: F) -> F:
    """Add the option that withholds welcome mails."""
    return click.option(
        "--no-welcome",
        is_flag=True,
        help="Mail no password to people who are created, as when a lost database is built again. Give it to both the plan and "
        "its apply.",
    )(function)


class Instant(click.ParamType[datetime]):
    """An RFC 3339 instant, or a date, which means the end of that day in UTC: `asked_about`, its last instant."""

    name = "INSTANT"

    def __init__(self, *, asked_about: bool = False) -> None:
        self._asked_about = asked_about

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse the option's value."""
        from reconciler.access import instants

        if isinstance(value, datetime):
            return value
        try:
            return instants.parse_moment(value) if self._asked_about else instants.parse_instant(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def override_options(function: F) -> F:
    """Add the options that override guards; see `read_overrides`."""
    for option in (
        click.option(
            "--override-until",
            metavar="INSTANT",
            type=Instant(),
            help="Remember the override until this instant, or the end of this day in UTC, for the people and teams that the "
            "guard refuses now.",
        ),
        click.option("--reason", help="Why; recorded in the audit log."),
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


def end_override_option(function: F) -> F:
    """Add the option that ends remembered overrides."""
    return click.option(
        "--end-override",
        "ending",
        multiple=True,
        metavar="GUARD",
        help="Forget all remembered overrides of this guard; the plan is judged without them. May be repeated. Give it to both "
        "the plan and its apply.",
    )(function)


def read_overrides(
    guards: tuple[str, ...], reason: str | None, until: datetime | None, ending: tuple[str, ...] = ()
) -> list[Override]:
    """Return the overrides that the options give.

    Raises UsageError unless each guard exists, overriding and `ending` an override come with a reason that can be recorded, and
    an end can be kept.
    """
    from reconciler.plan.guards import GUARDS, LASTING
    from reconciler.plan.objections import Override
    from reconciler.wording.nearest import did_you_mean

    for guard in guards:
        if guard not in GUARDS:
            raise click.UsageError(
                f"there is no guard `{guard}`{did_you_mean(guard, GUARDS) or '; the guards are ' + ', '.join(GUARDS)}"
            )
        if until is not None and guard not in LASTING:
            raise click.UsageError(
                f"`{guard}` does not name people, so there is nobody to remember it for: leave out --override-until, "
                f"and override it for this plan. It is for {', '.join(LASTING)}"
            )
    if (guards or ending) and not (reason and reason.strip()):
        raise click.UsageError(
            f"{'--override' if guards else '--end-override'} needs --reason, which is recorded in the audit log"
        )
    if reason and any("\ud800" <= char <= "\udfff" for char in reason):  # bytes that Python could not decode
        raise click.UsageError("--reason must be UTF-8, because it is recorded in the audit log")
    if until is not None:
        _check_end(guards, until)
    return [Override(guard, reason or "", until) for guard in guards]


def _check_end(guards: tuple[str, ...], until: datetime) -> None:
    if not guards:
        raise click.UsageError("--override-until needs --override; name the guard")
    if until <= utc_now():
        raise click.UsageError("--override-until is in the past; leave it out to override for this plan only")
    if until > utc_now() + LONGEST_OVERRIDE:
        raise click.UsageError(
            f"--override-until is more than {LONGEST_OVERRIDE.days} days ahead; "
            "if it is meant to stay, change the settings of the guard instead"
        )


def utc_now() -> datetime:
    """Return the current time; this program's only clock."""
    return datetime.now(UTC)
