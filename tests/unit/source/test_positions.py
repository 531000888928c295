"""Places: the line and column of any path in any document, by index or by name, quickly even for a long list of problems."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from growth import assert_linear

import reconciler.source.positions
from reconciler.source.positions import locate

CONTENT = b"""\
# A comment
apiVersion: accord/v1
kind: Team
metadata: {name: web, labels: {a: "b"}}
spec:
  members:
    - alice
    - {user: bob, until: 2026-12-31}
    - "Carol"
  issuers: [tls, {issuer: vpn}]
  guards:
    pairs:
      - [one, two]
      - [three, "Four"]
  text: |
    line
---
kind: User
spec:
  "email": x
"""


@pytest.mark.parametrize(
    ("line", "path", "value", "key"),
    [
        (2, (), (2, 1), (2, 1)),
        (2, ("kind",), (3, 7), (3, 1)),
        (2, ("metadata", "name"), (4, 18), (4, 12)),
        (2, ("metadata", "labels", "a"), (4, 35), (4, 32)),
        (2, ("spec",), (6, 3), (5, 1)),
        (2, ("spec", "members", 0), (7, 7), (7, 7)),
        (2, ("spec", "members", 1, "until"), (8, 26), (8, 19)),
        (2, ("spec", "members", "alice"), (7, 7), (7, 7)),
        (2, ("spec", "members", "bob"), (8, 7), (8, 7)),
        (2, ("spec", "members", "bob", "until"), (8, 26), (8, 19)),
        (2, ("spec", "members", "carol"), (9, 7), (9, 7)),
        (2, ("spec", "issuers", "vpn"), (10, 18), (10, 18)),
        (2, ("spec", "guards", "pairs", "two"), (13, 15), (13, 15)),
        (2, ("spec", "guards", "pairs", "FOUR"), (14, 17), (14, 17)),
        (2, ("spec", "text"), (15, 9), (15, 3)),
        (18, ("spec", "email"), (20, 12), (20, 3)),
        (18, ("kind",), (18, 7), (18, 1)),
    ],
)
def test_a_path_leads_to_a_value_and_to_its_key(
    line: int, path: tuple[str | int, ...], value: tuple[int, int], key: tuple[int, int]
) -> None:
    for content in (CONTENT, CONTENT.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + CONTENT):
        assert locate(content, line, path) == value
        assert locate(content, line, path, key=True) == key


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("nothing",), (2, 1)),
        (("spec", "nothing", "at", "all"), (6, 3)),
        (("spec", "members", 9), (7, 5)),
        (("spec", "members", "zaphod"), (7, 5)),
        (("kind", "deeper"), (3, 7)),
        (("spec", "members", -1), (7, 5)),
        ((5,), (2, 1)),
    ],
)
def test_a_path_that_leads_nowhere_leads_to_the_nearest_place(path: tuple[str | int, ...], expected: tuple[int, int]) -> None:
    assert locate(CONTENT, 2, path) == expected


def test_a_missing_document_is_placed_at_its_line() -> None:
    assert locate(CONTENT, 7, ("kind",)) == (7, 1)
    assert locate(b"a: [\n", 1, ("a",)) == (1, 1)
    assert locate(b"", 3, ()) == (3, 1)
    assert locate(b"\xff", 3, ()) == (3, 1)


def test_columns_count_characters() -> None:
    assert locate("{ä: 1, €: 2, 😀: x}\n".encode(), 1, ("😀",)) == (1, 17)


def test_a_name_means_its_first_item() -> None:
    assert locate(b"a: [x, y, x]\n", 1, ("a", "x")) == (1, 5)


def test_what_changed_is_not_remembered() -> None:
    assert locate(b"a: 1\nb: 2\n", 1, ("b",)) == (2, 4)
    assert locate(b"a: 1\n\nb: 2\n", 1, ("b",)) == (3, 4)
    assert locate(b"a: 1\n---\nb: 2\n", 3, ("b",)) == (3, 4)
    assert locate(b"a: 1\n---\nb: 2\n", 1, ("a",)) == (1, 4)


def test_a_list_of_many_names_may_have_as_many_problems() -> None:
    def locating(count: int) -> Callable[[], object]:
        content = b"members:\n" + b"".join(b"- user-%d\n" % number for number in range(count))

        def lines() -> list[int]:
            reconciler.source.positions._places.cache_clear()
            return [locate(content, 1, ("members", f"user-{number}"))[0] for number in range(count)]

        assert lines() == list(range(2, count + 2))
        return lines

    assert_linear(locating, 100, 1_600)


def test_a_file_of_many_documents_may_have_a_problem_in_each() -> None:
    def locating(count: int) -> Callable[[], object]:
        content = b"".join(b"---\n# %d\na: |\n  x\n" % number for number in range(count))

        def lines() -> list[tuple[int, int]]:
            reconciler.source.positions._places.cache_clear()
            return [locate(content, 4 * number + 3, ("a", 1, 1)) for number in range(count)]

        assert lines() == [(4 * number + 4, 3) for number in range(count)]
        return lines

    assert_linear(locating, 100, 1_600)


@pytest.mark.parametrize(
    "content", ["%YAML 1.2\n---\n{}", "{}", "a: 1\n...\n{}", "--- # c\n{}...\n# d\n%YAML 1.2\n---\nb: 2\n", "a: 1\n{}"]
)
def test_documents_that_begin_in_any_way_are_found(content: str) -> None:
    text = content.format("---\nx:\n  y: z\n")
    line = text[: text.index("x:")].count("\n") + 1
    assert locate(text.encode(), line, ("x", "y")) == (line + 1, 6)


TEXTS = b"""# a comment
a: |

  one
    two {{ x }}
b: |2+
    three

c: "say {{ x }}"
d: 'it''s {{ x }}'
e: >
  four
  {{ x }}
f: plain {{ x }}
g: "five

  {{ x }}"
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("a", 1, 1), (3, 1)),
        (("a", 2, 1), (4, 3)),
        (("a", 3, 10), (5, 12)),
        (("b", 1, 3), (7, 5)),
        (("b", 2, 1), (8, 1)),
        (("c", 1, 8), (9, 12)),
        (("d", 1, 9), (10, 4)),
        (("e", 1, 9), (11, 4)),
        (("f", 1, 10), (14, 13)),
        (("g", 3, 4), (15, 4)),
        (("nothing", 3, 4), (2, 1)),
    ],
)
def test_a_place_in_a_text_is_exact_if_its_lines_are_those_of_the_file(
    path: tuple[str | int, ...], expected: tuple[int, int]
) -> None:
    for content in (TEXTS, TEXTS.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + TEXTS):
        assert locate(content, 2, path) == expected
