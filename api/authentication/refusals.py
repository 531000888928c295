"""What was refused, for the audit log: counted together, so that nobody fills it by being refused.

The first refusal is written at once, and what follows within a minute as one entry for each account and action. Names that
no account has are one account here. A process that is killed loses what it counted within that minute.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from api.background import log_failure
from api.errors import Problem
from reconciler.access.instants import format_instant
from reconciler.store.audit import Event, append
from reconciler.store.engine import Database
from reconciler.store.errors import StoreError

EVERY = 60.0
"""Seconds from one writing to the next."""
LOGIN = "login.refuse"
CALL = "call.refuse"
MOST_KEPT = 1_000
"""Of how many accounts, and of how many addresses of each, refusals are told apart until they are written."""
MOST_SHOWN = 5
"""Of how many addresses an entry tells: those that were refused most often."""
_OTHERS = "others"
_log = logging.getLogger("accord.api")


class Refused(NamedTuple):
    """What is counted as one: an action, and the account that did it, or tried to log in; empty if there is none."""

    action: str
    account: str


class _Counted:
    def __init__(self, now: datetime) -> None:
        self.since = self.until = now
        self.reasons: Counter[str] = Counter()
        self.addresses: Counter[str] = Counter()

    def add(self, reason: str, address: str, now: datetime) -> None:
        self.until = now
        self.reasons[reason] += 1
        is_known = address in self.addresses or len(self.addresses) < MOST_KEPT
        self.addresses[address if is_known else _OTHERS] += 1

    def detail(self) -> dict[str, object]:
        shown = dict(self.addresses.most_common(MOST_SHOWN))
        rest = self.addresses.total() - sum(shown.values())
        return {
            "count": self.reasons.total(),
            "reasons": dict(self.reasons),
            "addresses": shown | ({_OTHERS: shown.get(_OTHERS, 0) + rest} if rest else {}),
            "since": format_instant(self.since),
            "until": format_instant(self.until),
        }


class Refusals:
    """Counts the refusals of a process, and writes them in a thread of its own: nobody who is refused waits for the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counted: dict[Refused, _Counted] = {}
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, name="refusals", daemon=True)

    def count(self, action: str, account: str, reason: str, address: str, now: datetime) -> None:
        """Count a refusal."""
        with self._lock:
            refused = Refused(action, account)
            if refused not in self._counted and len(self._counted) >= MOST_KEPT:
                refused = Refused(action, "")
            self._counted.setdefault(refused, _Counted(now)).add(reason, address, now)
        self._some.set()

    def count_call(self, problem: Problem, account: str, address: str) -> None:
        """Count a call that an account may not make. Decisions are no such calls, whatever they say."""
        self.count(CALL, account, problem.why, address, datetime.now(UTC))

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and stop."""
        self._stopping.set()
        self._some.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self.flush()

    def flush(self) -> None:
        """Write what waits. What cannot be written now is kept for later."""
        with self._lock:
            counted, self._counted = self._counted, {}
        self._some.clear()
        if not counted:
            return
        try:
            with self._database.recording() as connection:
                for actor, event in _entries(counted):
                    append(connection, [event], at=datetime.now(UTC), actor=actor)
        except StoreError as error:
            _log.warning("refusals of %d accounts could not be recorded yet: %s", len(counted), error)
            with self._lock:
                for refused, later in self._counted.items():
                    if refused in counted:
                        counted[refused].until = later.until
                        counted[refused].reasons += later.reasons
                        counted[refused].addresses += later.addresses
                    elif len(counted) < MOST_KEPT:
                        counted[refused] = later
                self._counted = counted

    def _write(self) -> None:
        while not self._stopping.is_set():
            self._some.wait()
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 - if it ended here, nobody would notice
                log_failure("recording refusals", error)
            self._stopping.wait(EVERY)


def _entries(counted: dict[Refused, _Counted]) -> Iterator[tuple[str, Event]]:
    for (action, account), found in counted.items():
        yield account, Event(action, "User" if account else "", account, found.detail())
