"""The processes that a process started, and those that these started: what has to end with it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def end_descendants(ancestor: int, number: int) -> None:
    """Send a signal to all processes below one. They are all found first: what loses its parent is nobody's descendant."""
    for process in _below(ancestor):
        with suppress(OSError):
            os.kill(process, number)


def _below(ancestor: int) -> list[int]:
    found = [ancestor]
    for process in found:  # which grows meanwhile
        with suppress(OSError):  # it has just ended, or this is no Linux, which alone has the folder
            for task in Path(f"/proc/{process}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found[1:]
