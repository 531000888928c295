"""A progress bar for slow work, in both programs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

_PATIENCE = 1.0
"""Seconds before a bar appears."""
_PAUSE = 0.1
"""Seconds from one drawing of it to the next."""


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
