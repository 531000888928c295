"""Writing to the terminal: colour if wanted, JSON for programs, and a progress bar for slow work."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import orjson

from reconciler.access.problems import Problem
from reconciler.plan.render.text import Line, Style

_COLOURS: dict[Style, dict[str, Any]] = {
    "heading": {"bold": True},
    "plain": {},
    "added": {"fg": "green"},
    "removed": {"fg": "red"},
    "changed": {"fg": "yellow"},
    "refused": {"fg": "red", "bold": True},
    "dim": {"dim": True},
}
_PATIENCE = 1.0
"""Seconds before a bar appears."""
_PAUSE = 0.1
"""Seconds from one drawing of it to the next."""

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


def write_lines(lines: Iterable[Line], *, err: bool = False) -> None:
    """Write styled lines, many at a time."""
    colour = colour_wanted()
    piece: list[str] = []
    for style, text in lines:
        piece.append(click.style(text, **_COLOURS[style]) if colour and text and _COLOURS[style] else text)
        if len(piece) >= 2_000:
            click.echo("\n".join(piece), err=err, color=True)
            piece = []
    if piece:
        click.echo("\n".join(piece), err=err, color=True)


def write_json(value: Any) -> None:
    """Write a value as indented JSON."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def write_problems(problems: Iterable[Problem]) -> None:
    """Write problems to standard error."""
    from reconciler.plan.render.problems import problem_lines

    write_lines(problem_lines(list(problems)), err=True)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yield a function that takes (done, total) and draws a bar once work takes over a second; None without a terminal that
    can move its cursor."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    bar: Any = click.progressbar(length=1, label=title, file=sys.stderr)
    due, shown = time.monotonic() + _PATIENCE, False

    def tell(done: int, total: int) -> None:
        nonlocal due, shown
        if time.monotonic() < due:
            return
        due, shown = time.monotonic() + _PAUSE, True
        bar.length, bar.pos = total, min(bar.pos, done)  # the next part of the work begins at 0
        bar.make_step(done - bar.pos)
        bar.render_progress()

    try:
        yield tell
    finally:
        if shown:
            click.echo("\r\x1b[2K\x1b[?25h", nl=False, err=True)  # takes the bar away, and shows the cursor again
