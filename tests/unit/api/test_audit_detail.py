"""What the audit log's details say in words, and as cells."""

from __future__ import annotations

import csv
import io

import pytest

from api.console.audit import cell, csv_lines
from api.console.detail import MOST_ITEMS, field_changes, pairs, value_text, words


def test_names_of_json_are_words() -> None:
    assert [words(name) for name in ("sessionsEnded", "adGroup", "permittedIPs", "name")] == [
        "sessions ended",
        "ad group",
        "permitted IPs",
        "name",
    ]


def test_values_are_told_without_json() -> None:
    detail = {
        "mails": 1200,
        "verified": True,
        "until": None,
        "minted": [{"user": "bob", "id": "7"}],
        "names": ["a", "b"],
        "none": [],
    }
    assert pairs(detail) == [("mails", "1,200"), ("verified", "yes"), ("minted", "user: bob, id: 7"), ("names", "a, b")]


def test_a_changed_field_has_its_value_before_and_after() -> None:
    (changed,) = field_changes({"fields": {"email": {"from": "a@x.example", "to": "b@x.example"}}})
    assert (changed.name, changed.before, changed.after, changed.is_list) == ("email", "a@x.example", "b@x.example", False)
    (created,) = field_changes({"fields": {"email": {"from": "", "to": "b@x.example"}}})
    assert (created.before, created.after) == ("", "b@x.example")
    (deleted,) = field_changes({"fields": {"enabled": {"from": False, "to": None}}})
    assert (deleted.before, deleted.after) == ("no", "")


def test_a_changed_list_has_its_items() -> None:
    until = {"user": "bob", "until": "2100-01-01T00:00:00Z", "reason": "leave"}
    change = {"added": [until], "removed": ["eve"], "changed": [{"from": "tls", "to": {"issuer": "tls", "until": "soon"}}]}
    (found,) = field_changes({"fields": {"members": change}})
    assert found.is_list
    assert found.added == ["bob until 2099-12-31 (leave)"]
    assert found.removed == ["eve"]
    assert found.changed == [("tls", "tls until soon")]


def test_what_is_long_is_cut_and_says_so() -> None:
    (found,) = field_changes({"fields": {"members": {"added": [f"user{n}" for n in range(500)], "removed": []}}})
    assert (len(found.added), found.more) == (MOST_ITEMS, 500 - MOST_ITEMS)
    assert value_text("x" * 5_000).endswith("… (5,000 characters)")
    assert value_text(list(range(60))).endswith("49 and 10 more")


@pytest.mark.parametrize("fields", [None, [], "x", {"email": "x"}, {"members": {"added": "x", "removed": None}}, {"email": {}}])
def test_an_entry_that_somebody_wrote_by_hand_breaks_no_page(fields: object) -> None:
    assert all(isinstance(each.name, str) for each in field_changes({"fields": fields}))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_no_spreadsheet_takes_a_cell_for_a_formula(text: str) -> None:
    assert cell(text).startswith("'")


def test_nothing_hides_in_a_cell() -> None:
    assert cell("a\u202eb\x00c\nd") == "a\\u202eb\\u0000c\\u000ad"
    row = (1, "2026", 'a"b,c', "x", "", "=n", None, '{"a": 1}', "0" * 64, "1" * 64)
    header, written = csv.reader(io.StringIO(b"".join(csv_lines([[row]])).decode()))
    assert header[:4] == ["id", "at", "actor", "action"]
    assert written == ["1", "2026", 'a"b,c', "x", "", "'=n", "", '{"a": 1}', "0" * 64, "1" * 64]


def test_no_part_of_a_cell_is_a_formula_where_semicolons_end_cells() -> None:
    assert cell("x;=1+1") == "x;'=1+1" and cell('x; "@y') == "x; \"'@y" and cell("=1;-2") == "'=1;'-2"
    assert cell("a; b") == "a; b"
