"""Many rows at once arrive as they were, whatever they hold."""

from __future__ import annotations

from declared_states import SEARCH, TEXTS, emptied, query
from hypothesis import given
from hypothesis import strategies as st

from reconciler.store import tables
from reconciler.store.bulk import insert_rows, new_ids
from reconciler.store.engine import Database

NAMES = st.lists(st.tuples(TEXTS, st.none() | TEXTS, st.booleans()), max_size=20)


@SEARCH
@given(NAMES)
def test_any_text_arrives_as_it_was(database: Database, values: list[tuple[str, str | None, bool]]) -> None:
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
