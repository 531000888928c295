"""Lists in pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import NotFound
from api.state.pages import cut, start, start_instant, start_number


def after(items: list[str], limit: int) -> list[str]:
    """All items, page after page, as a query would give them."""
    found: list[str] = []
    cursor = None
    while True:
        behind = [{"name": item} for item in sorted(items) if item > start(cursor)]
        page = cut(behind[: limit + 1], limit, "name")
        assert len(page["items"]) <= limit
        found += [item["name"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return found


@given(st.sets(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)), st.integers(1, 5))
def test_no_page_skips_or_repeats(items: set[str], limit: int) -> None:
    assert after(list(items), limit) == sorted(items)


@given(st.integers(1, 999_999_999))
def test_numbers_are_carried_too(number: int) -> None:
    page = cut([{"id": number}, {"id": number - 1}], 1, "id")
    assert start_number(page["next"]) == number


def test_without_a_cursor_it_is_the_first_page() -> None:
    assert start(None) == start("") == ""
    assert start_number(None) > 2**30


@pytest.mark.parametrize("cursor", ["A", "AA", "_w", "AAAA", "gICA", "-"])
def test_what_is_no_cursor_is_no_page(cursor: str) -> None:
    with pytest.raises(NotFound):
        start(cursor)


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "9" * 10, "\u0661", " 1"])
def test_a_name_is_no_number(text: str) -> None:
    name = cut([{"id": text}, {"id": ""}], 1, "id")["next"]
    with pytest.raises(NotFound):
        start_number(name)


def test_an_instant_and_a_number_are_carried_together() -> None:
    items = [{"at": "2026-12-31T18:00:00.000000Z", "id": 7}, {"at": "2026-12-31T18:00:00.000000Z", "id": 8}]
    page = cut(items, 1, lambda item: f"{item['at']} {item['id']}")
    assert start_instant(page["next"]) == ("2026-12-31T18:00:00.000000Z", 7)
    assert start_instant(None) == start_instant("") == ("", 0)


@pytest.mark.parametrize("text", ["x", "2026-12-31T18:00:00.000000Z", "2026-12-31 18:00:00 7", "2026-12-31T18:00:00.000000Z -1"])
def test_a_name_is_no_instant(text: str) -> None:
    with pytest.raises(NotFound):
        start_instant(cut([{"id": text}, {"id": ""}], 1, "id")["next"])
