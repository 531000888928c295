"""Watches PostgreSQL's servers, so that requests need not find out by waiting that they do not answer."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import datetime
from typing import Any

from api.background import Periodic
from reconciler.store.engine import READ_ONLY, Database
from reconciler.store.errors import DatabaseSilent, StoreError

_EVERY = 1.0
_log = logging.getLogger("accord.api")


class Watch:
    """Asks a database once a second. If there is no answer in time, it ends all waiting; others wait again when there is one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None
        self._told = ""

    def tasks(self) -> list[Periodic]:
        """A file needs no watching."""
        return [] if self._database.servers is None else [Periodic("database", self._look, every=_EVERY)]

    def _look(self, _now: datetime, stopping: threading.Event) -> None:
        servers = self._database.servers
        assert servers is not None
        if servers.are_several:  # another may have become the primary, and this one not know it
            self.close()
        fault = self._fault()
        if isinstance(fault, DatabaseSilent):
            servers.give_up()
        else:
            servers.answered()
        told = "" if fault is None else str(fault)
        if told != self._told and not stopping.is_set():
            _log.error("%s", told) if told else _log.warning("the database %s answers again", self._database.shown)
            self._told = told

    def _fault(self) -> StoreError | None:
        """What is wrong with the database, if anything."""
        try:
            with self._database.translated():
                if self._connection is None:
                    self._connection = self._database.driver_connection(although_silent=True)
                if self._connection.execute(f"SELECT {READ_ONLY}").fetchone() != (False,):
                    self.close()
        except StoreError as error:
            self.close()
            return error
        return None

    def close(self) -> None:
        """Close its connection. The task must have ended, or be the caller."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()
