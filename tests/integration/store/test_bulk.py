"""Many rows at once arrive as they were, whatever they hold."""

from __future__ import annotations

import os
import signal
from queue import SimpleQueue
from threading import Event

import pytest
from declared_states import SEARCH, TEXTS, emptied, query
from hypothesis import given
from hypothesis import strategies as st
from waiting import LONG

from reconciler.store import tables
from reconciler.store.bulk import _MOST_WAITING, BackgroundWriter, insert_rows, new_ids
from reconciler.store.engine import Database
from reconciler.store.errors import StoreError

NAMES = st.lists(st.tuples(TEXTS, st.none() | TEXTS, st.booleans()), max_size=20)


@SEARCH
@given(NAMES)
def test_any_text_arrives_unchanged(database: Database, values: list[tuple[str, str | None, bool]]) -> None:
    emptied(database)
    rows = [(number, f"i{number}", display, text, enabled) for number, (text, display, enabled) in enumerate(values, 1)]
    with database.writing() as connection:
        insert_rows(connection, tables.issuers, rows, ("id", "name", "display_name", "description", "enabled"))
    found = query(database, "SELECT id, name, display_name, description, enabled FROM issuers ORDER BY id")
    assert found == rows


def test_columns_left_out_take_their_defaults(database: Database) -> None:
    with database.writing() as connection:
        insert_rows(connection, tables.issuers, [("tls",)], ("name",))
        insert_rows(connection, tables.issuers, [], ("name",))
    assert query(database, "SELECT name, description, enabled, labels, file FROM issuers") == [("tls", "", 1, "{}", None)]


def test_rows_in_the_order_of_the_table_need_no_columns(database: Database) -> None:
    with database.writing() as connection:
        insert_rows(connection, tables.previous_names, [("User", "old", "new")])
    assert query(database, "SELECT kind, previous, name FROM previous_names") == [("User", "old", "new")]


def test_ids_are_new_and_leave_room_for_others(database: Database) -> None:
    with database.writing() as connection:
        ids = new_ids(connection, tables.issuers, 3)
        assert len(set(ids)) == 3
        insert_rows(connection, tables.issuers, [(number, f"i{number}") for number in ids], ("id", "name"))
        insert_rows(connection, tables.issuers, [("other",)], ("name",))
        assert not set(ids) & {row[0] for row in connection.exec_driver_sql("SELECT id FROM issuers WHERE name = 'other'")}
        assert not set(new_ids(connection, tables.issuers, 2)) & {
            row[0] for row in connection.exec_driver_sql("SELECT id FROM issuers")
        }
        assert new_ids(connection, tables.issuers, 0) == []


def test_more_rows_than_a_statement_takes(database: Database) -> None:
    rows = [("User", f"old-{number}", f"new-{number}") for number in range(25_000)]
    with database.writing() as connection:
        insert_rows(connection, tables.previous_names, rows)
    assert sorted(query(database, "SELECT kind, previous, name FROM previous_names")) == sorted(rows)


def test_calls_in_the_background_are_made_in_their_order_by_the_end_of_the_block() -> None:
    made: list[int] = []
    with BackgroundWriter() as background:
        for number in range(100):
            background.call(made.append, number)
    assert made == list(range(100))


def test_the_caller_is_at_most_so_many_calls_ahead() -> None:
    go, made = Event(), list[int]()
    with BackgroundWriter() as background:
        background.call(go.wait, LONG)
        for number in range(1, _MOST_WAITING):
            background.call(made.append, number)
        assert not background._free.acquire(blocking=False)  # the next call would wait
        go.set()
        background.call(made.append, _MOST_WAITING)
    assert made == list(range(1, _MOST_WAITING + 1))


def test_no_background_call_follows_one_that_failed(database: Database) -> None:
    made: list[int] = []
    with pytest.raises(StoreError, match="refused"), database.writing() as connection, BackgroundWriter() as background:
        background.call(insert_rows, connection, tables.previous_names, [("User", "a", "b")])
        background.call(insert_rows, connection, tables.previous_names, [("User", "a", "c")])
        background.call(made.append, 1)
    assert not made
    assert query(database, "SELECT * FROM previous_names") == []


class Ended(Event):
    """What the caller waits for at the end of a block; tells each time that it begins to."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: SimpleQueue[None] = SimpleQueue()

    def wait(self, timeout: float | None = None) -> bool:
        self.waiting.put(None)
        while not super().wait(0.05):  # Ctrl-C just before a wait without end is noticed only at its end
            pass
        return True


def test_an_error_in_the_block_waits_for_the_running_call() -> None:
    made: list[str] = []
    begun, ended = Event(), Ended()

    def slow() -> None:
        begun.set()
        ended.waiting.get(timeout=LONG)
        made.append("first")

    with pytest.raises(LookupError), BackgroundWriter() as background:
        background._ended = ended
        background.call(slow)
        background.call(made.append, "second")
        assert begun.wait(LONG)
        raise LookupError
    assert made == ["first"]


def test_ctrl_c_cannot_leave_a_call_behind() -> None:
    """A second one neither: what is rolled back must not be written to any more."""
    made: list[str] = []
    ended = Ended()

    def interrupting() -> None:
        for _ in range(2):
            ended.waiting.get(timeout=LONG)
            os.kill(os.getpid(), signal.SIGINT)
        ended.waiting.get(timeout=LONG)
        made.append("first")

    with pytest.raises(KeyboardInterrupt), BackgroundWriter() as background:
        background._ended = ended
        background.call(interrupting)
        background.call(made.append, "second")
    assert made == ["first"]
