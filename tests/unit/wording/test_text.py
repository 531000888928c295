"""What is shown is text, whatever it says: no terminal and no CI runner obeys it."""

from __future__ import annotations

import html
import re
import subprocess
import sys
import unicodedata

import orjson
import pytest
from effort import tries
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.wording.text import command_line, inert, inert_html, inert_json, inert_lines, printable

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
PIECES = [
    "::",
    ":",
    "#",
    "##",
    "[",
    "vso",
    "teamcity",
    "--- ",
    "+++ ",
    "\n",
    "\r",
    " ",
    "\xa0",
    "\u3000",
    "\x1b",
    "\u202e",
    "\ue000",
]
hostile = st.lists(st.sampled_from(PIECES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)).map("".join)


def obeyed(text: str) -> list[str]:
    """The lines that a runner would take for its own, and the characters that a terminal would."""
    lines = [line for line in text.split("\n") if re.match(r"\s*::|(---|\+\+\+|~~~) ", line)]
    return lines + re.findall(r"##[A-Za-z]*\[", text) + [char for char in text if char not in "\n\t" and is_hidden(char)]


def is_hidden(char: str) -> bool:
    return unicodedata.category(char) in HIDDEN


@settings(max_examples=tries(500))
@given(hostile)
def test_nothing_in_a_text_is_obeyed(text: str) -> None:
    assert obeyed(inert(text)) == []
    assert inert(inert(text)) == inert(text)
    assert not any(map(is_hidden, printable(text)))


@settings(max_examples=tries(500))
@given(st.dictionaries(hostile, hostile | st.lists(hostile)))
def test_nothing_in_json_is_obeyed_and_it_says_the_same(value: dict[str, object]) -> None:
    for option in (0, orjson.OPT_INDENT_2):
        written = inert_json(orjson.dumps(value, option=option).decode())
        assert obeyed(written) == []
        assert orjson.loads(written) == value


@settings(max_examples=tries(500))
@given(hostile)
def test_nothing_in_a_page_is_obeyed_and_it_shows_the_same(text: str) -> None:
    shown = "".join(char for char in text if not is_hidden(char) or char == "\n")
    page = inert_html(f"<p>{html.escape(shown)}</p>")
    assert obeyed(page) == []
    assert html.unescape(page) == f"<p>{shown}</p>"


def test_a_style_in_a_page_stays_one() -> None:
    assert (
        inert_html("<style>\na::after,\n  ::before { color: red }\n</style>")
        == "<style>\na::after, ::before { color: red }\n</style>"
    )


@pytest.mark.parametrize("text", ["", "plain", "a::b ## c", "tls [web]", "C# [x]", "-- \nAlice", "a\n\tb", "Zoë 東京"])
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert inert(text) == text
    assert inert_json(orjson.dumps(text).decode()) == orjson.dumps(text).decode()


def test_every_hidden_character_is_spelled_out() -> None:
    everything = [chr(number) for number in range(sys.maxunicode + 1)]
    assert [char for char in everything if is_hidden(char) and printable(char) == char] == []
    assert [
        char for char in everything if printable(char) != char and not (is_hidden(char) or unicodedata.category(char) == "Cn")
    ] == []


@pytest.mark.parametrize(
    "word",
    ["plain", "two words", "it's", "", "a\\u200d", "\U0001f469\u200d\U0001f4bb it's \\n",
     "\u202eabc", "soft\xadhyphen", "\x85\x1b[2J\r",
     "$(id)\u200c`id`\\'", "two\nlines\u200d\t", "\U000e0041"],
)  # fmt: skip
def test_a_command_in_which_something_hides_is_shown_and_is_read_as_it_was(word: str) -> None:
    line = command_line(["printf", "%s|%s", word, "after"])
    assert inert_lines(line) == line  # nothing hides in it, so what a page shows is what is copied
    run = subprocess.run(["bash", "-c", line], env={"LC_ALL": "C.UTF-8"}, capture_output=True, check=True)
    assert run.stdout.decode() == f"{word}|after"
