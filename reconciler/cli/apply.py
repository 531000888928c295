"""accord apply."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.exits import ERROR, OK
from reconciler.cli.options import (
    as_given,
    database_option,
    end_override_option,
    override_options,
    read_overrides,
    repository_options,
    utc_now,
    welcome_option,
)

if TYPE_CHECKING:
    from reconciler.run.applying import Order
    from reconciler.run.deployment import Deployment


@click.command(
    "apply",
    epilog="""\b
Examples:
  accord apply                                      # show the plan and ask
  accord apply --yes                                # in CI, on merge
  accord apply plan.json --yes                      # apply exactly the saved plan
  accord apply --yes --no-welcome                   # a lost database is built again: mail nobody
  accord apply --yes --override deletions --reason "team was dissolved, CHG-1234"
  accord apply --yes --override separation-of-duties --override-until "$(date -d "+30 days" +%F)" \\
      --reason "while Grace is away"              # remembered, for the same people
  accord apply --yes --end-override separation-of-duties --reason "Grace is back"

\b
Exit codes: 0 applied, or nothing to do; 1 error; 3 invalid configuration; 4 refused by
a guard, or a rewind; 5 stale plan; 6 repository or database unreachable. Unless the
code is 0, nothing was changed, or the message says that it is unknown (6).
""",
)
@click.argument("planfile", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@repository_options
@database_option
@click.option("--rev", metavar="REV", help="The revision to apply [default: the branch's head].")
@click.option("--yes", is_flag=True, help="Apply without asking.")
@override_options
@end_override_option
@click.option("--digest", metavar="DIGEST", help="Apply the plan only if it has this digest.")
@click.option(
    "--adopt", is_flag=True, help="Take over rows that Git never declared, and delete those this revision does not declare."
)
@click.option("--allow-rewind", is_flag=True, help="Accept a revision that does not descend from the applied one.")
@welcome_option
def command(
    planfile: Path | None,
    repository: str | None,
    branch: str | None,
    path: str | None,
    database: str | None,
    rev: str | None,
    yes: bool,
    overrides: tuple[str, ...],
    reason: str | None,
    override_until: datetime | None,
    ending: tuple[str, ...],
    digest: str | None,
    adopt: bool,
    allow_rewind: bool,
    no_welcome: bool,
) -> int:
    """Bring the database into accord with a revision, in one transaction: all of it or nothing.

    Applying the same revision again changes nothing, except that --end-override ends overrides.
    """
    from reconciler.cli.output import keep, say
    from reconciler.cli.reports import load_plan, reporting_problems, showing_refused, write_outcome
    from reconciler.plan.render.text import override_hint
    from reconciler.progress import progress_bar
    from reconciler.run.applying import Order, apply_revision
    from reconciler.run.deployment import current_user, read_deployment, shown_database

    given = read_overrides(overrides, reason, override_until, ending)
    where = {"repository": repository, "branch": branch, "path": path}
    deployment, named = read_deployment({**where, "database_url": database}), as_given(**where, database=database)
    saved = None if planfile is None else load_plan(planfile)
    order = Order(rev, adopt, allow_rewind, given, digest, saved, not no_welcome, ending, reason or "")
    with reporting_problems():
        agreed = order if yes else _asked(deployment, order, named)
        if agreed is None:
            say("Nothing was changed.")
            return ERROR
        with (
            showing_refused(lambda plan: override_hint(plan, named)),
            progress_bar("Reading") as reading,
            progress_bar("Applying") as writing,
        ):
            outcome = apply_revision(
                deployment, agreed, applied_by=current_user(), clock=utc_now, progress=writing, reading_progress=reading
            )
    keep(outcome)
    done = "Applied" if outcome.revision_id is not None else "Already applied"
    write_outcome(outcome.plan, f"{done} {outcome.plan.revision.commit[:12]} to {shown_database(deployment)}")
    return OK


def _asked(deployment: Deployment, order: Order, named: str = "") -> Order | None:
    """Show the plan and ask; return an order for exactly that plan, or None if the answer is no."""
    from reconciler.cli.output import agreed
    from reconciler.cli.reports import write_plan
    from reconciler.plan.render.document import plan_digest
    from reconciler.run.planning import plan_revision

    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on; use --yes to apply without asking")
    rev = order.rev if order.saved is None else order.saved["revision"]["commit"]
    plan = plan_revision(
        deployment,
        rev,
        now=utc_now(),
        merging=False,
        adopt=order.adopt,
        allow_rewind=order.allow_rewind,
        welcome=order.welcome,
        ending=order.ending,
    )
    write_plan(plan, "text", given=named)
    if (plan.changes or plan.ended) and not agreed("Apply this?"):
        return None
    shown = order._replace(expected=order.expected or plan_digest(plan))
    return shown if order.saved is not None else shown._replace(rev=plan.revision.commit)
