"""The nearest valid name to one that does not exist."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.wording.nearest import did_you_mean, nearest

NAMES = ["tls-public", "tls-internal", "vpn", "Straße"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("tls-pubilc", "tls-public"),
        ("TLS-PUBLIC", "tls-public"),
        ("tls-intern", "tls-internal"),
        ("vnp", "vpn"),
        ("STRASSE", "Straße"),
        ("zebra", None),
        ("", None),
    ],
)
def test_the_most_similar_name_is_found_if_there_is_one(written: str, meant: str | None) -> None:
    assert nearest(written, NAMES) == meant
    assert did_you_mean(written, NAMES) == ("" if meant is None else f"; did you mean `{meant}`?")


def test_where_there_are_no_names_none_is_near() -> None:
    assert nearest("alice", []) is None


def test_a_very_long_name_is_answered_at_once() -> None:
    assert nearest("x" * 1_000_000, NAMES) is None


@given(st.lists(st.text(min_size=1, max_size=200), min_size=1, unique_by=str.casefold), st.data())
def test_a_name_is_nearest_to_itself(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    if len(name.casefold()) <= 200:
        assert nearest(name, names) == name
