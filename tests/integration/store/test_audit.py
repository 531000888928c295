"""The audit log is a chain: no entry can be altered, removed, added or moved without being found."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from declared_states import LATER, NOW, SEARCH, SMALL, TEXTS, bring, emptied, run_sql
from hypothesis import given
from hypothesis import strategies as st

from reconciler.store import tables
from reconciler.store.audit import (
    GENESIS,
    AuditEntry,
    Broken,
    Event,
    append,
    chain_head,
    entry_hash,
    from_lines,
    last_entry_for,
    raw_entries,
    read_audit,
    to_line,
    verify,
)
from reconciler.store.engine import Database
from reconciler.store.errors import UnreadableLog

DETAILS = st.dictionaries(TEXTS, TEXTS | st.integers(-9, 9), max_size=3)
EVENTS = st.builds(Event, TEXTS, st.sampled_from(["User", "Team", ""]), TEXTS, DETAILS)
Row = tuple[Any, ...]


def write(database: Database, *batches: list[Event]) -> None:
    with database.writing() as connection:
        for number, events in enumerate(batches):
            append(connection, events, at=NOW, actor=f"actor {number}", revision_id=number or None)


def whole(database: Database) -> tuple[list[Row], int, str]:
    with database.reading() as connection:
        return [tuple(row) for row in raw_entries(connection)], *chain_head(connection)


def checked(database: Database) -> Broken | None:
    rows, count, head = whole(database)
    return verify(rows, count=count, head=head)


def some(number: int) -> list[Event]:
    return [Event("user.create", "User", f"u{index}", {"fields": {"n": index}}) for index in range(number)]


@SEARCH
@given(st.lists(st.lists(EVENTS, max_size=4), min_size=1, max_size=3))
def test_appended_entries_are_read_back_and_verify(database: Database, batches: list[list[Event]]) -> None:
    emptied(database)
    write(database, *batches)
    assert checked(database) is None
    with database.reading() as connection:
        entries = read_audit(connection)
    written = [(event, f"actor {number}", number or None) for number, events in enumerate(batches) for event in events]
    assert [(Event(*entry[3:6], orjson.loads(entry.detail)), entry.actor, entry.revision_id) for entry in entries] == written
    assert [entry.id for entry in entries] == list(range(1, len(written) + 1))
    assert all(entry.at == NOW for entry in entries)


def test_the_log_of_applies_verifies(database: Database) -> None:
    bring(database, SMALL)
    bring(database, SMALL._replace(settings=None), commit="beef")
    assert checked(database) is None
    assert whole(database)[1] == len(whole(database)[0]) > 10


def test_an_empty_log_verifies(database: Database) -> None:
    assert whole(database) == ([], 0, GENESIS)
    assert checked(database) is None


def test_more_entries_than_one_batch_verify(database: Database) -> None:
    write(database, some(10_001), some(1))
    assert checked(database) is None
    assert whole(database)[1] == 10_002


ALTERED = {"revision_id": 99, "at": datetime(2020, 1, 1, tzinfo=UTC), "previous_hash": "f" * 64, "hash": "f" * 64}


@pytest.mark.parametrize("column", [column.name for column in tables.audit.columns if column.name != "id"])
@pytest.mark.parametrize("entry", [1, 3, 5])
def test_an_altered_column_of_any_entry_is_found(database: Database, column: str, entry: int) -> None:
    write(database, some(5))
    with database.writing() as connection:
        new = {column: ALTERED.get(column, "other")}
        connection.execute(tables.audit.update().where(tables.audit.c.id == entry).values(new))
    broken = checked(database)
    assert broken is not None
    assert broken.id in (entry, entry + 1)


@pytest.mark.parametrize("entry", [1, 3, 5])
def test_a_removed_entry_is_found(database: Database, entry: int) -> None:
    write(database, some(5))
    run_sql(database, f"DELETE FROM audit WHERE id = {entry}")
    assert checked(database) is not None
    rows, _, _ = whole(database)
    assert entry == 5 or verify(rows) is not None  # the last one's absence is seen by the head alone


def test_a_log_cut_off_with_its_head_rewritten_is_found_by_its_length(database: Database) -> None:
    write(database, some(5))
    rows, count, _ = whole(database)
    assert verify(rows[:3], count=count, head=rows[2][9]) == Broken(3, "the log ends here, but 5 entries were written")


def test_a_log_that_is_gone_is_found(database: Database) -> None:
    write(database, some(5))
    run_sql(database, "DELETE FROM audit")
    assert checked(database) is not None


def chain(number: int) -> list[Row]:
    """A chain of entries, made without any database."""
    rows: list[Row] = []
    previous = GENESIS
    for index in range(1, number + 1):
        row = (index, "2026-06-01T00:00:00.000000Z", "a", "user.create", "User", f"u{index}", None, "{}", previous)
        previous = entry_hash(row)
        rows.append((*row, previous))
    return rows


@SEARCH
@given(st.data())
def test_only_the_unaltered_log_verifies(data: st.DataObject) -> None:
    rows = chain(data.draw(st.integers(2, 6)))
    count, head = len(rows), rows[-1][9]
    assert verify(rows, count=count, head=head) is None
    change = data.draw(st.sampled_from(["remove", "swap", "repeat", "alter", "truncate", "replace"]))
    other = list(rows)
    place = data.draw(st.integers(0, len(rows) - 1))
    if change == "remove":
        del other[place]
    elif change == "swap":
        second = data.draw(st.integers(0, len(rows) - 1).filter(lambda number: number != place))
        other[place], other[second] = other[second], other[place]
    elif change == "repeat":
        other.insert(place, other[place])
    elif change == "truncate":
        other = other[:place]
    elif change == "alter":
        column = data.draw(st.integers(0, 9))
        value = data.draw(st.integers(0, 9) | TEXTS)
        other[place] = (*other[place][:column], value, *other[place][column + 1 :])
    else:  # a forger who rehashes everything from some entry on still has another head
        forged = chain(len(rows))
        forged = [(*row[:2], "mallory", *row[3:]) if index == place else row for index, row in enumerate(forged)]
        other = rehashed(forged)
    assert (other == rows) == (verify(other, count=count, head=head) is None)


def rehashed(rows: list[Row]) -> list[Row]:
    found: list[Row] = []
    previous = GENESIS
    for row in rows:
        content = (*row[:8], previous)
        previous = entry_hash(content)
        found.append((*content, previous))
    return found


def test_entries_are_found_by_resource_and_revision(database: Database) -> None:
    write(database, some(2), [Event("user.update", "User", "u0", {}), Event("team.create", "Team", "u0", {})])
    with database.reading() as connection:
        assert [entry.action for entry in read_audit(connection, kind="User", name="u0")] == ["user.create", "user.update"]
        assert [entry.id for entry in read_audit(connection, revision_id=1)] == [3, 4]
        assert [entry.id for entry in read_audit(connection, limit=2)] == [3, 4]
        assert [entry.id for entry in read_audit(connection, since=NOW)] == [1, 2, 3, 4]
        assert read_audit(connection, since=LATER) == []
        last = last_entry_for(connection, "User", "u0")
        assert isinstance(last, AuditEntry)
        assert last.action == "user.update"
        assert last_entry_for(connection, "User", "nobody") is None


def test_an_entry_at_any_instant_verifies(database: Database) -> None:
    with database.writing() as connection:
        append(connection, some(1), at=LATER, actor="é𝄞\n\t\\N")
    assert checked(database) is None


@SEARCH
@given(st.lists(EVENTS, min_size=1, max_size=6), st.data())
def test_a_log_verifies_away_from_its_database(database: Database, events: list[Event], data: st.DataObject) -> None:
    emptied(database)
    write(database, events, events)
    rows, count, head = whole(database)
    lines = [to_line(row) for row in rows]
    assert all(line.count(b"\n") == 1 for line in lines)
    assert [tuple(row) for row in from_lines(lines)] == rows
    assert verify(from_lines(lines), count=count, head=head) is None
    gone = data.draw(st.integers(0, count - 1))
    assert verify(from_lines(lines[:gone] + lines[gone + 1 :]), count=count, head=head) is not None
    column = data.draw(st.sampled_from(AuditEntry._fields))
    other = {**orjson.loads(lines[gone]), column: 99}
    assert verify(from_lines([*lines[:gone], orjson.dumps(other), *lines[gone + 1 :]]), count=count, head=head) is not None


ENTRY = dict(zip(AuditEntry._fields, (1, "t", "a", "x", "", "", None, "{}", GENESIS, "0"), strict=True))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff",
        b"apiVersion: accord/v1",
        b"[1, 2]",
        b"{}",
        orjson.dumps({**ENTRY, "id": "1"}),
        orjson.dumps({**ENTRY, "id": None}),
        orjson.dumps({**ENTRY, "detail": {"a": 1}}),
        orjson.dumps({**ENTRY, "more": 1}),
        b'{"detail":' + b"[" * 300 + b"]" * 300 + b"}",
    ],
)
def test_a_line_that_is_not_an_entry_is_named(line: bytes) -> None:
    assert list(from_lines([orjson.dumps(ENTRY)])) == [tuple(ENTRY.values())]
    with pytest.raises(UnreadableLog, match="line 2"):
        list(from_lines([orjson.dumps(ENTRY), line]))
