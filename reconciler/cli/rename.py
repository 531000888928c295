"""accord rename."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from reconciler.cli.exits import OK
from reconciler.cli.options import utc_now


def _kinds(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    from reconciler.access.resources import KINDS

    return [kind for kind in KINDS if kind.casefold().startswith(begun.casefold())]


@click.command(
    "rename",
    epilog="""\b
Examples:
  accord rename user bob robert
  accord rename team web-platform web --dry-run   # shows the changes as a diff
  accord rename issuer tls-internal tls-corp --repository config

Exit codes: 0 renamed; 1 error; 3 the files have errors, before or after the rename. Unless the code is 0, nothing was written.
""",
)
@click.argument("kind", shell_complete=_kinds)
@click.argument("old")
@click.argument("new")
@click.option("--repository", metavar="LOCATION", help="The config repository, a path [default: .].")
@click.option("--path", metavar="FOLDER", help="The folder in it that contains the resources.")
@click.option("--dry-run", is_flag=True, help="Show the changes as a diff and write nothing.")
def command(kind: str, old: str, new: str, repository: str | None, path: str | None, dry_run: bool) -> int:
    """Rename a resource in all files of the working folder: its name, and everything that refers to it.

    The old name is added to `previously`, so that the next apply renames it in the database instead of deleting it. Only
    the names are replaced; comments and layout stay. The result is checked before any file is written.
    """
    from reconciler.cli.output import say, write_files
    from reconciler.cli.reports import reporting_problems
    from reconciler.progress import progress_bar
    from reconciler.run.deployment import read_deployment
    from reconciler.run.renaming import kind_named, rename
    from reconciler.source.diff import file_diff
    from reconciler.source.rewriting import rewrite
    from reconciler.store.commit import committing
    from reconciler.wording.text import count, printable

    which = kind_named(kind)
    deployment = read_deployment({"repository": repository, "path": path})
    with reporting_problems(), progress_bar("Reading") as progress:
        found = rename(deployment, which, old, new, now=utc_now(), progress=progress)
    if dry_run:
        for name, (_, edit) in found.edits.items():
            write_files("".join(file_diff(name, edit.before.decode(), edit.after.decode())))
        return OK
    rewrite(dict(found.edits.values()), committing)
    say(f"Renamed {which} `{old}` to `{new}` in {count(found.places, 'place')}, in {count(len(found.edits), 'file')}:")
    for name in found.edits:
        say(f"  {printable(name)}")
    for origin, text in found.left:
        means = f"is it the same {which}?" if text == old else f"it fits `{old}`, and not `{new}`"
        say(f"`{text}` stays in {printable(str(origin))}: {means}")
    root, file = deployment.repository, found.edits[found.declared_in][0]
    if file.stem == old:
        place = Path(os.path.relpath(file, root))
        git = ["git", "mv"] if root == "." else ["git", "-C", root, "mv"]
        say(f"The file can get the new name: {shlex.join([*git, str(place), str(place.with_stem(new))])}")
    return OK
