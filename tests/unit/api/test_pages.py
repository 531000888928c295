"""Lists in pages."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import NotFound
from api.state.pages import Page, contains

FIRST = Page(None, 1)


def after(items: list[str], limit: int) -> list[str]:
    """All items, page after page, as a query would give them."""
    found: list[str] = []
    cursor = None
    while True:
        page = Page(cursor, limit)
        behind = [{"name": item} for item in sorted(items) if item > page.after_name]
        shown = page.cut(behind[: limit + 1], "name")
        assert len(shown["items"]) <= limit
        found += [item["name"] for item in shown["items"]]
        cursor = shown["next"]
        if cursor is None:
            return found


@given(st.sets(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)), st.integers(1, 5))
def test_no_page_skips_or_repeats(items: set[str], limit: int) -> None:
    assert after(list(items), limit) == sorted(items)


@given(st.integers(1, 999_999_999))
def test_a_cursor_can_carry_a_number(number: int) -> None:
    page = FIRST.cut([{"id": number}, {"id": number - 1}], "id")
    assert Page(page["next"], 1).before_number == number


def test_without_a_cursor_the_page_is_the_first() -> None:
    assert FIRST.after_name == Page("", 1).after_name == ""
    assert FIRST.before_number > 2**30


@pytest.mark.parametrize("cursor", ["A", "AA", "_w", "AAAA", "gICA", "-"])
def test_a_made_up_cursor_has_no_page(cursor: str) -> None:
    with pytest.raises(NotFound):
        _ = Page(cursor, 1).after_name


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "9" * 10, "\u0661", " 1"])
def test_a_name_is_not_a_number(text: str) -> None:
    name = FIRST.cut([{"id": text}, {"id": ""}], "id")["next"]
    with pytest.raises(NotFound):
        _ = Page(name, 1).before_number


def test_a_cursor_can_carry_an_instant_and_a_number() -> None:
    items = [{"at": "2026-12-31T18:00:00.000000Z", "id": 7}, {"at": "2026-12-31T18:00:00.000000Z", "id": 8}]
    page = FIRST.cut(items, lambda item: f"{item['at']} {item['id']}")
    assert Page(page["next"], 1).after_instant == ("2026-12-31T18:00:00.000000Z", 7)
    assert FIRST.after_instant == Page("", 1).after_instant == ("", 0)


@pytest.mark.parametrize("text", ["x", "2026-12-31T18:00:00.000000Z", "2026-12-31 18:00:00 7", "2026-12-31T18:00:00.000000Z -1"])
def test_a_name_is_not_an_instant(text: str) -> None:
    with pytest.raises(NotFound):
        _ = Page(FIRST.cut([{"id": text}, {"id": ""}], "id")["next"], 1).after_instant


@pytest.mark.parametrize("text", ["50%", "a_b", "C:\\x", "Ab"])
def test_a_search_takes_its_text_literally_in_either_case(text: str) -> None:
    condition, values = contains(("a", "b"), text)
    rows = [(f"<{text.upper()}>", ""), ("", f"<{text.lower()}>"), ("50x", "axb"), ("C:x", "")]
    query = f"WITH t(a, b) AS (VALUES (?, ?), (?, ?), (?, ?), (?, ?)) SELECT count(*) FROM t WHERE {condition}"
    with sqlite3.connect(":memory:") as connection:
        (found,) = connection.execute(query, (*sum(rows, ()), *values)).fetchone()
    assert found == 2
