"""Writing to the terminal: colour if wanted, JSON for programs, and a progress bar for slow work.

All output leaves through this module, which disarms it: text of a repository may be a stranger's, and a terminal obeys escapes,
a CI runner lines such as `::add-mask::`.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from typing import Any

import click
import orjson

from reconciler.access.problems import Problem
from reconciler.plan.render.text import Line, Style
from reconciler.wording.text import inert, inert_html, inert_json

_COLOURS: dict[Style, dict[str, Any]] = {
    "heading": {"bold": True},
    "plain": {},
    "added": {"fg": "green"},
    "removed": {"fg": "red"},
    "changed": {"fg": "yellow"},
    "refused": {"fg": "red", "bold": True},
    "dim": {"dim": True},
}
_RUNNERS = ("CI", "TF_BUILD", "TEAMCITY_VERSION")
"""Variables that CI runners set: of most of them, Azure's and TeamCity's."""

_kept: list[object] = []


def keep(value: object) -> None:
    """Keep a value until the process ends, in place of the one before: a large plan takes long to free."""
    _kept[:] = [value]


def colour_wanted() -> bool:
    """Tell whether to colour: on a terminal, unless NO_COLOR (no-color.org) or TERM=dumb is set; always with FORCE_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def agreed(question: str) -> bool:
    """Ask for a yes or no; the end of the input (Ctrl-D) is a no, unlike an interrupt."""
    try:
        return click.confirm(question)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):
            raise
        click.echo()  # the question has no line break yet
        return False


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Write lines for people."""
    click.echo(inert(text), err=err, nl=nl)


def write_lines(lines: Iterable[Line], *, err: bool = False) -> None:
    """Write styled lines, many at a time. A line break in one is text of somebody's, and would forge another line."""
    shown = _coloured if colour_wanted() else _plain
    piece: list[Line] = []
    for line in lines:
        piece.append(line)
        if len(piece) >= 2_000:
            click.echo(shown(piece), err=err, color=True)
            piece = []
    if piece:
        click.echo(shown(piece), err=err, color=True)


def _plain(lines: Iterable[Line]) -> str:
    return inert("\n".join(_one_line(text) for _, text in lines))


def _coloured(lines: Iterable[Line]) -> str:
    shown = ((_COLOURS[style], inert(_one_line(text))) for style, text in lines)
    return "\n".join(click.style(text, **colour) if text and colour else text for colour, text in shown)


def _one_line(text: str) -> str:
    return text.replace("\n", "\\u000a")


def write_json(value: Any) -> None:
    """Write a value as indented JSON."""
    _write_utf8(json_text(value) + "\n")


def json_text(value: Any) -> str:
    """Return a value as indented JSON that may appear in any log."""
    return inert_json(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def write_json_lines(lines: Iterable[bytes]) -> None:
    """Write lines that are JSON already."""
    stream = sys.stdout.buffer
    for line in lines:
        stream.write(inert_json(line.decode()).encode())
    stream.flush()


def write_html(page: str) -> None:
    """Write a page of HTML."""
    _write_utf8(inert_html(page))


def write_annotations(lines: Iterable[str]) -> None:
    """Write commands for GitHub's runner, which begin with `::`; nothing in them is another command."""
    for line in lines:
        click.echo("::" + inert(line.removeprefix("::")))


def write_patch(patch: str) -> None:
    """Write a patch, unchanged; a terminal or a CI log gets no patch with something that it would obey.

    Raises click.ClickException then, because a patch with other text does not apply.
    """
    content = "\n".join(line[1:] for line in patch.split("\n"))  # without the signs of a patch itself
    if inert(content) != content and not _goes_to_program():
        raise click.ClickException(
            "the patch has text that a terminal or a CI runner would obey; write it to a file: accord drift --patch > adopt.patch"
        )
    _write_utf8(patch)


def write_files(text: str) -> None:
    """Write what is in files, or how it changes: unchanged for programs, disarmed for a terminal and for a CI log."""
    _write_utf8(text if _goes_to_program() else inert(text))


def _goes_to_program() -> bool:
    """Tell whether stdout is a file, or a pipe outside any CI, whose log is a pipe too."""
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, ValueError):  # no stream of the system's
        return True
    return stat.S_ISREG(mode) or (stat.S_ISFIFO(mode) and not any(map(os.environ.get, _RUNNERS)))


def write_markdown(text: str) -> None:
    """Write Markdown, which programs post."""
    _write_utf8(inert(text))


def _write_utf8(text: str) -> None:
    """Write a text that programs read, whatever the terminal's encoding; a byte that was no UTF-8 is written as it was."""
    click.echo(text.encode("utf-8", "surrogateescape"), nl=False)


def write_problems(problems: Iterable[Problem]) -> None:
    """Write problems to standard error."""
    from reconciler.plan.render.problems import problem_lines

    write_lines(problem_lines(list(problems)), err=True)
