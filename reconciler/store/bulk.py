"""Inserts many rows at once: many rows per statement, or COPY if the database has it; in the background if wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain
from queue import SimpleQueue
from sqlite3 import SQLITE_LIMIT_VARIABLE_NUMBER
from sys import getswitchinterval, setswitchinterval
from threading import Event, Semaphore, Thread
from types import TracebackType
from typing import Any, ParamSpec, Self

from sqlalchemy import Table, func, select, text

from reconciler.store.engine import Connection

P = ParamSpec("P")
_MOST_VALUES = 30_000
"""How many values to put into one SQLite statement; with one row per statement, inserting would take half as long again."""
_MOST_WAITING = 32
"""How many calls may wait: a million waiting rows would take more memory than everything else."""
_TURN = 0.000_1
"""Seconds after which Python switches to the writing thread; each statement would wait for the default of 5 ms."""


def new_ids(connection: Connection, table: Table, count: int) -> list[int]:
    """Reserve ids for new rows. None is still referred to from another table, so that a new row inherits nothing.

    On PostgreSQL they come from the sequence, which others may use at the same time.
    """
    if connection.dialect.name == "sqlite":
        references = [
            key.parent for other in table.metadata.sorted_tables for key in other.foreign_keys if key.column is table.c.id
        ]
        last = max(connection.execute(select(func.max(column))).scalar() or 0 for column in (table.c.id, *references))
        return list(range(last + 1, last + 1 + count))
    taken = text(f"SELECT nextval(pg_get_serial_sequence('{table.name}', 'id')) FROM generate_series(1, :count)")
    return list(connection.execute(taken, {"count": count}).scalars())


def insert_rows(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], columns: Sequence[str] | None = None
) -> None:
    """Insert tuples in the order of the table's columns, or of the given ones, with values as the database stores them."""
    if not rows:
        return
    names = columns or [column.name for column in table.columns]
    quoted = ", ".join(f'"{name}"' for name in names)
    into = f"{table.name} ({quoted})"
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        most = min(_MOST_VALUES, driver.getlimit(SQLITE_LIMIT_VARIABLE_NUMBER)) // len(names)
        places = f"({', '.join('?' * len(names))})"
        for start in range(0, len(rows), most):
            piece = rows[start : start + most]
            values = tuple(chain.from_iterable(piece))
            connection.exec_driver_sql(f"INSERT INTO {into} VALUES {', '.join([places] * len(piece))}", values)
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


class BackgroundWriter(AbstractContextManager["BackgroundWriter"]):
    """Makes calls in order in a thread of its own, while the caller prepares the next rows.

    SQLite and the network leave a second core to Python. Inside the block, the connection belongs to that thread. After a call
    fails, no more calls are made, and its error is raised at the end of the block.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._free = Semaphore(_MOST_WAITING)
        self._error: BaseException | None = None
        self._stopped = False
        self._ended = Event()
        self._turn = getswitchinterval()

    def call(self, function: Callable[P, object], *arguments: P.args, **options: P.kwargs) -> None:
        """Call a function after all earlier ones; if many are waiting, first wait for one of them."""
        self._free.acquire()
        self._calls.put(partial(function, *arguments, **options))

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if not self._stopped:
                try:
                    call()
                except BaseException as error:  # noqa: BLE001 - raised again by the caller's own thread
                    self._error, self._stopped = error, True
            self._free.release()
        self._ended.set()

    def __enter__(self) -> Self:
        setswitchinterval(_TURN)
        Thread(target=self._work, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        interrupt: BaseException | None = None
        while not self._ended.is_set():  # the transaction must never end while the thread is still using it
            try:
                self._stopped = self._stopped or error is not None or interrupt is not None
                self._calls.put(None)
                self._ended.wait()  # not join(): after Ctrl-C it would treat the thread as ended
            except KeyboardInterrupt as again:
                interrupt = again
        setswitchinterval(self._turn)
        failed = interrupt or (self._error if error is None else None)
        if failed is not None:
            raise failed
