"""What counts as one login."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.access.login_names import check_alias, folded

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Fred Bloggs", "FRED BLOGGS"),
        ("jörg", "JO\u0308RG"),
        ("straße", "STRASSE"),
        ("ﬁona", "FIONA"),
        ("ｆｒｅｄ", "fred"),
        ("\u212aate", "kate"),
        ("σίσυφος", "ΣΊΣΥΦΟΣ"),
    ],
)
def test_logins_that_look_the_same_are_one(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@given(TEXTS)
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@given(st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,63}\Z"))
def test_a_declared_name_stays_as_it_is(name: str) -> None:
    assert folded(name) == folded(name.upper()) == name


@pytest.mark.parametrize("text", ["Fred.Bloggs@example.org", "CORP\\fred", "Fred Bloggs", "Jörg", "王小明", "o'neill", "DOM/x+1"])
def test_user_names_of_windows_can_be_aliases(text: str) -> None:
    check_alias(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " fred",
        "fred ",
        "fr\u200bed",
        "fr\u202eed",
        "fr\ned",
        "fr\u3164ed",
        "fr\ufe0fed",
        "fr\u00a0ed",
        "\u00a8fred",
        "\ufdfa" * 40,
    ],
)
def test_what_nobody_sees_and_what_is_too_long_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"the login"):
        check_alias(text)
