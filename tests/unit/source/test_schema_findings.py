"""What a schema refuses is said in plain words, at its place, with the nearest name; and the fast and the slow check agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
from growth import assert_linear
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import ValidationError

import reconciler.source.schema
from reconciler.source.advice import _MEANT, for_unknown
from reconciler.source.documents import parse
from reconciler.source.schema import FILES, Finding, _explain, _fast, find_problems, schema_of

TEAM = {
    "apiVersion": "accord/v1",
    "kind": "Team",
    "metadata": {"name": "web", "labels": {"a": "b"}, "previously": ["old"]},
    "spec": {"members": ["alice", {"user": "bob", "until": "2026-12-31"}], "issuers": ["tls"], "mayDecideFor": ["web"]},
}


def with_value(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The team with another value at a path."""
    document = deepcopy(TEAM)
    inner: Any = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return document


def only(document: Any) -> Finding:
    (finding,) = find_problems(document)
    return finding


@pytest.mark.parametrize(
    ("path", "value", "rule", "message", "suggestion"),
    [
        (("spec", "issuer"), ["tls"], "unknown-property", "unknown property `issuer`; did you mean `issuers`?", "issuers"),
        (("spec", "members", 1, "untill"), "x", "unknown-property", "unknown property `untill`; did you mean `until`?", "until"),
        (("zzz",), 1, "unknown-property", "unknown property `zzz`; valid: apiVersion, kind, metadata, spec", None),
        (("spec", "administrator"), "yes", "wrong-type", "`administrator` must be true or false, not `yes`; write `true`",
         "true"),
        (("spec", "description"), 5, "wrong-type", "`description` must be text, not `5`; put it in quotes", None),
        (("spec", "description"), None, "wrong-type", "`description` must be text, not nothing (null)", None),
        (("spec", "members"), {}, "wrong-type", "`members` must be a list, not a mapping; begin each item with `- `", None),
        (("spec", "members", 0), True, "wrong-type", "this must be text or a mapping, not `true`; put it in quotes", None),
        (("spec", "members", 1), {"until": "2026-12-31"}, "missing-property", "`user` is missing", None),
        (("spec", "mayDecideFor"), "Everyone", "wrong-type",
         "`mayDecideFor` must be `everyone` or a list, not `Everyone`; did you mean `everyone`?", "everyone"),
        (("spec", "mayDecideFor"), ["web", "web"], "wrong-value", "`web` appears twice", None),
        (("metadata", "name"), "everyone", "wrong-value", "`name` cannot be `everyone`, which has a special meaning here", None),
        (("metadata", "name"), "a\nb", "wrong-format", "`name` cannot be `a\nb`: names have at most 64 lower-case letters, "
         "digits, `.`, `_` and `-`, and start with a letter or digit; did you mean `a-b`?", "a-b"),
        (("metadata", "name"), "web\n", "wrong-format", "`name` contains a line break, which is not allowed here", None),
        (("metadata", "labels", "a"), "x\ty", "wrong-format", "`a` contains a tab, which is not allowed here; for a "
         "backslash, use single quotes", None),
        (("metadata", "labels", "a"), "x\x07", "wrong-format", "`a` contains U+0007, a control character, which is not allowed "
         "here", None),
        (("metadata", "labels", "é"), "x", "wrong-format", "`é` cannot be a label's key: use at most 63 letters, digits, `.`, "
         "`_`, `/` and `-`, starting with a letter or digit", None),
        (("metadata", "labels", "a"), "x" * 257, "wrong-value", "`a` must have at most 256 characters, not 257", None),
        (("spec", "adGroups"), [""], "wrong-value", "this must not be empty", None),
        (("spec", "adGroups"), ["x"] * 1001, "wrong-value", "`adGroups` must have at most 1,000 items, not 1,001", None),
        (("spec", "members", 1, "until"), "soon", "wrong-format",
         "`until` cannot be `soon`: write it like `2099-12-31` or `2099-12-31T18:00:00Z`", None),
    ],
)  # fmt: skip
def test_problems_are_described_in_plain_words(
    path: tuple[str | int, ...], value: Any, rule: str, message: str, suggestion: str | None
) -> None:
    found = only(with_value(path, value))
    assert (found.rule, found.message, found.suggestion) == (rule, message, suggestion)
    assert found.path[: len(path)] == path
    assert found.at_key == (rule == "unknown-property" or "cannot be a label's key" in message)


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        *(("active", word, "enabled: true") for word in (True, "yes", "on", "true", "Y", " Yes ", "true,")),
        *(("active", word, "enabled: false") for word in (False, "no", "off", "false", "N", "No.")),
        *(("disabled", word, "enabled: true") for word in (False, "no", "off", "false")),
        *(("Disable", word, "enabled: false") for word in (True, "yes", "on", "true")),
        *((word, "no", "enabled: true") for word in ("locked", "suspended", "inactive")),
        *((word, value, None) for word in ("disabled", "inactive", "active") for value in (None, 0, 1, "", "maybe", [], "nö")),
        *((word, True, None) for word in ("notEnabled", "un-enabled", "unabled", "isNotEnabled", "nonenabled")),
        ("enabeld", False, "enabled"),
    ],
)
def test_a_switch_by_another_name_is_never_turned_round(name: str, value: Any, meant: str | None) -> None:
    user = {**TEAM, "kind": "User", "metadata": {"name": "bob"}, "spec": {"email": "bob@example.org", name: value}}
    found = only(user)
    assert found.suggestion == meant
    assert "did you mean" not in found.message or meant == "enabled"
    assert meant is not None or "`enabled: true` or `enabled: false`" in found.message


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Pat O'Brien <o'brien@example.org>", "o'brien@example.org"),
        ('"Jones, Alice" <alice@example.org>;', "alice@example.org"),
        ("mailto:alice@example.org", "alice@example.org"),
        (" alice@example.org,", "alice@example.org"),
        ("<alice@example.org>", "alice@example.org"),
        *(
            (text, None)
            for text in (
                "müller@example.org", "o\u2019brien@example.org", "alice@pki.exämple.org", "john doe@example.org",
                "John <john doe@example.org>", "alice,bob@example.org", "alice@example.org/bob", "a@example.org b@example.org",
                "A <a@example.org> <b@example.org>", "bob <bob> alice@example.org", "alice@bob@example.org",
                "alice@example.org\u200b",
            )
        ),
    ],
)  # fmt: skip
def test_an_address_is_suggested_only_if_it_stands_whole_in_the_text(text: str, address: str | None) -> None:
    found = only({**TEAM, "kind": "User", "metadata": {"name": "bob"}, "spec": {"email": text}})
    assert (found.rule, found.suggestion) == ("wrong-format", address)


@pytest.mark.parametrize(
    ("item", "meant"),
    [
        ({"user": "alice", "role": "admin"}, None),
        ({"user": "alice", "bob": None}, None),
        ({"bob": None}, "{user: bob}"),
        ({"bob": "2099-01-01"}, "{user: bob, until: 2099-01-01}"),
        ({"bob": "31.12.2099"}, "{user: bob, until: 2099-12-31}"),
        ({"role": "admin"}, None),
    ],
)
def test_a_key_is_taken_for_a_name_only_if_the_item_has_none(item: dict[str, Any], meant: str | None) -> None:
    found = find_problems({**TEAM, "spec": {"members": [item]}})
    assert [each.suggestion for each in found if each.rule == "unknown-property"] == [meant]


def test_each_word_for_a_property_is_advised_where_the_property_is_valid() -> None:
    for word, meant in _MEANT.items():
        sections = [
            (path, section["properties"])
            for kind in FILES
            for path, section in [
                *(
                    (("spec",), schema_of(kind)["properties"].get("spec", {})),
                    (("metadata",), schema_of(kind)["properties"]["metadata"]),
                ),
                *((("spec", "members", 0), form) for form in schema_of(kind)["$defs"].get("member", {}).get("oneOf", [])[1:]),
            ]
        ]
        advised = [
            for_unknown(word, {word: "A B"}, path, list(known), schema_of("User")) for path, known in sections if meant in known
        ]
        assert [found and found.suggestion for found in advised] == [meant] * len(advised) != [], word


@pytest.mark.parametrize(
    ("name", "hint"), [("Alice Jones", "did you mean `fullName`?"), ("alice", "it belongs under `metadata`")]
)
def test_a_user_s_name_in_the_wrong_place_is_their_full_name_or_their_login(name: str, hint: str) -> None:
    user = {**TEAM, "kind": "User", "metadata": {"name": "a"}, "spec": {"email": "a@example.org", "name": name}}
    assert only(user).message == f"unknown property `name`; {hint}"


@pytest.mark.parametrize(
    ("section", "name", "value", "meant"),
    [
        ("guards", "maxDeletions", 10, "10%"),
        ("guards", "maxDeletions", 2.5, "2.5%"),
        ("guards", "maxDeletions", 250, None),
        ("guards", "maxDeletions", 10.125, None),
        ("sessions", "lifetime", 12, None),
        ("sessions", "lifetime", 12_345_678, None),
        ("sessions", "lifetime", -1, None),
    ],
)
def test_a_number_is_completed_only_to_what_is_valid(section: str, name: str, value: float, meant: str | None) -> None:
    found = only({**TEAM, "kind": "Settings", "metadata": {"name": "default"}, "spec": {section: {name: value}}})
    assert found.suggestion == meant
    assert ("write it with a unit" in found.message) == (value == 12)
    assert meant or "write it like" in found.message or value == 12


LISTS = [
    *(
        ("members", text, f"[{items}]")
        for text, items in (
            ("alice, bob", "alice, bob"), ("alice bob", "alice, bob"), ("alice;bob;", "alice, bob"), ("and", "and"),
            ("[alice, 'bob']", "alice, bob"), ('["null"]', '"null"'),
        )
    ),
    ("issuers", "tls", "[tls]"),
    ("adGroups", "PKI Web", '["PKI Web"]'),
    ("adGroups", "CN=PKI Web,OU=Groups,DC=corp", '["CN=PKI Web,OU=Groups,DC=corp"]'),
    ("adGroups", "[PKI-Web, 'PKI Db']", '[PKI-Web, "PKI Db"]'),
    ("permittedIPs", "10.0.0.1 - 10.0.0.9", '["10.0.0.1 - 10.0.0.9"]'),
    ("permittedIPs", "2001:db8::/32", '["2001:db8::/32"]'),
    ("permittedIPs", "[10.0.0.0/8]", '["10.0.0.0/8"]'),
    *(
        ("members", text, None)
        for text in (
            "alice until 2099-01-01", "alice and bob", "Alice Jones", "alice & bob", "alice - bob", "[alice bob]", "[]", ",", 42,
            "[{user: alice}]", "alice or Bob", "password: hunter22",
        )
    ),
    *(("adGroups", text, None) for text in ("PKI Web, Ops", "OU=Groups", "[CN=PKI Web,OU=Groups]", "a;b")),
    *(("permittedIPs", text, None) for text in ("10.0.0.0 255.0.0.0", "10.0.0.0/8 or so", "10.0.0.1, 10.0.0.2", "vpn")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "meant"), LISTS)
def test_a_text_in_place_of_a_list_is_cut_only_into_valid_items(name: str, text: Any, meant: str | None) -> None:
    found = only({**TEAM, "spec": {name: text}})
    assert (found.rule, found.suggestion) == ("wrong-type", meant)
    assert meant is not None or "write `[" not in found.message
    if meant is not None:
        (document,) = parse(f"x: {meant}\n".encode())
        assert not find_problems({**TEAM, "spec": {name: document.value["x"]}})


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ({"mail": {"daysBeforeExpiry": "30, 7"}}, "[30, 7]"),
        ({"mail": {"daysBeforeExpiry": 30}}, "[30]"),
        ({"mail": {"daysBeforeExpiry": 99999}}, None),
        ({"delegation": [{"path": "x", "kinds": "Team, User"}]}, "[Team, User]"),
        ({"delegation": [{"path": "x", "kinds": "Team, Users"}]}, None),
        ({"delegation": "teams/web"}, None),
        ({"delegation": [{"path": "x", "names": "web-*"}]}, '["web-*"]'),
        ({"guards": {"separationOfDuties": "a b"}}, None),
    ],
)
def test_items_that_are_suggested_are_those_of_the_field(spec: dict[str, Any], meant: str | None) -> None:
    found = only({**TEAM, "kind": "Settings", "metadata": {"name": "default"}, "spec": spec})
    assert (found.rule, found.suggestion) == ("wrong-type", meant)


def test_a_document_is_judged_by_its_kind_first() -> None:
    assert only([]).rule == only("text").rule == only(5).rule == only(False).rule == "not-a-resource"
    assert [found.rule for found in find_problems({})] == ["missing-property", "missing-property"]
    found = find_problems({"apiVersion": "accord/v1", "Kind": "Team"})
    assert [(item.message, item.suggestion) for item in found] == [
        ("`kind` is missing; did you mean `kind` instead of `Kind`?", "kind")
    ]
    for kind in ("Teem", "team", "Users"):
        assert only({**TEAM, "kind": kind}).suggestion in FILES
    oddities: list[Any] = [[], {}, None, 5, "x" * 1_000_000, ["Team"] * 100_000]
    for odd in oddities:
        assert len(only({**TEAM, "kind": odd}).message) < 300
        assert only({**TEAM, "apiVersion": odd}).suggestion == "accord/v1"


@pytest.mark.parametrize("kind", FILES)
def test_the_examples_of_a_schema_have_no_problems(kind: str) -> None:
    assert [find_problems(example) for example in schema_of(kind)["examples"]] == [[]] * len(schema_of(kind)["examples"])


def hostile(**spec: Any) -> dict[str, Any]:
    return {**TEAM, "spec": spec}


def named(**metadata: Any) -> dict[str, Any]:
    return {**TEAM, "metadata": {"name": "web", **metadata}}


@pytest.mark.parametrize(
    "with_problems",
    [
        lambda count: hostile(members=[1] * count),
        lambda count: hostile(members=[{}] * count),
        lambda count: hostile(members=[{f"x{number}": 1} for number in range(count)]),
        lambda count: hostile(mayDecideFor=[{}, 1] * (count // 2)),
        lambda count: hostile(mayDecideFor=[{str(number): [number]} for number in range(count)]),
        lambda count: hostile(**{f"member-{number}": 1 for number in range(count)}),
        lambda count: named(labels={f"é{number}": 1 for number in range(count)}),
        lambda count: named(previously=[[number] for number in range(count)]),
    ],
    ids=range(8),
)
def test_only_the_first_of_thousands_of_problems_in_a_document_are_reported(
    with_problems: Callable[[int], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler.source.schema, "MOST_FINDINGS", 100)
    assert_linear(lambda count: partial(find_problems, with_problems(count)), 500, 8_000)
    errors: list[object] = []
    make = ValidationError.__init__

    def count(error: Any, *arguments: Any, **options: Any) -> None:
        errors.append(error)
        make(error, *arguments, **options)

    monkeypatch.setattr(ValidationError, "__init__", count)
    found = find_problems(with_problems(8_000))
    assert len(found) == 101
    assert found[-1].rule == "too-many-problems"
    assert len(errors) <= 500


def test_finding_duplicates_takes_time_linear_in_the_list() -> None:
    def finding(count: int) -> Callable[[], object]:
        names = [f"team-{number}" for number in range(count)]
        document = hostile(mayDecideFor=[*names, 1, names[0]])  # which cannot be sorted
        assert [found.rule for found in find_problems(document)] == ["wrong-type", "wrong-value"]
        return partial(find_problems, document)

    assert_linear(finding, 300, 9_600)


def test_a_message_stays_short_whatever_was_written() -> None:
    long = "x" * 500_000
    for document in (
        with_value(("spec", long), 1),
        with_value(("spec", "administrator"), long),
        with_value(("metadata", "name"), long),
        with_value(("metadata", "labels", long), long),
        with_value(("spec", "mayDecideFor"), long),
        with_value(("spec", "mayDecideFor"), [long, long]),
        with_value(("spec", "members", 1, "until"), long),
        with_value(("spec", "members", 0), [long]),
        with_value(("spec", "members", 0), 10**39),
    ):
        for found in find_problems(document):
            assert len(found.message) < 400, found.rule


NAMES = st.sampled_from(
    ["alice", "everyone", "Alice", "a\n", "", "x" * 65, "аlice", "2026-12-31", "10%", "1s", "a@b", "generated"]
)
SCALARS = st.one_of(
    NAMES,
    st.text(max_size=5),
    st.none(),
    st.booleans(),
    st.integers(-5, 2000),
    st.sampled_from([10**30, 1.0, 1e300, 1.5, -0.0, 15.0]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every path in a value."""
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(inner for step, item in steps for inner in places(item, (*path, step)))]


EXAMPLES = [example for kind in FILES for example in schema_of(kind)["examples"]]


@st.composite
def almost_valid(draw: st.DrawFn) -> dict[str, Any]:
    """An example of a schema in which a few things were replaced, added or taken away."""
    document: Any = deepcopy(draw(st.sampled_from(EXAMPLES)))
    properties = list(schema_of(document["kind"])["properties"]["spec"]["properties"])
    for _ in range(draw(st.integers(1, 3))):
        path = draw(
            st.sampled_from([path for path in places(document) if path and path not in (("kind",), ("apiVersion",))] or [("x",)])
        )
        inner = document
        for step in path[:-1]:
            inner = inner[step]
        if isinstance(inner, dict) and draw(st.booleans()):
            inner[draw(st.sampled_from([*properties, "name", "labels", "extra"]))] = draw(VALUES)
        elif isinstance(inner, dict) and draw(st.booleans()):
            inner.pop(path[-1], None)
        else:
            inner[path[-1]] = draw(VALUES)
    return document  # type: ignore[no-any-return]


@settings(max_examples=500)
@given(almost_valid())
def test_the_fast_check_refuses_exactly_what_the_slow_one_explains(document: dict[str, Any]) -> None:
    kind = document["kind"]
    found = _explain(kind, document)
    reasons = [finding for finding in found if finding.rule != "schema"]
    assert _fast(kind).is_valid(document) == (not reasons)
    for finding in reasons:
        assert finding.message and json.dumps(finding)
        inner: Any = document
        for step in finding.path:
            inner = inner[step]
        assert finding.suggestion is None or finding.suggestion in finding.message
    keys = [(finding.path, finding.rule, finding.message) for finding in reasons]
    assert len(set(keys)) == len(keys), "one thing is said twice"
