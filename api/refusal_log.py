"""Lines in the log about refused calls: who, from where, what, why. They are bounded, so that refusals cannot fill the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

WINDOW = 60.0
"""Seconds."""
OF_ONE, OF_ALL = 30, 300
"""Lines in a window: of one network, and of all."""
_log = logging.getLogger("accord.api")


class Throttle:
    """Lets some of each source through in a window, and not more than a bound of all sources; counts the rest. Pure."""

    def __init__(self, of_one: int = OF_ONE, of_all: int = OF_ALL, window: float = WINDOW) -> None:
        self._of_one = of_one
        self._of_all = of_all
        self._window = window
        self._ends = 0.0
        self._passed: Counter[str] = Counter()
        self._all = 0
        self._left_out = 0

    def passes(self, source: str) -> bool:
        """Whether one more of a source passes, in the window that `left_out` has begun."""
        if self._all >= self._of_all or self._passed[source] >= self._of_one:
            self._left_out += 1
            return False
        self._all += 1
        self._passed[source] += 1
        return True

    def left_out(self, now: float) -> int:
        """How many a window that is over has left out; then the next one begins."""
        if now < self._ends:
            return 0
        left_out, self._left_out = self._left_out, 0
        self._passed.clear()
        self._all = 0
        self._ends = now + self._window
        return left_out


class RefusalLog:
    """Logs the refusals of a process."""

    def __init__(self) -> None:
        self._throttle = Throttle()
        self._lock = threading.Lock()

    def refuse(self, source: str, facts: Mapping[str, Any]) -> None:
        """Log a refusal: status, actor, address, operation, reason and requestId. `source`: the network that it counts for."""
        now = time.monotonic()
        self.tell(now)
        with self._lock:
            passes = self._throttle.passes(source)
        if passes:
            _log.warning(
                "refused with %(status)s: %(actor)s at %(address)s, %(operation)s: %(reason)s", dict(facts), extra=dict(facts)
            )

    def tell(self, now: float | None = None) -> None:
        """Log how many lines were left out of a window that is over."""
        with self._lock:
            left_out = self._throttle.left_out(time.monotonic() if now is None else now)
        if left_out:
            _log.warning("%d more refusals were left out of the log within %d seconds", left_out, WINDOW)
