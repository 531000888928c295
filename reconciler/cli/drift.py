"""accord drift."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, get_args

import click

from reconciler.cli.exits import CHANGES, ERROR, OK
from reconciler.cli.options import (
    as_given,
    database_option,
    format_option,
    override_options,
    read_overrides,
    repository_options,
    utc_now,
)

if TYPE_CHECKING:
    from reconciler.access.resources import Key
    from reconciler.plan.objections import Override
    from reconciler.plan.plan import Plan
    from reconciler.run.deployment import Deployment


@click.command(
    "drift",
    epilog="""\b
Examples:
  accord drift                                # what differs, and since when
  accord drift --format json
  accord drift --repair                       # repair everything; asks first
  accord drift --repair --only Team/web-platform --yes
  accord drift --patch > adopt.patch; git apply adopt.patch   # declare it in Git instead

\b
Exit codes: 0 no drift, or it was repaired; 1 error; 2 drift, or rows that Git never declared
give access; 3 invalid configuration; 4 a guard refuses the repair; 6 repository or database
unreachable.
""",
)
@repository_options
@database_option
@click.option("--repair", is_flag=True, help="Repair the database, in one transaction.")
@click.option("--patch", is_flag=True, help="Print a patch that makes the config repository declare what the database holds.")
@click.option(
    "--only", multiple=True, metavar="KIND/NAME", help="Look only at this resource, such as Team/web-platform. May be repeated."
)
@click.option("--yes", is_flag=True, help="Repair without asking.")
@override_options
@format_option("text", "json")
def command(
    repository: str | None,
    branch: str | None,
    path: str | None,
    database: str | None,
    repair: bool,
    patch: bool,
    only: tuple[str, ...],
    yes: bool,
    overrides: tuple[str, ...],
    reason: str | None,
    override_until: datetime | None,
    format_: str,
) -> int:
    """Show how the database differs from the applied revision, and since which audit entry.

    Resolve differences either way: --repair changes the database back, --patch prints the change to make in Git instead.
    """
    from reconciler.cli.output import say, write_json, write_lines, write_patch
    from reconciler.cli.records import drift_document, drift_lines, given_lines
    from reconciler.cli.reports import reporting_problems
    from reconciler.progress import progress_bar
    from reconciler.run.deployment import read_deployment
    from reconciler.run.drift import adopting, find_drift
    from reconciler.wording.text import printable

    if repair and patch:
        raise click.UsageError("--repair keeps what Git says, --patch keeps what the database says; choose one")
    given = read_overrides(overrides, reason, override_until)
    chosen = frozenset(map(_key, only)) or None
    where = {"repository": repository, "branch": branch, "path": path}
    deployment = read_deployment({**where, "database_url": database})
    named = " ".join(filter(None, [as_given(**where, database=database), *(f"--only {shlex.quote(each)}" for each in only)]))
    hint = partial(_hint, named)
    with reporting_problems():
        with progress_bar("Comparing") as progress:
            found = find_drift(deployment, chosen, overrides=overrides, now=utc_now(), progress=progress)
        if patch:
            text, flaws = adopting(deployment, found, now=utc_now())
            write_patch(text)
            for flaw in flaws:
                message = f"{flaw.kind} {printable(flaw.name)}: {printable(flaw.reason)}"
                say(f"accord: with this patch alone, the config is invalid: {message}", err=True)
            write_lines(given_lines(found.given), err=True)
        elif format_ == "json":
            write_json(drift_document(found))
        else:
            write_lines(drift_lines(found, repairing=hint(found.plan) if repair and found.plan is not None else ""))
        if repair and found.plan is not None:
            repaired = _repair(deployment, found.plan, yes, given, hint)
            return CHANGES if repaired == OK and any(found.given) else repaired
    return OK if found.is_none else CHANGES


def _key(text: str) -> Key:
    from reconciler.access.resources import Kind
    from reconciler.wording.nearest import did_you_mean

    kind, slash, name = text.partition("/")
    kinds = get_args(Kind)
    if not slash or not name:
        raise click.UsageError(f"`{text}` is not a resource; write its kind and name, such as `Team/web-platform`")
    if kind not in kinds:
        raise click.UsageError(f"there is no kind `{kind}`{did_you_mean(kind, kinds) or '; the kinds are ' + ', '.join(kinds)}")
    return kind, name  # type: ignore[return-value]  # checked above


def _hint(named: str, plan: Plan) -> str:
    """Say how to repair the same although guards refuse it; `named` holds the options that say what."""
    from reconciler.plan.render.text import override_options

    return f"if this is intended: {' '.join(filter(None, ['accord drift --repair', named, override_options(plan)]))}"


def _repair(deployment: Deployment, shown: Plan, yes: bool, overrides: list[Override], hint: Callable[[Plan], str]) -> int:
    """Repair exactly what was shown."""
    from reconciler.cli.output import agreed, say
    from reconciler.cli.reports import showing_refused, write_outcome
    from reconciler.run.deployment import current_user, shown_database
    from reconciler.run.drift import repair

    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on; use --yes to repair without asking")
    if not yes and not agreed("Repair this?"):
        say("Nothing was changed.")
        return ERROR
    with showing_refused(hint):
        outcome = repair(deployment, shown, overrides=overrides, applied_by=current_user(), clock=utc_now)
    write_outcome(outcome.plan, f"Repaired {shown_database(deployment)}, to match {outcome.plan.revision.commit[:12]}")
    return OK
