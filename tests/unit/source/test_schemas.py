"""The schemas are documentation, and both validators read them alike."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from referencing import Registry, Resource

from reconciler.shipped import schema_folder

SCHEMAS: dict[str, dict[str, Any]] = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in sorted(schema_folder().iterdir())
}
KINDS = ["user", "team", "issuer", "email-template", "settings"]
SLOW = Registry().with_resources([(f"{name}.schema.json", Resource.from_contents(schema)) for name, schema in SCHEMAS.items()])
FAST = jsonschema_rs.Registry([(f"json-schema:///{name}.schema.json", schema) for name, schema in SCHEMAS.items()])

Place = tuple[str, dict[str, Any], bool]


def accepts(schema: dict[str, Any], document: Any) -> bool:
    """Whether a document is valid; both validators must say the same."""
    slow = jsonschema.Draft202012Validator(schema, registry=SLOW).is_valid(document)
    fast = jsonschema_rs.Draft202012Validator(schema, registry=FAST).is_valid(document)
    assert slow == fast, document
    return slow


def parts(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside a schema, itself first, with its place."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from parts(item, f"{path}/{index}")
    elif isinstance(node, dict):
        yield path, node
        for key, item in node.items():
            if key not in ("examples", "default", "const", "enum", "required"):
                yield from parts(item, f"{path}/{key}")


def properties(schema: dict[str, Any]) -> Iterator[Place]:
    """Every property a schema describes: its place, its schema, and whether it must be there."""
    for path, part in parts(schema):
        described = part.get("properties")
        if part.get("type") == "object" and isinstance(described, dict):
            for name, field in described.items():
                yield f"{path}/properties/{name}", field, name in part.get("required", ())


EVERY_PROPERTY = [(name, *place) for name, schema in SCHEMAS.items() for place in properties(schema)]


def within(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """A part of a schema as one of its own, with the definitions it refers to."""
    return {"$schema": SCHEMAS[name]["$schema"], "$defs": SCHEMAS[name].get("$defs", {}), "allOf": [part]}


def test_there_is_a_schema_for_every_kind_and_every_output() -> None:
    outputs = {
        "plan",
        "access",
        "problems",
        "explanation",
        "drift",
        "history",
        "show",
        "audit",
        "verification",
        "version",
        "mail",
        "proposal",
        "proposals",
    }
    assert set(SCHEMAS) == {*KINDS, "resource", *outputs}
    assert len(EVERY_PROPERTY) > 100


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_valid_itself_and_names_no_host(name: str) -> None:
    schema = SCHEMAS[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema_rs.meta.is_valid(schema)
    assert "://" not in json.dumps({**schema, "$schema": ""})


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_example_and_every_default_is_valid(name: str) -> None:
    for path, part in parts(SCHEMAS[name]):
        if isinstance(part.get("examples"), list):
            schema = SCHEMAS[name] if path == "" else within(name, part)
            assert part["examples"], path
            assert all(accepts(schema, example) for example in part["examples"]), path
        if part.get("default") is not None and not isinstance(part["default"], dict):
            assert accepts(within(name, part), part["default"]), path


@pytest.mark.parametrize(("name", "path", "field", "required"), EVERY_PROPERTY)
def test_every_property_is_described(name: str, path: str, field: dict[str, Any], required: bool) -> None:
    assert {"title", "description", "examples"} <= set(field)
    assert field["description"].endswith("."), "a sentence"
    assert ("default" in field) != required, "a default exactly where it may be left out"


@pytest.mark.parametrize("name", SCHEMAS)
def test_undescribed_properties_are_refused(name: str) -> None:
    for path, part in parts(SCHEMAS[name]):
        if isinstance(part.get("properties"), dict) and part.get("type") == "object":
            closed = part.get("additionalProperties", part.get("unevaluatedProperties"))
            assert closed is False or path.endswith("/fields"), path


@pytest.mark.parametrize("name", KINDS)
def test_every_pattern_says_in_a_sentence_what_to_write_for_editors_to_show(name: str) -> None:
    patterns = [(path, part) for path, part in parts(SCHEMAS[name]) if isinstance(part.get("pattern"), str)]
    assert patterns
    for path, part in patterns:
        sentence = part.get("patternErrorMessage", "")
        assert re.fullmatch(r"[A-Z].*[a-z].*\.", sentence), path
        assert len(sentence.split()) > 4, path
        for example in re.findall(r"such as (\S+?)[,.]?(?: |$)", sentence):
            assert accepts({"type": "string", "pattern": part["pattern"]}, example), path


def test_schemas_that_share_a_definition_agree_on_it() -> None:
    seen: dict[str, Any] = {}
    for schema in SCHEMAS.values():
        for name, definition in schema.get("$defs", {}).items():
            assert seen.setdefault(name, definition) == definition, name


def changed(kind: str, /, **changes: Any) -> dict[str, Any]:
    """A kind's first example with other values at dotted places (`spec__email`); `...` removes one."""
    document = copy.deepcopy(SCHEMAS[kind]["examples"][0])
    for dotted, value in changes.items():
        *way, last = dotted.split("__")
        place = document
        for step in way:
            place = place.setdefault(step, {})
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return document


GOOD = [
    changed("user", metadata__name="0"),
    changed("user", metadata__name="a" * 64),
    changed("user", metadata__labels={"a/b.C-d_e": "", "x": "ü " * 100}),
    changed("user", spec={"email": "a+b@localhost"}),
    changed("user", spec__passwordChangeRequiredAfter="2026-12-31T23:59:59.123456-13:59"),
    changed("team", spec=...),
    changed("team", spec={}),
    changed("team", spec__description="two\nlines\tand a tab"),
    changed("team", spec__mayDecideFor="everyone"),
    changed("issuer", spec={}),
    changed("issuer", spec=...),
    changed("email-template", spec__html=...),
    changed("settings", spec=...),
    changed("settings", spec__guards={"maxAdministrators": None, "maxPeopleGaining": 1, "maxDeletions": "0%"}),
    changed("settings", spec__guards__maxDeletions="100%"),
]
BAD_NAMES = ["", "Alice", "alice\n", "-a", ".a", "a b", "a" * 65, "аlice", "al\u0131ce", "ſ", "K", "a/b", None, 1, ["a"]]
BAD_INSTANTS = [
    "2026-13-01",
    "2026-1-1",
    "2026-12-31\n",
    "2026-12-31T18:00:00",
    "2026-12-31 18:00:00Z",
    "2026-12-31T24:00:00Z",
    "2026-12-31T18:00:60Z",
    "2026-12-31T18:00:00.1234567Z",
    "２026-12-31",
    "tomorrow",
    "",
    None,
    20261231,
]
BAD_EMAILS = [
    "",
    "alice",
    "a@b@c",
    "a@b\n",
    "a\r\nBcc: x@example.org",
    "a b@example.org",
    "Alice <a@example.org>",
    "a@-b.org",
    "a@b..c",
    "a" * 65 + "@example.org",
    "a@" + "b." * 130 + "org",
    "a,b@example.org",
    '"a"@example.org',
    "ü@example.org",
    None,
]
BAD = [
    *(changed(kind, metadata__name=name) for kind in KINDS for name in BAD_NAMES),
    *(changed("team", spec__members=[name]) for name in BAD_NAMES),
    *(changed("team", spec__issuers=[{"issuer": name}]) for name in BAD_NAMES),
    *(changed("team", spec__members=[{"user": "bob", "until": until}]) for until in BAD_INSTANTS),
    *(changed("user", spec__passwordChangeRequiredAfter=until) for until in BAD_INSTANTS),
    *(changed("user", spec__email=email) for email in BAD_EMAILS),
    *(
        changed("user", spec__fullName=text)
        for text in ("", "a\nb", "a\x00", "a\x1b[31m", "a\u2028b", "a\x85", "x" * 129, None, 5)
    ),
    *(
        changed("user", metadata__labels=labels)
        for labels in ({"": "x"}, {"a\n": "x"}, {"a": 1}, {"a": "b\nc"}, {"a": None}, [], None)
    ),
    *(changed("user", metadata__previously=names) for names in (["a", "a"], ["A"], "a", [["a"]], None)),
    *(changed(kind, extra=1) for kind in KINDS),
    *(changed(kind, metadata__extra=1) for kind in KINDS),
    *(changed(kind, spec__extra=1) for kind in KINDS),
    *(changed(kind, apiVersion=version) for kind in KINDS for version in ("accord/v2", None, ...)),
    *(changed(kind, kind=other) for kind in KINDS for other in ("Users", None, ...)),
    *(changed(kind, spec=spec) for kind in KINDS for spec in (None, [], "")),
    changed("user", spec=...),
    changed("user", spec={}),
    changed("user", spec__type="robot"),
    changed("user", spec__enabled="true"),
    changed("user", spec__enabled=1),
    changed("user", spec__initialPassword="secret"),
    changed("email-template", spec=...),
    changed("email-template", spec__text=""),
    changed("email-template", spec__subject="a\nBcc: x@example.org"),
    changed("email-template", metadata__name="goodbye"),
    changed("team", metadata__name="everyone"),
    changed("team", spec__members=[{"user": "bob", "until": "2027-01-31", "role": "owner"}]),
    changed("team", spec__members=[{"until": "2027-01-31"}]),
    changed("team", spec__members=[{"issuer": "bob"}]),
    changed("team", spec__members="alice"),
    changed("team", spec__members=None),
    changed("team", spec__administrator="yes"),
    changed("team", spec__mayDecideFor="all"),
    changed("team", spec__mayDecideFor=["a", "a"]),
    changed("team", spec__permittedIPs=["1" * 101]),
    changed("team", spec__permittedIPs=[""]),
    changed("team", spec__adGroups=["a\nb"]),
    changed("issuer", spec__displayName="a\tb"),
    changed("settings", metadata__name="other"),
    *(
        changed("settings", spec__guards__maxDeletions=share)
        for share in ("10", 10, "101%", "-1%", "1e1%", "10%\n", "100.5%", None)
    ),
    *(changed("settings", spec__guards__maxAdministrators=number) for number in (0, -1, 1.5, "10", True)),
    *(
        changed("settings", spec__guards__separationOfDuties=teams)
        for teams in ([["a"]], [["a", "a"]], ["a", "b"], [["a", "B"]], None)
    ),
    *(changed("settings", spec__logins__delay=delay) for delay in ("0s", "1", "1.5h", "1w", "-1s", "1s\n", 1, "1234567s")),
    changed("settings", spec__passwords__minLength=7),
    changed("settings", spec__passwords=None),
    changed("settings", spec__mail__daysBeforeExpiry=[30, 30]),
    changed("settings", spec__mail__alwaysSendTo=["nobody"]),
]


def kind_of(document: dict[str, Any]) -> list[str]:
    found = [kind for kind in KINDS if SCHEMAS[kind]["properties"]["kind"]["const"] == document.get("kind")]
    return found or KINDS


@pytest.mark.parametrize("document", GOOD, ids=str)
def test_a_good_document_is_accepted_by_both_validators(document: dict[str, Any]) -> None:
    assert accepts(SCHEMAS[kind_of(document)[0]], document)
    assert accepts(SCHEMAS["resource"], document)


@pytest.mark.parametrize("document", BAD, ids=lambda document: str(document)[-150:])
def test_a_bad_document_is_refused_by_both_validators(document: dict[str, Any]) -> None:
    assert not any(accepts(SCHEMAS[kind], document) for kind in kind_of(document))
    assert not accepts(SCHEMAS["resource"], document)


def test_the_schemas_are_where_the_documentation_says() -> None:
    assert schema_folder() == Path(__file__).parents[3] / "schemas"
