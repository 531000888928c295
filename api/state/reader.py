"""Reads by requests: each thread has its own connection, and each statement sees everything committed before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeVar

from reconciler.store.engine import READ_ONLY, Connection, Database
from reconciler.store.errors import DatabaseSilent, DatabaseUnreachable, NotPrimary

Row = tuple[Any, ...]
Found = TypeVar("Found")
_PATIENCE = 1000
"""Milliseconds. SQLite's readers wait for a recovery only, and a prompt refusal beats a decision that hangs."""


_BUDGET = 4.0
"""Seconds after which a statement whose connection was lost is not tried again."""


class Reader:
    """One connection per thread to one database. A statement whose connection is lost is tried once more on a new one."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._is_sqlite = database.is_sqlite
        self._local = threading.local()
        self._opened: list[Any] = []
        self.reconnects = 0
        """How often a lost connection was made anew. It may be another database by now: somebody may have restored a backup."""

    def rows(self, statement: str, *values: Any) -> list[Row]:
        """The rows of a statement, with `?` as the placeholder of values. Raises StoreError."""
        return self._tried_twice(self._rows, statement, values)

    def row(self, statement: str, *values: Any) -> Row | None:
        """The first row, or None."""
        found = self.rows(statement, *values)
        return found[0] if found else None

    def row_of_primary(self, statement: str, *values: Any) -> Row | None:
        """The first row of a statement whose first column is READ_ONLY, without that column; never from a standby."""
        return self._tried_twice(self._row_of_primary, statement, values)

    def _tried_twice(self, ask: Callable[[str, tuple[Any, ...]], Found], statement: str, values: tuple[Any, ...]) -> Found:
        began = time.monotonic()
        try:
            return ask(statement, values)
        except DatabaseSilent:
            raise
        except DatabaseUnreachable:
            if time.monotonic() - began > _BUDGET / 2:
                raise
            return ask(statement, values)

    def _row_of_primary(self, statement: str, values: tuple[Any, ...]) -> Row | None:
        found = self._rows(statement, values)
        first = found[0] if found else None
        if not self._is_sqlite and (first or self._rows(f"SELECT {READ_ONLY}", ())[0])[0]:
            if not hasattr(self._local, "transaction"):
                self._lose(self._local.connection)
            raise NotPrimary(f"the database {self.database.shown} was answered by a standby, which may not know what was revoked")
        return first and first[1:]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything that this thread reads within is of one moment. In a transaction, its lock sees to that."""
        if hasattr(self._local, "transaction"):
            yield
            return
        self.row_of_primary(f"SELECT {READ_ONLY}")  # notices a lost connection before anything has been read
        self._rows("BEGIN" if self._is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())
        try:
            yield
        finally:
            with suppress(DatabaseUnreachable):
                self._rows("COMMIT", ())

    @contextmanager
    def within(self, transaction: Connection) -> Iterator[None]:
        """This thread reads within a transaction that has written nothing yet, on its connection: it sees what is committed.

        A connection of its own would be another one to wait for while the transaction keeps everybody else waiting.
        """
        self._local.transaction = transaction.connection.driver_connection
        try:
            yield
        finally:
            del self._local.transaction

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[Row]:
        transaction = getattr(self._local, "transaction", None)
        if transaction is not None:
            return self._rows_within(transaction, statement, values)
        connection = getattr(self._local, "connection", None)
        file = self.database.file_number
        if connection is not None and self._local.file != file:
            self._lose(connection)  # SQLite would go on reading the old file
            connection = None
        if connection is None:
            self._local.file = file
            connection = self._local.connection = self._connect()
        try:
            cursor = connection.execute(self._worded(statement), values)
            found: list[Row] = cursor.fetchall() if cursor.description else []
        except BaseException:
            self._lose(connection)
            with self.database.translated():
                raise
        return found

    def _rows_within(self, transaction: Any, statement: str, values: tuple[Any, ...]) -> list[Row]:
        with self.database.translated():
            found: list[Row] = transaction.execute(self._worded(statement), values).fetchall()
        return found

    def _worded(self, statement: str) -> str:
        return _for_sqlite(statement) if self._is_sqlite else _for_postgresql(statement)

    def _lose(self, connection: Any) -> None:
        del self._local.connection
        self._close(connection)
        self.reconnects += 1

    def _connect(self) -> Any:
        connection = self.database.driver_connection()
        self._opened.append(connection)
        if self._is_sqlite:
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


@lru_cache(maxsize=1024)
def _for_postgresql(statement: str) -> str:
    return statement.replace("?", "%s")


@lru_cache(maxsize=1024)
def _for_sqlite(statement: str) -> str:
    return statement.replace(READ_ONLY, "0")  # a file has no standby
