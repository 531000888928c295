"""When and from where a credential was last used: noted in memory at once, written at most once a minute."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta

import orjson
from sqlalchemy import text

from reconciler.store.engine import Database
from reconciler.store.errors import StoreError
from reconciler.store.tables import instant_text

INTERVAL = timedelta(seconds=60)
_FLUSH = 1.0
_UPDATE = "UPDATE tokens SET last_used_at = v.at, last_used_address = v.address FROM ({}) AS v WHERE tokens.id = v.id"
_IN_SQLITE = _UPDATE.format(
    "SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS at, json_extract(value, '$[2]') AS address"
    " FROM json_each(:rows)"
)
_IN_POSTGRESQL = _UPDATE.format(
    "SELECT CAST(e ->> 0 AS integer) AS id, e ->> 1 AS at, e ->> 2 AS address"
    " FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS e"
)
_log = logging.getLogger(__name__)


class Uses:
    """The uses of credentials that are not written yet, and a thread that writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[int, tuple[str, str | None]] = {}
        self._waiting: set[int] = set()
        self._due = ""
        """What was written by this instant may be written again."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="uses", daemon=True)

    def note(self, credential_id: int, written: str | None, moment: str, address: str | None) -> None:
        """A use at an instant, as the tables write it. `written` is what the database has of it."""
        self._noted[credential_id] = moment, address
        if written is None or written <= self._due:
            self._waiting.add(credential_id)

    def last(self, credential_id: int) -> str | None:
        """The last use that this process saw, if it has one in mind."""
        noted = self._noted.get(credential_id)
        return noted and noted[0]

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self.flush()

    def flush(self) -> None:
        """Write what waits. What cannot be written now waits on."""
        waiting, self._waiting = self._waiting, set()
        rows = [(each, *noted) for each in list(waiting) if (noted := self._noted.get(each))]
        if not rows:
            return
        try:
            with self._database.recording() as connection:
                # one statement, which runs beside the threads that answer; one for each row would take turns with them
                statement = _IN_SQLITE if self._database.is_sqlite else _IN_POSTGRESQL
                connection.execute(text(statement), {"rows": orjson.dumps(rows).decode()})
        except StoreError as error:
            _log.warning("the last use of %d credentials could not be written yet: %s", len(rows), error)
            self._waiting |= waiting
            return
        old = instant_text(datetime.now(UTC) - 2 * INTERVAL)  # by then the database's own word is as good
        for each in [each for each, noted in list(self._noted.items()) if noted[0] < old]:
            self._noted.pop(each, None)

    def _write_on(self) -> None:
        while not self._stop.wait(_FLUSH):
            self._due = instant_text(datetime.now(UTC) - INTERVAL)
            self.flush()
