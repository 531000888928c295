"""Strict YAML: what is read is YAML 1.2's core schema; everything else is refused at its place, quickly and in little memory."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import yaml
from growth import assert_linear
from hypothesis import example, given, settings
from hypothesis import strategies as st

import reconciler.source.documents
from reconciler.source.documents import (
    DEEPEST,
    LARGEST_DOCUMENT,
    LARGEST_FILE,
    LONG_TEXT,
    MOST_ALIASED,
    Document,
    Unreadable,
    parse,
    read,
)


def value(text: str | bytes) -> Any:
    """The value of a file with one document."""
    (document,) = parse(text.encode() if isinstance(text, str) else text)
    return document.value


def refusal(content: str | bytes) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        parse(content.encode() if isinstance(content, str) else content)
    return caught.value


def refused(content: str | bytes) -> tuple[str, int, int]:
    """The rule and the place by which content is refused."""
    error = refusal(content)
    return error.rule, error.line, error.column


# Scalars


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "off", "Yes", "NO", "y", "n", "2026-12-31", "2026-12-31T18:00:00Z", "1:30", "190:20:30", "1_000", "0b11"],
)
def test_types_of_yaml_1_1_only_are_text(text: str) -> None:
    assert value(f"a: {text}") == {"a": text}


@pytest.mark.parametrize("text", ["=", "-", ".", "-.", "+", "0x", "0o8", "1e", "1.2.3", "nil", "tRUE", "~x", "10.0.0.0/8", "-a"])
def test_a_scalar_that_only_begins_like_a_number_or_word_is_text(text: str) -> None:
    assert value(f"[{text}]") == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False),
        ("null", None), ("Null", None), ("NULL", None), ("~", None), ("", None),
        ("0", 0), ("-0", 0), ("12", 12), ("+12", 12), ("-12", -12), ("012", 12), ("0o14", 12), ("0x1F", 31),
        ("1.5", 1.5), ("-.5", -0.5), ("1.", 1.0), ("1e3", 1000.0), ("1.5E-1", 0.15), ("+1e+2", 100.0),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2s_core_schema(text: str, expected: object) -> None:
    found = value(f"a: {text}")["a"]
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize("text", ["true", "null", "12", "1.5", "~", ""])
def test_quoted_and_block_scalars_are_text(text: str) -> None:
    assert value(f"a: '{text}'\nb: \"{text}\"\nc: |-\n  {text}\n") == {"a": text, "b": text, "c": text}


@pytest.mark.parametrize(
    "text", [".inf", "-.inf", "+.Inf", ".INF", ".nan", ".NaN", ".NAN", "1e400", "-1e400", "9" * 41, "9" * 5000]
)
def test_numbers_that_cannot_be_held_exactly_are_refused(text: str) -> None:
    assert refused(f"a:\n  - {text}") == ("number", 2, 5)


# Documents


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"# nothing\n", b"---\n", b"---\n---\n...\n", b"\xef\xbb\xbf", b"--- ~\n", b"null"]
)
def test_an_empty_file_has_no_documents(content: bytes) -> None:
    assert parse(content) == []


def test_each_document_knows_the_line_it_begins_on() -> None:
    content = b"# one\n\na: 1\n---\n# two\nb: 2\n---\n---\n\n[c]\n...\n---  # three\nd\n"
    assert parse(content) == [Document(3, {"a": 1}), Document(6, {"b": 2}), Document(10, ["c"]), Document(13, "d")]


def test_a_byte_order_mark_and_windows_line_ends_change_neither_values_nor_places() -> None:
    plain = b"a: 1\n---\nb:\n  - x\n  - |\n    y\n"
    windows = plain.replace(b"\n", b"\r\n")
    assert parse(b"\xef\xbb\xbf" + windows) == parse(windows) == parse(plain)
    assert refused(b"\xef\xbb\xbfa: 1\r\na: 2\r\n") == refused(b"a: 1\na: 2\n") == ("duplicate-key", 2, 1)


# What is refused


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ("duplicate-key", 3, 1)),
        ("x:\n  - {a: 1, \"a\": 2}\n", ("duplicate-key", 2, 12)),
        ("a: 1\n'a': 2\n", ("duplicate-key", 2, 1)),
        ("a: &x 1\nb: {*x : 2}\n", ("key", 1, 4)),
        ("1: a\n", ("key", 1, 1)),
        ("true: a\n", ("key", 1, 1)),
        ("? [a]\n: b\n", ("key", 1, 3)),
        ("? \n: a\n", ("key", 1, 2)),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", ("merge-key", 3, 3)),
        ("a: !!str 1\n", ("tag", 1, 4)),
        ("a: !secret x\n", ("tag", 1, 4)),
        ("a: !!python/object/apply:os.system [ls]\n", ("tag", 1, 4)),
        ("- !!map {a: 1}\n", ("tag", 1, 3)),
        ("!x\na: 1\n", ("tag", 1, 1)),
        ("a: ! 1\n", ("tag", 1, 4)),
        ('\ufeffé: ! "1"\n', ("tag", 1, 4)),
        ("a: &x ! [1]\n", ("tag", 1, 4)),
        ("a: &x # why\n  ! 1\n", ("tag", 1, 4)),
        ("%TAG ! tag:example.org:\n---\n!x a\n", ("tag", 3, 1)),
        ("a: &x [*x]\n", ("alias", 1, 4)),
        ("a: &x {b: {c: *x}}\n", ("alias", 1, 4)),
        ("a: *nowhere\n", ("yaml-syntax", 1, 4)),
        ("a: 1\nb: [1, 2\n", ("yaml-syntax", 2, 4)),
        ("a: b: c\n", ("yaml-syntax", 1, 4)),
        ("a: \"\n\n", ("yaml-syntax", 1, 4)),
        ("a: \"\\ud800\"\n", ("yaml-syntax", 1, 4)),
        ("{a: 1} {b: 2}\n", ("yaml-syntax", 1, 8)),
    ],
)  # fmt: skip
def test_ambiguous_yaml_is_refused_at_its_place(content: str, expected: tuple[str, int, int]) -> None:
    assert refused(content) == expected


def test_a_quoted_key_that_looks_like_a_merge_key_is_a_key() -> None:
    assert value("'<<': 1") == {"<<": 1}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a:\n\tb: 1\n", ("tab", 2, 1)),
        ("a:\n  b: 1\n \tc: 1\n", ("tab", 3, 2)),
        ("a:\n  - b\n\t- c\n", ("tab", 3, 1)),
        ("a: {\n\tb: 1}\n", ("tab", 2, 1)),
        ("a: [\n  b,\n  \tc]\n", ("tab", 3, 3)),
        ("a: 'b\n\tc'\n", ("tab", 2, 1)),
        ("a: b\n \tc\n", ("tab", 2, 2)),
        ("a: |\n  b\nc:\n  d: [\n\te]\n", ("tab", 5, 1)),
        ("a: |\n\tb\n", ("tab", 2, 1)),
        ("a: 1\n---\nb: [\n\tc]\n", ("tab", 4, 1)),
    ],
)
def test_a_tab_that_indents_is_refused_wherever_libyaml_would_let_it_pass(content: str, expected: tuple[str, int, int]) -> None:
    assert refused(content) == expected


def test_a_tab_that_indents_nothing_is_read() -> None:
    content = "a:\t1\nb: |\n  x\n  \ty\n\nc: >-\n  1\n\n   \t2\n# \tcomment\n"
    assert value(content) == {"a": 1, "b": "x\n\ty\n", "c": "1\n\n \t2\n"[:-1]}


@pytest.mark.parametrize(
    "char",
    [*"\x00\x01\x08\x0b\x0c\x1b\x7f\x80\x85\x9f", *"\u202a\u202e\u2066\u2069\u2028\u2029\ufeff\ufffe\uffff"],
)
def test_invisible_characters_are_refused_raw_and_escaped(char: str) -> None:
    assert refused(f"a: b\nc: x{char}y\n") == ("control-character", 2, 5)
    assert refused(f"a: b # {char}\n") == ("control-character", 1, 8)
    assert refused(f'a: b\nc: ["\\u{ord(char):04x}"]\n') == ("control-character", 2, 5)
    assert refused(f'a: b\n"\\u{ord(char):04x}": c\n') == ("control-character", 2, 1)


def test_a_line_break_that_reviewers_do_not_see_hides_nothing() -> None:
    for hidden in ("# harmless\radministrator: true\n", "a: harmless\x85administrator: true\n", "a: harmless\u2028b: true\n"):
        assert refusal(hidden).rule == "control-character"
    for escape in ("\\N", "\\L", "\\P", "\\0", "\\a", "\\e"):
        assert refused(f'a: "{escape}"') == ("control-character", 1, 4)


def test_a_refused_character_is_named() -> None:
    assert "U+202E, right-to-left override" in refusal("a: \u202e").message
    assert "U+0007, a control character" in refusal('a: "\\a"').message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: \xff\n", ("not-utf-8", 1, 4)),
        (b"a: 1\n\nb: \xe4\xf6\n", ("not-utf-8", 3, 4)),
        (b"\xef\xbb\xbfa\xc3\xa4\xff", ("not-utf-8", 1, 3)),
        (b"a\n\xc3\xa4\xc3\xa4\xff", ("not-utf-8", 2, 3)),
        ("a: ä".encode("latin-1"), ("not-utf-8", 1, 4)),
        ("a: 1".encode("utf-16"), ("not-utf-8", 1, 1)),
        (b"a: \xed\xa0\x80", ("not-utf-8", 1, 4)),
        (b"a: \xc0\x80", ("not-utf-8", 1, 4)),
    ],
)
def test_text_that_is_not_utf_8_is_refused_at_its_first_bad_byte(content: bytes, expected: tuple[str, int, int]) -> None:
    assert refused(content) == expected


# Limits


def test_a_document_may_be_as_large_as_the_limit_and_no_larger() -> None:
    fits = b"a: " + b"x" * (LARGEST_DOCUMENT - 3)
    assert len(value(fits)["a"]) == LARGEST_DOCUMENT - 3
    assert refused(fits + b"x") == ("too-large", 1, 1)
    assert refused(b"a: 1\n---\n" + fits) == ("too-large", 2, 1)
    assert "1,048,577 bytes" in refusal(fits + b"x").message


def test_the_limit_of_a_document_counts_bytes() -> None:
    assert refused("a: " + "€" * (LARGEST_DOCUMENT // 2)) == ("too-large", 1, 1)


def test_a_file_may_hold_many_documents_that_are_too_large_together() -> None:
    document = b"---\na: " + b"x" * (LARGEST_DOCUMENT // 2) + b"\n"
    assert len(parse(document * 5)) == 5


def test_a_file_may_be_as_large_as_the_limit_and_no_larger() -> None:
    document = b"--- '" + b"x" * 999_993 + b"'\n"
    content = document * (LARGEST_FILE // len(document))
    content += b"---\n" + b"#" * (LARGEST_FILE - len(content) - 4)
    assert len(content) == LARGEST_FILE and len(parse(content)) == 16
    assert refused(content + b"#") == ("too-large", 1, 1)


def test_a_large_document_is_refused_before_it_takes_memory() -> None:
    content = b"- a\n" * (LARGEST_FILE // 4)
    tracemalloc.start()
    assert refused(content) == ("too-large", 1, 1)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ("{a: ", "}"), ("- ", ""), ("[{a: ", "}]")])
def test_nesting_ends_at_the_limit(open_: str, close: str) -> None:
    levels = DEEPEST // (2 if open_ == "[{a: " else 1)
    found = value(open_ * levels + "x" + close * levels)
    for _ in range(DEEPEST):
        (found,) = found.values() if isinstance(found, dict) else found
    assert found == "x"
    assert refusal(open_ * (levels + 1) + "x" + close * (levels + 1)).rule == "too-deep"


@pytest.mark.parametrize("text", ["[", "{a: ", "- ", "? ", "[{a: ", "&a [", "! [", "!a [", '"\\ "'])
def test_endless_nesting_is_refused_in_linear_time(text: str) -> None:
    def refusing(count: int) -> Callable[[], object]:
        assert refusal(text * count).rule in {"too-deep", "yaml-syntax", "tag", "number"}
        return partial(refusal, text * count)

    for count in (900, 1_100, 100_000):
        refusing(count)
    assert_linear(refusing, 1_000, 16_000)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a:\n    - user: alice\n     until: x\n", 6),
        ("a:\n    -   user: alice\n      until: x\n", 8),
        ("a:\n    - user: alice\n    # why\n\n   until: x\n", 6),
        ("a:\n  b:\n    c: 1\n d: 2\n", 2),
        ("a:\n  b:\n    c: 1\n   d: 2\n", 4),
        ("a:\n    - x\n   - y\n", 4),
        ("a:\n    - x: 1\n      y: 2\n     - z\n", 4),
        ("a:\n   b: 1\n  c: 2\n", 3),
    ],
)
def test_a_line_that_is_not_aligned_is_sent_to_the_nearest_part_that_is_open(text: str, wanted: int) -> None:
    assert f"and its neighbours with {wanted}; align" in refusal(text).message


@pytest.mark.parametrize("item", ["&{} ,", "&{},", "&{}\n# x\n,", "&{} # x # y\n,"])
def test_many_anchors_are_read_in_linear_time(item: str) -> None:
    def reading(count: int) -> Callable[[], object]:
        text = f"# !\n[{''.join(item.format(number) for number in range(count))}]\n".encode()
        return lambda: list(read(text))

    assert_linear(reading, 250, 4_000)


@pytest.mark.parametrize("mapping", [False, True])
def test_a_billion_laughs_attack_is_refused_before_it_is_expanded(mapping: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def level(number: int) -> str:
        laughs = [f"*a{number - 1}" if number else "lol"] * 10
        inner = f"{{{', '.join(f'k{i}: {laugh}' for i, laugh in enumerate(laughs))}}}" if mapping else f"[{', '.join(laughs)}]"
        return f"a{number}: &a{number} {inner}"

    built: list[yaml.Node] = []
    build = reconciler.source.documents._Builder.build

    def count(builder: Any, node: yaml.Node, depth: int) -> Any:
        built.append(node)
        assert len(built) <= 3 * MOST_ALIASED, "a billion would take hours"
        return build(builder, node, depth)

    monkeypatch.setattr(reconciler.source.documents._Builder, "build", count)
    assert refusal("\n".join(map(level, range(12)))).rule == "alias"


def test_aliases_stand_for_as_many_nodes_as_the_limit_and_no_more() -> None:
    assert len(value("a: &a x\nb: [" + "*a," * MOST_ALIASED + "]")["b"]) == MOST_ALIASED
    assert refusal("a: &a x\nb: [" + "*a," * (MOST_ALIASED + 1) + "]").rule == "alias"
    assert len(value("a: &a [x, y, z]\nb: [" + "*a," * (MOST_ALIASED // 4) + "]")["b"]) == MOST_ALIASED // 4
    assert refusal("a: &a [x, y, z]\nb: [" + "*a," * (MOST_ALIASED // 4 + 1) + "]").rule == "alias"


def test_a_long_text_cannot_be_multiplied_by_aliases() -> None:
    text = "x" * (LONG_TEXT * 99)
    assert len(value(f"a: &a {text}\nb: [{'*a,' * 100}]")["b"]) == 100
    assert refusal(f"a: &a {text}\nb: [{'*a,' * 101}]").rule == "alias"
    assert refusal(f"a: &a {text}\nb: [{'{*a : 1},' * 101}]").rule == "alias"


def test_aliases_count_anew_in_each_document() -> None:
    document = "---\na: &a x\nb: [" + "*a," * MOST_ALIASED + "]\n"
    assert len(parse((document * 3).encode())) == 3


def test_aliases_stand_for_what_is_anchored() -> None:
    assert value("a: &a {b: [1]}\nc: *a\nd: [*a, &x 2, *x]") == {"a": {"b": [1]}, "c": {"b": [1]}, "d": [{"b": [1]}, 2, 2]}


# Anything at all

PIECES = st.sampled_from(
    [
        *(
            b"a",
            b": ",
            b"- ",
            b"? ",
            b"[",
            b"]",
            b"{",
            b"}",
            b", ",
            b"\n",
            b"\n  ",
            b"\t",
            b"&a ",
            b"*a ",
            b"!t ",
            b"'",
            b'"',
            b"\\",
        ),
        *(
            b"#",
            b"|\n",
            b">-\n ",
            b"---\n",
            b"...\n",
            b"%YAML 1.2\n",
            b"<<: ",
            b"~",
            b"1",
            b"\r",
            b"\r\n",
            b"\xff",
            b"\x00",
            b"\\u0000",
        ),
        *("\x85".encode(), "\u2028".encode(), b"\xef\xbb\xbf", b"\\ud800", b"@", b"`", b"=", b"1e999", b".inf", b" " * 40),
    ]
)


@settings(max_examples=400)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))))
@example(b"a:\n - [\xe2\x80\xa8\t")
def test_any_bytes_give_documents_or_one_refusal_with_its_place(content: bytes) -> None:
    check_anything(content)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=60).map(b"".join))
def test_any_mix_of_yaml_gives_documents_or_one_refusal_with_its_place(content: bytes) -> None:
    check_anything(content)


def check_anything(content: bytes) -> None:
    try:
        documents = parse(content)
    except Unreadable as error:
        lines = content.decode("utf-8", "replace").split("\n")
        assert 1 <= error.line <= len(lines) and 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert error.rule and error.message and "\n" not in error.message
    else:
        assert all(document.value is not None for document in documents)
        json.dumps(documents, allow_nan=False).encode()


# The same values as others read

HIDDEN = "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\ufffe\uffff"
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=HIDDEN) | st.sampled_from("\n\t -:#'\"0"), max_size=20
)
NUMBERS = re.compile(r"[-+]?\.?[0-9][0-9.a-fA-Fox+-]*")
"""Texts that PyYAML, which knows YAML 1.1, leaves without quotes, and that are numbers in YAML 1.2: `08`, `1e5`."""


def values(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    numbers = st.integers(-(10**38), 10**38) | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=15,
    ).filter(lambda found: found is not None)


@settings(max_examples=200)
@given(values(TEXTS))
@example({"a": "yes", "b": "1:30", "c": "2026-12-31", "d": 1e16, "e": "0x10", "f": "~", "08": "08"})
def test_json_is_read_as_a_json_reader_would(written: Any) -> None:
    assert value(json.dumps(written, ensure_ascii=False)) == written
    assert value(json.dumps(written, ensure_ascii=False, indent=1)) == written


@settings(max_examples=200)
@given(values(TEXTS.filter(lambda text: not NUMBERS.fullmatch(text))), st.booleans(), st.booleans())
@example({"a": "yes", "b": "1:30", "c": "2026-12-31", "d": 1e16, "f": "~"}, False, True)
def test_what_pyyaml_writes_is_read_back_unchanged(written: Any, flow: bool, pretty: bool) -> None:
    text = yaml.safe_dump(written, default_flow_style=flow, allow_unicode=pretty, width=60 if pretty else 10_000)
    assert value(text) == written
