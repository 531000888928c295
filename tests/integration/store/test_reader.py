"""What reads by a thread's own connection: it ends with the thread, and with the reader."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from declared_states import query
from waiting import until

from api.state.reader import Reader
from reconciler.store.engine import Database
from reconciler.store.errors import DatabaseUnreachable


def connections(database: Database) -> int:
    """How many connections there are to the database, this process's own to ask that apart."""
    if database.is_sqlite:
        file = os.path.realpath(database.url.removeprefix("sqlite:///"))
        return sum(os.path.realpath(each) == file for each in Path("/proc/self/fd").iterdir())
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    ((number,),) = query(database, f"SELECT count(*) FROM pg_stat_activity WHERE {others}")
    return int(number)


def in_a_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_threads_that_come_and_go_leave_no_connection_open(database: Database) -> None:
    reader = Reader(database)
    assert reader.rows("SELECT 1") == [(1,)]
    before = connections(database)
    for _ in range(20):
        in_a_thread(lambda: reader.rows("SELECT 1"))
    gc.collect()
    # SQLite keeps a file that is closed while others hold locks, for the next that opens it
    until(lambda: connections(database) <= before + 1, "the end of the threads' connections")
    assert reader.rows("SELECT 1") == [(1,)] and reader.reconnects == 0
    reader.close()
    until(lambda: connections(database) <= before - 1, "the end of the last connection")


def test_a_reader_that_is_closed_opens_no_connection_again(database: Database) -> None:
    reader = Reader(database)
    reader.rows("SELECT 1")
    reader.close()
    reader.close()
    for _ in range(2):
        with pytest.raises(DatabaseUnreachable):
            reader.rows("SELECT 1")
    failed: list[BaseException] = []

    def read() -> None:
        try:
            reader.rows("SELECT 1")
        except DatabaseUnreachable as error:
            failed.append(error)

    in_a_thread(read)
    assert len(failed) == 1
