"""accord plan."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.exits import CHANGES, OK, UNSAFE
from reconciler.cli.options import (
    as_given,
    database_option,
    end_override_option,
    format_option,
    repository_options,
    utc_now,
    welcome_option,
)


@click.command(
    "plan",
    epilog="""\b
Examples:
  accord plan
  accord plan --working-tree                        # the files in the folder, before committing
  accord plan --rev feature --format markdown > comment.md
  accord plan --against origin/main --rev HEAD      # two revisions, no database
  accord plan --out plan.json && accord apply plan.json --yes
  accord plan --detailed-exitcode                   # 0 nothing to do, 2 changes

\b
Exit codes: 0 planned; 1 error; 2 changes, with --detailed-exitcode; 3 invalid configuration;
4 refused by a guard, or a rewind; 6 repository or database unreachable; 7 nothing to
compare with: the revision that --against names is invalid, this one is not.
""",
)
@repository_options
@database_option
@click.option("--rev", metavar="REV", help="The revision to plan [default: the branch's head].")
@click.option("--working-tree", is_flag=True, help="Plan the files in the folder, committed or not, instead of a revision.")
@click.option("--against", metavar="REV", help="Compare with this revision instead of a database.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan to this file, for `accord apply PLANFILE`."
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 if there are changes.")
@click.option(
    "--adopt", is_flag=True, help="Take over rows that Git never declared, and delete those this revision does not declare."
)
@click.option("--allow-rewind", is_flag=True, help="Accept a revision that does not descend from the applied one.")
@welcome_option
@end_override_option
@format_option("text", "markdown", "json")
@click.option(
    "--max-length",
    type=click.IntRange(min=5_000),
    metavar="CHARACTERS",
    help="How long Markdown may become; details shrink first "
    "[default: 65,000, so that GitHub takes it as a comment; in a job of GitLab 990,000].",
)
def command(
    repository: str | None,
    branch: str | None,
    path: str | None,
    database: str | None,
    rev: str | None,
    working_tree: bool,
    against: str | None,
    out: Path | None,
    detailed_exitcode: bool,
    adopt: bool,
    allow_rewind: bool,
    no_welcome: bool,
    ending: tuple[str, ...],
    format_: str,
    max_length: int | None,
) -> int:
    """Show what applying a revision would change: resources, access and mails, with each guard's verdict.

    A revision that is behind the applied one is planned as their merge. Write nothing except the file given with --out.
    """
    from reconciler.cli.reports import reporting_problems, save_plan, write_plan
    from reconciler.progress import progress_bar
    from reconciler.run.deployment import read_deployment
    from reconciler.run.planning import compare_revisions, find_checkout, plan_revision

    if against is not None and (out is not None or adopt or allow_rewind or no_welcome or ending):
        needing = "--out, --adopt, --allow-rewind, --no-welcome and --end-override"
        raise click.UsageError(f"{needing} need a database, but --against does not use one")
    if working_tree and (rev is not None or out is not None):
        raise click.UsageError("--working-tree plans files that are not committed; leave out --rev and --out")
    where = {"repository": repository, "branch": branch, "path": path}
    deployment = read_deployment(where if against is not None else {**where, "database_url": database})
    with reporting_problems(format_, max_length), progress_bar("Reading") as progress:
        if against is not None:
            plan = compare_revisions(deployment, rev, against, now=utc_now(), working_tree=working_tree, progress=progress)
        else:
            plan = plan_revision(
                deployment,
                rev,
                now=utc_now(),
                working_tree=working_tree,
                adopt=adopt,
                allow_rewind=allow_rewind,
                welcome=not no_welcome,
                ending=ending,
                progress=progress,
            )
    if out is not None:
        save_plan(plan, out)
    checkout = find_checkout(deployment, plan) if rev is None and not working_tree else None
    write_plan(plan, format_, max_length, checkout, given=as_given(**where, database=database))
    if plan.refusals:
        return UNSAFE
    return CHANGES if detailed_exitcode and not plan.is_empty else OK
