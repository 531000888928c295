"""How many guesses a password withstands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from api.authentication.generated import generate_password
from api.authentication.guessing import guesses, words_of


def test_what_separates_words_and_accents_do_not_hide_them() -> None:
    assert words_of(["\u00c9cole-Normale S\u00fcd"]) == {"ecole-normale sud", "ecolenormalesud", "ecole", "normale", "sud"}
    assert words_of(["al", "x-y"]) == {"x-y"}


def test_text_that_stands_twice_counts_once() -> None:
    assert guesses("vbkqzhwt") * 1_000 > guesses("vbkqzhwt!vbkqzhwt")
    assert guesses("vbkqzhwtvbkqzhwt") < 10 * guesses("vbkqzhwt")


def test_generated_passwords_are_beyond_guessing() -> None:
    assert min(guesses(generate_password(15)) for _ in range(50)) > 10**20


@pytest.mark.parametrize(
    "password",
    [
        "4@8({[<369!1|70$5+%2" * 13,
        "p@55w0rd4dm1n+35+!|7%2([{<8369" * 9,
        "12211212211" * 24,
        "theandofinonitsheisareas" * 11,
        "abaababaabaababaababaabaababaabaababaababaabaab" * 6,
    ],
)
def test_hostile_passwords_cost_no_more_than_some_work(password: str) -> None:
    """Counted in calls of functions, since clocks differ: zxcvbn by itself takes millions for these."""
    assert _calls(lambda: guesses(password[:256])) < 100_000


def _calls(work: Callable[[], Any]) -> int:
    count = 0

    def trace(_: FrameType, event: str, __: Any) -> None:
        nonlocal count
        count += event == "call"

    guesses("load the dictionaries")
    sys.setprofile(trace)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
