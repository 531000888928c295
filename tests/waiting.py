"""Waiting for an event, with a limit that only finds hangs, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

LONG = 120.0
"""Seconds after which what was waited for is taken never to come."""

Found = TypeVar("Found")


def until(holds: Callable[[], Found], about: str = "what was waited for") -> Found:
    """Ask again and again; the first answer that is true. Fails after a LONG time."""
    ends = time.monotonic() + LONG
    while not (found := holds()):
        assert time.monotonic() < ends, f"{about} never came about"
        time.sleep(0.01)
    return found
