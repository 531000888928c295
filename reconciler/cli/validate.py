"""accord validate."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.exits import ERROR, OK
from reconciler.cli.options import format_option, repository_options, utc_now


@click.command(
    "validate",
    epilog="""\b
Examples:
  accord validate                       # the working folder
  accord validate config/teams/web.yaml # these files, against the repository they are in
  accord validate --rev HEAD            # a revision of the repository
  accord validate --rev "$(git write-tree)"   # what is about to be committed
  accord validate --format github       # annotations on a pull request
  accord validate --format sarif > accord.sarif

Exit codes: 0 valid (there may be warnings); 1 errors.
""",
)
@click.argument("paths", nargs=-1, metavar="[FOLDER | FILE...]", type=click.Path(path_type=Path))
@repository_options
@click.option("--rev", metavar="REV", help="Check this revision of the repository instead of a folder.")
@click.option("--check-directory", is_flag=True, help="Ask the domain controllers, and warn about AD groups that do not exist.")
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@format_option("text", "json", "sarif", "github")
def command(
    paths: tuple[Path, ...],
    repository: str | None,
    branch: str | None,
    path: str | None,
    rev: str | None,
    check_directory: bool,
    strict: bool,
    format_: str,
) -> int:
    """Check a working folder, some of its files, or a revision with --rev, and report every problem with its place."""
    from reconciler.cli.output import say, write_annotations, write_json, write_lines
    from reconciler.plan.render.problems import problem_lines, problems_github, problems_json, problems_sarif, tally
    from reconciler.progress import progress_bar
    from reconciler.run.deployment import cache_folder, read_deployment
    from reconciler.run.validating import validate_files, validate_folder, validate_revision, working_folder
    from reconciler.wording.text import count

    if rev is not None and paths:
        raise click.UsageError("give a FOLDER or FILE, or --rev, not both; --path names a folder inside the repository")
    are_files = [path.is_file() for path in paths]
    if len(paths) > 1 and not all(are_files):
        wrong = paths[are_files.index(False)]
        raise click.UsageError(f"`{wrong}` is not a file; give one FOLDER, or files")
    deployment = read_deployment({"repository": repository, "branch": branch, "path": path})
    now = utc_now()
    with progress_bar("Checking") as progress:
        if rev is not None:
            found = validate_revision(deployment, rev, now=now, check_directory=check_directory, progress=progress)
        elif paths and all(are_files):
            found = validate_files(paths, deployment, now=now, check_directory=check_directory, progress=progress)
        else:
            where = paths[0] if paths else working_folder(deployment)
            found = validate_folder(where, cache_folder(deployment), now=now, check_directory=check_directory, progress=progress)
    if format_ == "json":
        write_json(problems_json(found.problems))
    elif format_ == "sarif":
        from reconciler import __version__

        write_json(problems_sarif(found.problems, __version__))
    elif format_ == "github":
        write_annotations(problems_github(found.problems))
    else:
        write_lines(problem_lines(found.problems))
        say(f"{count(found.resources, 'resource')} in {count(found.files, 'file')}: {tally(found.problems)}")
    failed = any(problem.severity == "error" or (strict and problem.severity == "warning") for problem in found.problems)
    return ERROR if failed else OK
