"""Reads by requests: each thread has its own connection, and each statement sees everything committed before it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from reconciler.store.engine import Database
from reconciler.store.errors import DatabaseUnreachable

Row = tuple[Any, ...]
_PATIENCE = 1000
"""Milliseconds. SQLite's readers wait for a recovery only, and a prompt refusal beats a decision that hangs."""


class Reader:
    """One connection per thread to one database. A statement whose connection is lost is tried once more on a new one."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._local = threading.local()
        self._opened: list[Any] = []
        self.reconnects = 0
        """How often a lost connection was made anew. It may be another database by now: somebody may have restored a backup."""

    def rows(self, statement: str, *values: Any) -> list[Row]:
        """The rows of a statement, with `?` as the placeholder of values. Raises StoreError."""
        try:
            return self._rows(statement, values)
        except DatabaseUnreachable:
            return self._rows(statement, values)

    def row(self, statement: str, *values: Any) -> Row | None:
        """The first row, or None."""
        found = self.rows(statement, *values)
        return found[0] if found else None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything that this thread reads within is of one moment."""
        self.rows("SELECT 1")  # notices a lost connection before anything has been read
        self._rows("BEGIN" if self.database.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())
        try:
            yield
        finally:
            with suppress(DatabaseUnreachable):
                self._rows("COMMIT", ())

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[Row]:
        connection = getattr(self._local, "connection", None)
        file = self.database.file_number
        if connection is not None and self._local.file != file:
            self._lose(connection)  # SQLite would go on reading the old file
            connection = None
        if connection is None:
            self._local.file = file
            connection = self._local.connection = self._connect()
        if not self.database.is_sqlite:
            statement = statement.replace("?", "%s")
        try:
            cursor = connection.execute(statement, values)
            found: list[Row] = cursor.fetchall() if cursor.description else []
        except BaseException:
            self._lose(connection)
            with self.database.translated():
                raise
        return found

    def _lose(self, connection: Any) -> None:
        del self._local.connection
        self._close(connection)
        self.reconnects += 1

    def _connect(self) -> Any:
        connection = self.database.driver_connection()
        self._opened.append(connection)
        if self.database.is_sqlite:
            connection.execute("PRAGMA cache_size = -8192")  # KiB for each thread
            connection.execute(f"PRAGMA busy_timeout = {_PATIENCE}")
        return connection

    def close(self) -> None:
        """Close the connections of all threads, which must have stopped reading."""
        for connection in self._opened.copy():
            self._close(connection)

    def _close(self, connection: Any) -> None:
        self._opened.remove(connection)
        with suppress(Exception):
            connection.close()
