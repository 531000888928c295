"""Every text comes back exactly, whichever YAML version reads it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.source.yaml_text import Plain, yaml_document

CORE = re.compile(  # what YAML 1.2's core schema does not read as a string
    r"|~|null|Null|NULL|true|True|TRUE|false|False|FALSE|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


def words(text: str) -> list[str]:
    return text.split()


NASTY = [
    *words("yes no on off y n Y NO true False null ~ NULL = <<"),
    *words("0 -1 +1 010 0o17 0x1F 0b1 1_000 1,000 1e3 1.5 .5 -.5e-3 1. .inf -.INF .nan 1:30 190:20:30 12:30:45.5 08"),
    *words("2026-12-31 2026-1-1 2026-12-31T18:00:00Z 2001-12-14t21:59:43.10-05:00"),
    "2026-12-31 18:00:00",
    *words("- ? : -a ?a :a a: a:b , [ ] { } # a# & * ! | > ' \" % @ ` --- ... ...x . + \\ /"),
    *["", " ", " a", "a ", "a #b", "a: b", "- a", "\ta", "a\tb", "a\t", "\\n", '"', "'a'", "{{ x }}", "*", "192.168.15.*"],
    *[
        "a\nb",
        "a\nb\n",
        "a\n\n",
        "\n",
        "\na",
        " a\nb",
        "a\n  ",
        "a\n b\n",
        "a\n\n\nb",
        "a\n\tb",
        "a\r\nb",
        "a\n---\nb",
        "a\n# b",
        "a\nb ",
    ],
    *[
        "\0",
        "\x07",
        "\x1b",
        "\x7f",
        "\x85",
        "\xa0",
        "\u2028",
        "a\u2029b\n",
        "\ufeff",
        "\ufeffa",
        "\u200d",
        "\u202e",
        "\ufffe",
        "😀",
        "e\u0301",
    ],
    *["ü", "é", "日本語", "Ω:", "x" * 2000, '"' * 1500, "a " * 700, "a\n" * 700],
]


def reread(value: dict[str, Any]) -> Any:
    """What PyYAML, which reads YAML 1.1, makes of a document written here; its two parsers must agree."""
    text = yaml_document(value)
    slow = yaml.load(text, Loader=yaml.SafeLoader)
    assert yaml.load(text, Loader=yaml.CSafeLoader) == slow
    return slow


def plain_scalars(text: str) -> list[str]:
    return [node.value for node in yaml.parse(text) if isinstance(node, yaml.ScalarEvent) and not node.style]


def holds(value: str) -> None:
    document = {"spec": {"key": value, "list": [value, {"in": value, "after": value}], "last": value}}
    assert reread(document) == document
    for scalar in plain_scalars(yaml_document({"key": value})):
        assert not CORE.fullmatch(scalar)


@pytest.mark.parametrize("value", NASTY, ids=ascii)
def test_a_nasty_text_comes_back_exactly(value: str) -> None:
    holds(value)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("a\n  \n")
def test_any_text_comes_back_exactly(value: str) -> None:
    holds(value)


@given(st.text(alphabet="0123456789.-+_:eExob,Tt Znyaflsu~=<#'\"\n[]{}&*!|>%@`\\", max_size=12))
def test_any_text_of_characters_that_mean_something_comes_back_exactly(value: str) -> None:
    holds(value)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0x7F), max_size=6), min_size=1))
def test_a_list_in_a_list_comes_back_exactly(value: list[str]) -> None:
    assert reread({"key": [value]}) == {"key": [value]}


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60), st.text(max_size=5)))
def test_any_key_comes_back_exactly(value: dict[str, str]) -> None:
    assert reread({"labels": value, "end": True}) == {"labels": value, "end": True}


@pytest.mark.parametrize(
    "text",
    ["Alice Jones", "Runs the public web tier", "10.20.0.0/16", "192.168.15.1-192.168.15.128", "2001:db8::/32", "CN=PKI,OU=x",
     "a@example.org", "Server certificates for *.corp.example.org", "Jürgen O'Neill (web)", "10%", "30m", "A & B", "10.0.0.5"],
)  # fmt: skip
def test_unambiguous_scalars_are_left_plain(text: str) -> None:
    assert yaml_document({"key": text}) == f"key: {text}\n"


def test_several_lines_are_a_literal_block_that_people_can_edit() -> None:
    assert yaml_document({"text": "Hello\n\n  you\n"}) == "text: |\n  Hello\n\n    you\n"
    assert yaml_document({"text": "Hello\nyou"}) == "text: |-\n  Hello\n  you\n"
    assert yaml_document({"text": "Hello\n\n\n", "b": 1}) == "text: |+\n  Hello\n\n\nb: 1\n"


def test_a_date_stays_plain_only_where_it_is_meant_as_one() -> None:
    assert yaml_document({"until": Plain("2026-12-31"), "name": "2026-12-31"}) == 'until: 2026-12-31\nname: "2026-12-31"\n'


def test_empty_and_null_values_are_written_in_one_word() -> None:
    text = yaml_document({"a": {}, "b": [], "c": None, "d": False, "e": 3, "f": [{}, [], None, True, 4, [1, None]]})
    assert text == "a: {}\nb: []\nc: null\nd: false\ne: 3\nf:\n  - {}\n  - []\n  - null\n  - true\n  - 4\n  - [1, null]\n"
