"""Work that a process does now and then, beside its requests, each in a thread of its own."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from reconciler.store.errors import StoreError

Task = Callable[[datetime, threading.Event], float | None]
"""Does one round of work. It gets the time, and an event that is set once the process stops; it returns the seconds until its
next round, or None for the usual time."""
Doubt = Callable[[datetime], str | None]
"""Why the clock is not believed at an instant that it gave; None if it is."""
_chance = random.SystemRandom()
_log = logging.getLogger("accord.api")


def log_failure(name: str, error: Exception, *, is_secret: bool = False) -> None:
    """Log that work which nobody waits for has failed, and will be tried again. Called where the error is handled."""
    _log.error("%s failed (%s); it tries again", name, type(error).__name__, exc_info=not is_secret)


class Periodic:
    """Runs a task again and again until it is stopped. A round that fails is logged, and the next one comes all the same."""

    def __init__(
        self,
        name: str,
        task: Task,
        *,
        every: float,
        first: float | None = None,
        spread: float = 0.0,
        after_failure: float | None = None,
        is_secret: bool = False,
    ) -> None:
        """Times are in seconds: between rounds, before the first, after one that failed, and up to how much later by chance.

        The tracebacks of a task that `is_secret` are not logged: they could hold a password.
        """
        self._name = name
        self._task = task
        self._every = every
        self._first = every if first is None else first
        self._spread = spread
        self._after_failure = every if after_failure is None else after_failure
        self._is_secret = is_secret
        self._doubt: Doubt | None = None
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def unless(self, doubt: Doubt) -> Periodic:
        """This, but a round that comes while the clock is in doubt is left out, with an error in the log."""
        self._doubt = doubt
        return self

    def start(self) -> None:
        """Run from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the task to end, without waiting for it."""
        self.stopping.set()

    def join(self, timeout: float) -> bool:
        """Wait for the round under way; whether it ended in time, in seconds."""
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        wait = self._first
        while not self.stopping.wait(wait + _chance.uniform(0, self._spread)):
            wait = self._round()

    def _round(self) -> float:
        try:
            now = datetime.now(UTC)
            why = self._doubt and self._doubt(now)
            if why:
                _log.error("%s was left out: %s", self._name, why)
                return self._every
            wait = self._task(now, self.stopping)
        except StoreError as error:
            _log.warning("%s waits: the database cannot be used: %s", self._name, error)
        except Exception as error:  # noqa: BLE001 - if it ended here, nobody would notice
            log_failure(self._name, error, is_secret=self._is_secret)
        else:
            return self._every if wait is None else wait
        return self._after_failure
