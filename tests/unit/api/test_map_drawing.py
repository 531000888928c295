"""The drawing of the access map: nothing overlaps, bands meet their nodes side by side, and widths are in proportion."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.console.map_drawing import BOX, COLUMNS, LETTERS, WIDTH, Band, Drawing, Node, draw, shortened


def node(key: str) -> Node:
    return Node(key, key, "", key, "/")


@st.composite
def maps(draw_: st.DrawFn) -> tuple[dict[str, list[Node]], list[Band]]:
    sizes = [draw_(st.integers(1, 12)) for _ in COLUMNS]
    columns = {column: [node(f"{column}{number}") for number in range(size)] for column, size in zip(COLUMNS, sizes, strict=True)}
    pairs = [(a.key, b.key) for one, two in pairwise(COLUMNS) for a in columns[one] for b in columns[two]]
    chosen = draw_(st.lists(st.sampled_from(pairs), unique=True, max_size=40))
    return columns, [Band(a, b, draw_(st.integers(1, 1_000_000)), draw_(st.booleans()), "") for a, b in chosen]


def edges(outline: str) -> tuple[float, float, float, float]:
    """Where a band begins and ends at its left, and at its right."""
    found = re.fullmatch(r"M\S+ (\S+)c(\d+) 0 \2 (\S+) (\d+) \3v(\S+)c-\2 0-\2 (\S+?)-\4 \6z", outline)
    assert found is not None
    top, there, down, back = (float(found[part]) for part in (1, 3, 5, 6))
    return top, top + there + down + back, top + there, top + there + down


@given(maps())
def test_nodes_do_not_overlap_and_bands_lie_within_them(given_map: tuple[dict[str, list[Node]], list[Band]]) -> None:
    columns, bands = given_map
    drawing: Drawing = draw(columns, bands)  # type: ignore[arg-type]  # its own columns
    placed = {each.node.key: each for each in drawing.nodes}
    assert set(placed) == {each.key for nodes in columns.values() for each in nodes}
    for column in {each.x for each in drawing.nodes}:
        stacked = sorted((each.y, each.y + each.height) for each in drawing.nodes if each.x == column)
        assert all(above[1] < below[0] for above, below in pairwise(stacked))
        assert stacked[-1][1] <= drawing.height
        assert 0 <= column <= WIDTH - BOX
    for side, key in ((0, "source"), (2, "target")):
        for name, at in placed.items():
            spans = sorted(edges(each.outline)[side : side + 2] for each in drawing.bands if getattr(each.band, key) == name)
            assert all(one[1] <= two[0] + 0.11 for one, two in pairwise(spans))
            for low, high in spans:
                assert at.y - 0.11 <= low < high <= at.y + at.height + 0.11


def test_a_band_is_as_wide_as_what_it_carries() -> None:
    columns = {"people": [node("a")], "teams": [node("b"), node("c")], "issuers": [node("d")]}
    bands = [Band("a", "b", 100, False, ""), Band("a", "c", 300, True, ""), Band("b", "d", 400, False, "")]
    widths = [high - low for low, high, _, _ in (edges(each.outline) for each in draw(columns, bands).bands)]  # type: ignore[arg-type]
    assert widths[1] == pytest.approx(3 * widths[0], rel=0.01)
    assert widths[2] == pytest.approx(4 * widths[0], rel=0.01)


def test_an_empty_map_is_drawn() -> None:
    assert draw({"people": [], "teams": [], "issuers": []}, []).nodes == ()


@given(st.text(max_size=80), st.integers(12, LETTERS))
def test_labels_fit(text: str, letters: int) -> None:
    assert len(shortened(text, letters)) <= letters
