"""accord fmt."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.exits import ERROR, OK

if TYPE_CHECKING:
    from reconciler.run.formatting import Formatted


@click.command(
    "fmt",
    epilog="""\b
Examples:
  accord fmt                     # all resources in the working folder
  accord fmt teams people/alice.yaml
  accord fmt --check             # in CI: names the files that would change
  accord fmt --diff              # shows how they would change
  accord fmt - < team.yaml       # from standard input to standard output

Exit codes: 0 done, or nothing to do; 1 error, a file with errors, or --check found files that would change.
""",
)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; name the files that would change, and exit with 1 if there are any.")
@click.option("--diff", is_flag=True, help="Write nothing; show how the files would change.")
def command(paths: tuple[Path, ...], check: bool, diff: bool) -> int:
    """Bring files into the usual form: keys in the schema's order, lists sorted if their order means nothing, two spaces a level.

    Comments stay: one above an item or a key moves with it, and a blank line ends a group of items. What a file declares never
    changes. A file with anchors, aliases or an unusual layout is left as it is, and named; so is one with errors.
    """
    from reconciler.cli.output import write_files
    from reconciler.progress import progress_bar
    from reconciler.run.deployment import read_deployment
    from reconciler.run.formatting import format_files, format_text
    from reconciler.run.validating import working_folder
    from reconciler.source.diff import file_diff
    from reconciler.source.rewriting import rewrite
    from reconciler.store.commit import committing

    from_input = paths == (Path("-"),)
    if from_input:
        found = [format_text("<stdin>", sys.stdin.buffer.read())]
    else:
        instead = "clone it, and run this in the clone"
        with progress_bar("Formatting") as progress:
            found = list(format_files(paths or (working_folder(read_deployment({}), instead),), progress))
    changed = [each for each in found if each.edit.before != each.edit.after]
    _tell_kept(found)
    if diff:
        for each in changed:
            write_files("".join(file_diff(each.file, each.edit.before.decode(), each.edit.after.decode())))
    elif from_input and not check:
        write_files(found[0].edit.after.decode("utf-8", "surrogateescape"))
    else:
        if not check:
            rewrite({each.path: each.edit for each in changed}, committing)
        _tell_changed(found, changed, check)
    return ERROR if any(each.invalid for each in found) or (check and changed) else OK


def _tell_kept(found: Sequence[Formatted]) -> None:
    from reconciler.cli.output import say
    from reconciler.wording.text import printable

    for each in found:
        if each.kept:
            advice = "; run `accord validate` and correct it first" if each.invalid else ""
            say(f"accord: {printable(each.file)}: left as it is: {printable(each.kept)}{advice}", err=True)


def _tell_changed(found: Sequence[Formatted], changed: Sequence[Formatted], check: bool) -> None:
    from reconciler.cli.output import say
    from reconciler.wording.text import count, printable

    for each in changed:
        say(f"{'would format' if check else 'formatted'} {printable(each.file)}")
    kept = sum(bool(each.kept) for each in found)
    rest = f", {kept:,} left as {'it is' if kept == 1 else 'they are'}" if kept else ""
    verb = "to format" if check else "formatted"
    say(f"{count(len(changed), 'file')} {verb}, {len(found) - len(changed) - kept:,} unchanged{rest}")
