"""Reads by requests: each thread has its own connection, and each statement sees everything committed before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeVar
from weakref import WeakSet

from reconciler.store.engine import READ_ONLY, Connection, Database
from reconciler.store.errors import DatabaseSilent, DatabaseUnreachable, NotPrimary

Row = tuple[Any, ...]
Found = TypeVar("Found")
_PATIENCE = 1000
"""Milliseconds. SQLite's readers wait for a recovery only, and a prompt refusal beats a decision that hangs."""


_BUDGET = 4.0
"""Seconds after which a statement whose connection was lost is not tried again."""


class _Held:
    """Closes a driver's connection at the latest when the thread that read by it has ended: nobody refers to it then."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def close(self) -> None:
        with suppress(Exception):
            self._connection.close()

    __del__ = close


class _Own(threading.local):
    """What one thread reads by."""

    connection: Any = None
    held: _Held | None = None
    """The same; it goes with the thread."""
    file: int = 0
    """The number of the file that the connection is to."""
    transaction: Any = None
    """The driver's connection of the transaction that it reads within."""


class Reader:
    """One connection per thread to one database, until the thread ends.

    A statement whose connection is lost is tried once more on a new one.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._is_sqlite = database.is_sqlite
        self._worded = _for_sqlite if database.is_sqlite else _for_postgresql
        self._own = _Own()
        self._opened: WeakSet[_Held] = WeakSet()
        self._is_closed = False
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
            if self._own.transaction is None:
                self._lose()
            raise NotPrimary(f"the database {self.database.shown} was answered by a standby, which may not know what was revoked")
        return first and first[1:]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything that this thread reads within is of one moment. In a transaction, its lock sees to that."""
        if self._own.transaction is not None:
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
        self._own.transaction = transaction.connection.driver_connection
        try:
            yield
        finally:
            self._own.transaction = None

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[Row]:
        own = self._own
        if own.transaction is not None:
            return self._rows_within(own.transaction, statement, values)
        if self._is_closed:
            raise DatabaseUnreachable(f"the database {self.database.shown} is read no more: this process ends")
        connection = own.connection
        file = self.database.file_number
        if connection is not None and own.file != file:
            self._lose()  # SQLite would go on reading the old file
            connection = None
        if connection is None:
            own.file = file
            connection = own.connection = self._connect()
        try:
            cursor = connection.execute(self._worded(statement), values)
            found: list[Row] = cursor.fetchall() if cursor.description else []
        except BaseException:
            self._lose()
            with self.database.translated():
                raise
        return found

    def _rows_within(self, transaction: Any, statement: str, values: tuple[Any, ...]) -> list[Row]:
        with self.database.translated():
            found: list[Row] = transaction.execute(self._worded(statement), values).fetchall()
        return found

    def _lose(self) -> None:
        held, self._own.held, self._own.connection = self._own.held, None, None
        if held is not None:
            held.close()
        self.reconnects += 1

    def _connect(self) -> Any:
        connection = self.database.driver_connection()
        self._own.held = held = _Held(connection)
        self._opened.add(held)
        if self._is_sqlite:
            connection.execute("PRAGMA cache_size = -8192")  # KiB for each thread
            connection.execute(f"PRAGMA busy_timeout = {_PATIENCE}")
        return connection

    def close(self) -> None:
        """Close the connections of all threads. One that still reads gets DatabaseUnreachable."""
        self._is_closed = True
        for held in list(self._opened):
            held.close()


@lru_cache(maxsize=1024)
def _for_postgresql(statement: str) -> str:
    return statement.replace("?", "%s")


@lru_cache(maxsize=1024)
def _for_sqlite(statement: str) -> str:
    return statement.replace(READ_ONLY, "0")  # a file has no standby
