"""The secrets of sessions and tokens: their shape, and that a typo is refused without a look-up."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.authentication.principal import secret_of
from api.authentication.tokens import fingerprint, is_well_formed, new_accessor, new_secret
from api.errors import Unauthenticated

SECRET = new_secret()
EVERY_CHARACTER = string.ascii_letters + string.digits


@pytest.mark.parametrize("position", range(len(SECRET)))
def test_any_single_changed_character_is_refused(position: int) -> None:
    for character in EVERY_CHARACTER + "_-. \n\0\u0661":
        changed = SECRET[:position] + character + SECRET[position + 1 :]
        assert is_well_formed(changed) is (changed == SECRET)


@given(st.integers(0, len(SECRET) - 2))
def test_two_swapped_neighbours_are_refused(position: int) -> None:
    exchanged = SECRET[:position] + SECRET[position + 1] + SECRET[position] + SECRET[position + 2 :]
    assert is_well_formed(exchanged) is (exchanged == SECRET)


@given(st.text())
def test_no_other_text_is_a_secret(text: str) -> None:
    for wrong in (text, f"accord_{text}", SECRET + text if text else text, text + SECRET if text else text):
        assert not is_well_formed(wrong)


@pytest.mark.parametrize("around", ["{}\n", " {}", "{} ", "{}\0", "\ufeff{}", "{0}{0}", "{0} {0}"])
def test_nothing_may_surround_a_secret(around: str) -> None:
    assert not is_well_formed(around.format(SECRET))


def test_every_secret_is_new_and_of_one_shape() -> None:
    many = {new_secret() for _ in range(1000)}
    assert len(many) == 1000
    assert all(is_well_formed(each) and len(each) == len("accord_") + 49 for each in many)
    assert {character for each in many for character in each[7:]} == set(EVERY_CHARACTER)
    assert len({fingerprint(each) for each in many}) == len({new_accessor() for _ in range(1000)}) == 1000


def test_a_fingerprint_does_not_hold_the_secret() -> None:
    assert SECRET[7:] not in fingerprint(SECRET)
    assert len(fingerprint(SECRET)) == 64


@pytest.mark.parametrize("header", ["{}", "Bearer {}", "bearer {}", "BEARER   {}", " Bearer {} "])
def test_a_header_holds_a_secret_with_or_without_the_scheme(header: str) -> None:
    assert secret_of(header.format(SECRET)) == SECRET


@pytest.mark.parametrize(
    "header",
    [None, "", " ", "Bearer", "Bearer ", "Basic {}", "Bearer Bearer {}", "Bearer: {}", "Bearer {}x", "Bearer\t{}", "{} {}"],
)
def test_a_header_without_a_secret_is_unauthenticated(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        secret_of(header and header.format(SECRET, SECRET))


@pytest.mark.parametrize("header", ["Bearer {0}, Bearer {0}", "{0},{0}", "Bearer {0},", ","])
def test_two_headers_in_one_are_refused(header: str) -> None:
    with pytest.raises(Unauthenticated):
        secret_of(header.format(SECRET))
