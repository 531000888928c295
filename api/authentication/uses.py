"""When and from where a credential was last used. Written a little later, many at once, each at most once a minute."""

from __future__ import annotations

import logging
import math
import threading
import time
from datetime import datetime, timedelta

import orjson
from sqlalchemy import text

from api.background import Periodic
from reconciler.store.engine import Database
from reconciler.store.errors import StoreError
from reconciler.store.tables import instant_text

INTERVAL = timedelta(seconds=60)
_SOON = 1 / 6
"""The part of the interval for which a use may wait for others. Writing them together costs much less."""
_UPDATE = "UPDATE tokens SET last_used_at = v.at, last_used_address = v.address FROM ({}) AS v WHERE tokens.accessor = v.accessor"
_IN_SQLITE = _UPDATE.format(
    "SELECT json_extract(value, '$[0]') AS accessor, json_extract(value, '$[1]') AS at, json_extract(value, '$[2]') AS address"
    " FROM json_each(:rows)"
)
_IN_POSTGRESQL = _UPDATE.format(
    "SELECT e ->> 0 AS accessor, e ->> 1 AS at, e ->> 2 AS address FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS e"
)
_log = logging.getLogger(__name__)


class Uses:
    """Collects the uses of credentials, and writes them in a thread of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, tuple[datetime, str | None]] = {}
        self._due = math.inf
        self._writing = Periodic("writing last uses", self._write, every=1.0)

    def note(self, accessor: str, moment: datetime, address: str | None, interval: timedelta = INTERVAL) -> None:
        """Note a use of a credential whose last written use is an interval old."""
        self._waiting[accessor] = moment, address
        self._due = min(self._due, time.monotonic() + interval.total_seconds() * _SOON)

    def start(self) -> None:
        """Write from now on."""
        self._writing.start()

    def stop(self) -> None:
        """Write what waits, and stop."""
        self._writing.stop()
        self._writing.join(10)
        self.flush()

    def flush(self) -> None:
        """Write what waits. What cannot be written now is kept for later."""
        self._due = math.inf
        waiting, self._waiting = self._waiting, {}
        rows = [(accessor, instant_text(moment), address) for accessor, (moment, address) in waiting.copy().items()]
        if not rows:
            return
        # one statement runs in parallel with the threads that answer; one statement per row would take turns with them
        statement = _IN_SQLITE if self._database.is_sqlite else _IN_POSTGRESQL
        try:
            with self._database.recording() as connection:
                connection.execute(text(statement), {"rows": orjson.dumps(rows).decode()})
        except StoreError as error:
            _log.warning("the last use of %d credentials could not be written yet: %s", len(rows), error)
            self._waiting = waiting | self._waiting
            self._due = 0.0

    def _write(self, _: datetime, __: threading.Event) -> None:
        if self._due <= time.monotonic():
            self.flush()
