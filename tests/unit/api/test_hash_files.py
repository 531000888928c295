"""Files of password hashes."""

from __future__ import annotations

import json

import pytest
from test_bcrypt_hashes import made

from api.authentication.hash_files import LONGEST_FILE, MOST_FAULTS, Line, Unreadable, read

A, B = made("a password of alice"), made("a password of bob", "$2a$")


@pytest.mark.parametrize(
    "content",
    [
        f"alice:{A}\nbob:{B}\n",
        f"alice:{A}\nbob:{B}",
        f"\ufeffalice:{A}\r\nbob:{B}\r\n",
        json.dumps({"alice": A, "bob": B}),
        "\ufeff\n  " + json.dumps({"alice": A, "bob": B}, indent=2),
    ],
)
def test_htpasswd_and_json_say_the_same(content: str) -> None:
    found = read(content.encode())
    assert found.lines == [Line(1, "alice", A), Line(2, "bob", B)]
    assert found.faults == []


def test_comments_and_empty_lines_say_nothing() -> None:
    assert read(f"# of the intranet\n\n  \nalice:{A}\n".encode()).lines == [Line(4, "alice", A)]


def test_names_are_read_as_people_type_them() -> None:
    assert [line.name for line in read(f"Fred.Bloggs@example.org:{A}\nJos\u00e9 P:{B}".encode()).lines] == [
        "Fred.Bloggs@example.org",
        "Jos\u00e9 P",
    ]


@pytest.mark.parametrize(
    ("content", "number", "said"),
    [
        ("alice\n", 1, "this has no name; write `NAME:HASH`"),
        (f":{A}", 1, "this has no name; write `NAME:HASH`"),
        (f"{A}:alice", 1, "this is no account's name"),
        (A, 1, "this has no name; write `NAME:HASH`"),
        (f"bob:{B}\nali\x1bce:{A}", 2, "this is no account's name"),
        (f"{'a' * 257}:{A}", 1, "this is no account's name"),
        ("alice:sesame", 1, "`alice`: this is no bcrypt hash; it must begin with `$2a$`, `$2b$` or `$2y$`"),
        (f"alice: {A}", 1, "`alice`: this is no bcrypt hash"),
        (f"alice:{A} ", 1, "`alice`: a bcrypt hash has 60 characters, and this one has 61"),
        (f"alice:{A}\u2028bob:{B}", 1, "`alice`: a bcrypt hash has 60 characters, and this one has 125"),
        (f"alice:{A}\nALICE:{B}", 2, "`ALICE`: this name is in line 1 already"),
        (json.dumps({"alice": None}), 1, "`alice`: this is no hash; it must be text"),
        (json.dumps({"alice": {"hash": A}}), 1, "`alice`: this is no hash; it must be text"),
        (f'{{"alice": "{A}", "alice": "{B}"}}', 2, "`alice`: this name is in entry 1 already"),
        (f'{{"\\ud800": "{A}"}}', 1, "this is no account's name"),
        ('{"alice": "\\ud800"}', 1, "`alice`: this is no bcrypt hash"),
        (f'{{"alice": {"9" * 10_000}}}', 1, "`alice`: this is no bcrypt hash"),
    ],
)
def test_what_is_wrong_is_said_by_line_and_name_and_never_shows_a_hash(content: str, number: int, said: str) -> None:
    (fault,) = read(content.encode()).faults
    assert fault.number == number
    assert fault.message.startswith(said)
    assert "sesame" not in fault.message
    assert all(kept[7:] not in fault.message for kept in (A, B))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no password hashes"),
        (b"\n\n# nobody\n", "holds no password hashes"),
        (b"{}", "holds no password hashes"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is not UTF-8 (byte 1)"),
        (f"alice:{A}".encode("utf-16"), "is not UTF-8 (byte 1)"),
        (b"a" * (LONGEST_FILE + 1), "has more than 16,777,216 bytes"),
        (b'[{"name": "alice"}]', "is a JSON array"),
        (b'{"alice": ', "is not JSON: line 1, column"),
        (b'{"alice": "' + A.encode() + b'"} {}', "is not JSON: line 1, column"),
        (b'{"a":' * 200_000, "is nested too deeply"),
    ],
)
def test_a_file_of_another_form_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read(content)
    assert str(raised.value).startswith(said)


def test_a_whole_file_of_nonsense_is_read_no_further_than_people_would() -> None:
    assert len(read(b"x\n" * 1_000_000).faults) == MOST_FAULTS
    assert len(read(b"\0" * LONGEST_FILE).faults) == 1


def test_a_hash_is_in_no_representation() -> None:
    found = read(f"alice:{A}".encode())
    assert A not in repr(found) + repr(found.lines[0])
