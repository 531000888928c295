"""Many rows at once: as many a statement as it takes, or COPY where the database has it; in the background if wanted."""

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
"""So many values stand in a statement of SQLite's: one row a statement takes half as long again."""
_MOST_WAITING = 32
"""Calls that the caller may be ahead of the thread that writes: a million rows that wait take more memory than all else."""
_TURN = 0.000_1
"""Seconds after which Python gives way to the thread that writes: by default 5 ms, for which every statement would wait."""


def new_ids(connection: Connection, table: Table, count: int) -> list[int]:
    """Ids for rows to come: never one that a row of another table still refers to, for what hangs on it would be inherited.

    PostgreSQL's come from the sequence, from which others may take at the same time.
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
    """Insert tuples in the order of the table's columns, or of the given ones. Values are as the database holds them."""
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
    """Calls that are made in their order by a thread of their own, while the caller makes the next rows.

    SQLite and the network leave the processor's other core to Python. Within the block the connection belongs to that thread.
    After a call that fails no further one is made, and its error is raised at the end of the block.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._free = Semaphore(_MOST_WAITING)
        self._error: BaseException | None = None
        self._stopped = False
        self._ended = Event()
        self._turn = getswitchinterval()

    def call(self, function: Callable[P, object], *arguments: P.args, **options: P.kwargs) -> None:
        """Have a function called after those before it; if many wait already, after one of them was."""
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
        while not self._ended.is_set():  # whatever comes, the transaction must not end under the thread's hands
            try:
                self._stopped = self._stopped or error is not None or interrupt is not None
                self._calls.put(None)
                self._ended.wait()  # not join(): Ctrl-C makes that take the thread for ended
            except KeyboardInterrupt as again:
                interrupt = again
        setswitchinterval(self._turn)
        failed = interrupt or (self._error if error is None else None)
        if failed is not None:
            raise failed
