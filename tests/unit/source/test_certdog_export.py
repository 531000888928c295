"""An export of the predecessor becomes a config repository with the same access, or nothing."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.access.decide import decide
from reconciler.access.permitted_ips import parse_address
from reconciler.access.state import build
from reconciler.mail.rendering import SAMPLE_HOSTS, render
from reconciler.mail.variables import SAMPLES
from reconciler.run.importing import import_predecessor
from reconciler.run.inputs import state_of
from reconciler.source.cache import open_cache
from reconciler.source.certdog import Positions, import_certdog
from reconciler.source.certdog_mails import converted
from reconciler.source.certdog_mapping import Mapped
from reconciler.source.errors import SourceError
from reconciler.source.load import load_folder
from reconciler.source.rules import problems_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HASH = "$2a$10$abcdefghijklmnopqrstuuJ7vS6V3c9J0lq1m2n3o4p5q6r7s8t9u"
TEAM_ID, ISSUER_ID, USER_ID = "604ba427edd31279d221aa82", "6081c3ba7e87646928628c6e", "604ba413edd31279d221aa80"


def imported(folder: Path, content: Any, *, with_hashes: bool = False) -> Mapped:
    file = folder / "export.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return import_certdog(file, with_hashes=with_hashes)


def errors(folder: Path, content: Any) -> list[str]:
    file = folder / "export.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    problems, written = import_predecessor(file, folder / "config", None)
    assert written is None
    assert not (folder / "config").exists()
    return [f"{each.line}:{each.column} {each.message}" for each in problems if each.severity == "error"]


def user(name: str = "u", **more: Any) -> dict[str, Any]:
    return {"username": name, "email": "u@example.org", **more}


def test_what_clients_know_is_kept(tmp_path: Path) -> None:
    state = imported(
        tmp_path,
        {
            "users": [user("Fred.Bloggs@example.org", id=USER_ID.upper(), teamsIds=[TEAM_ID], enabled=False)],
            "teams": [{"id": TEAM_ID, "name": "Test Team", "internalGroup": "ADMIN", "authorisedCas": [ISSUER_ID]}],
            "issuers": [{"id": ISSUER_ID, "caName": "Certdog TLS"}],
        },
    ).state
    (fred,), (team,), (issuer,) = state.users.values(), state.teams.values(), state.issuers.values()
    assert (fred.name, fred.logins, fred.certdog_id) == ("fred.bloggs-example.org", ("Fred.Bloggs@example.org",), USER_ID)
    assert not fred.enabled
    assert (team.name, team.display_name, team.certdog_id) == ("test-team", "Test Team", TEAM_ID)
    assert team.administrator
    assert (issuer.name, issuer.display_name, issuer.certdog_id) == ("certdog-tls", "Certdog TLS", ISSUER_ID)


@pytest.mark.parametrize("more", [{"disabled": True}, {"enabled": False}, {"enabled": True, "disabled": True}])
def test_a_disabled_user_stays_disabled(tmp_path: Path, more: dict[str, Any]) -> None:
    assert not imported(tmp_path, {"users": [user(**more)]}).state.users["u"].enabled


@pytest.mark.parametrize("key", ["adUser", "isAdUser"])
def test_a_directory_user_is_left_out_and_told(tmp_path: Path, key: str) -> None:
    found = imported(tmp_path, {"users": [user(**{key: True})]})
    assert not found.state.users
    assert ["of Active Directory" in each.message for each in found.problems] == [True]


@pytest.mark.parametrize("value", [" ", ",,", [" "], 0, False, {}, "host.example", "*.*.*.*", "10.0.0.1/8", "10.0.0.9-10.0.0.1"])
def test_a_list_of_addresses_never_becomes_none(tmp_path: Path, value: Any) -> None:
    assert errors(tmp_path, {"teams": [{"name": "t", "ipWhiteList": value}]})


@pytest.mark.parametrize("value", [None, "", []])
def test_no_list_is_no_restriction(tmp_path: Path, value: Any) -> None:
    assert imported(tmp_path, {"teams": [{"name": "t", "ipWhiteList": value}]}).state.teams["t"].permitted_ips == ()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"teams": [{"name": "t", "ipWhitelist": "10.0.0.1"}]}, "did you mean `ipWhiteList`?"),
        ({"teams": [{"name": "t", "permittedIps": "10.0.0.1"}]}, "may restrict access"),
        ({"users": [user(Enabled=False)]}, "did you mean `enabled`?"),
        ({"users": [user(isDisabled=True)]}, "may restrict access"),
        ({"users": [user(locked=True)]}, "may restrict access"),
        ({"users": [user(active=False)]}, "may restrict access"),
        ({"teams": [{"name": "a", "ipWhitelist": None}, {"name": "b", "ipWhitelist": "10.0.0.1"}]}, "may restrict access"),
        ({"issuers": [{"caName": "i", "enabled": None}]}, "`enabled` must be true or false"),
        ({"users": [user("ann", adUser=True, enabled=False)]}, "disabled, but of Active Directory"),
        ({"users": [user("ann", adUser=True), user("Ann")]}, "a user of Active Directory is also called `Ann`"),
        ({"users": [user(enabled=None)]}, "`enabled` must be true or false"),
        ({"users": [user(enabled="false")]}, "`enabled` must be true or false"),
        ({"users": [user(teamsIds=["x"])]}, "no team has the id or the name `x`"),
        ({"teams": [{"name": "t", "authorisedCas": [ISSUER_ID]}]}, "no issuer has the id or the name"),
        ({"teams": [{"name": "t", "internalGroup": "ROOT"}]}, "`internalGroup` must be USER or ADMIN"),
        ({"teams": [{"name": "t"}, {"name": "t"}]}, "two teams have the id or the name `t`"),
        ({"teams": [{"name": TEAM_ID}, {"name": "t", "id": TEAM_ID}]}, "two teams have the id or the name"),
        ({"teams": [{"name": "AB" * 12}, {"name": "t", "id": "ab" * 12}]}, "two teams have the id or the name"),
        ({"users": [user(teamsIds=["T"])], "teams": [{"name": "t"}]}, "no team has the id or the name `T`"),
        ({"issuers": [{"caName": "t"}, {"caName": "t"}]}, "two issuers have the id or the name `t`"),
        ({"users": [user("Fred"), user("fred")]}, "`Fred` and `fred`, and case makes no difference here"),
        ({"users": [user("a", id=USER_ID), user("b", id=USER_ID)]}, "has the same identifier"),
        ({"users": [user(id="1")]}, "`id` must have 24 hexadecimal digits"),
        ({"users": [user("a\x00b")]}, "U+0000"),
        ('{"users": [{"username": "a\\ud800", "email": "u@example.org"}]}', "half of a character"),
        ({"users": [{"username": "u"}]}, "1:12 `email` cannot be ``"),
        ({"users": {}}, "`users` must be a list"),
        ({"users": [5]}, "each of `users` must be an object"),
        ({"issuers": [{"caName": "i", "caCerts": ["x"]}]}, "this must be one certificate as PEM"),
        ({"emailTemplates": {"welcome": {}}}, "is no mail of the predecessor's"),
        ({"settings": {"reminderDays": "30,x"}}, "must be numbers of days"),
        ({"settings": {"alwaysSendTo": "nobody"}}, "wrong-format"),
        ({"settings": {"reminderDays": "30,99999"}}, "must be at most 3,650"),
        ({}, "the export has none of"),
        ({"user": []}, "the export has none of"),
        ({"users": [{}, 5]}, "each of `users` must be an object"),
        ("5", "the file must contain an object"),
        ("", "this is not JSON"),
        ('{"users": [], "users": []}', "the property `users` twice"),
        ("[" * 200_000, "nested too deeply"),
        ('{"users": [' + "9" * 5_000 + "]}", "too long"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_cannot_be_kept_is_an_error_and_nothing_is_written(tmp_path: Path, content: Any, expected: str) -> None:
    found = errors(tmp_path, content)
    assert any(expected in each for each in found), found


def test_an_error_has_its_place(tmp_path: Path) -> None:
    text = json.dumps(
        {"users": [user("a", id=USER_ID), user("b", id=USER_ID)], "teams": [{"name": "t", "ipWhiteList": "x"}]}, indent=1
    )
    (found,) = errors(tmp_path, text)
    assert text.splitlines()[int(found.split(":")[0]) - 1].strip().startswith('"ipWhiteList"')
    (found,) = errors(tmp_path, text.replace('"x"', '"10.0.0.1"'))
    assert text.splitlines()[int(found.split(":")[0]) :][0].strip() == f'"username": "{"b"}",'


@pytest.mark.parametrize(("value", "told"), [(None, 0), ("", 0), (ISSUER_ID, 1)])
def test_which_subjects_an_issuer_signs_is_left_out_and_told(tmp_path: Path, value: Any, told: int) -> None:
    found = imported(tmp_path, {"issuers": [{"caName": "i", "dnRestrictionId": value}]})
    assert ["`dnRestrictionId` of issuers is not taken over" in each.message for each in found.problems] == [True] * told


def test_a_long_text_takes_no_more_memory_than_it_has(tmp_path: Path) -> None:
    content = json.dumps({"users": [{"username": "u", "email": "u@example.org", "other": "x" * 2_000_000}]})
    tracemalloc.start()
    try:
        assert len(Positions(content).of(("users", 0, "other"))) == 2
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


def test_settings_that_say_nothing_switch_no_mail_off(tmp_path: Path) -> None:
    assert imported(tmp_path, {"settings": {"sendOnIssue": None, "sendOnExpiry": None}}).state.settings is None


def test_nobody_gets_the_name_of_a_directory_user(tmp_path: Path) -> None:
    state = imported(tmp_path, {"users": [user("Ann B"), user("ann-b", adUser=True)]}).state
    assert {name: each.logins for name, each in state.users.items()} == {"ann-b-2": ("Ann B",)}


@pytest.mark.parametrize(
    "content",
    [
        '{"users": [{' + ", ".join(f'"k{number}": 1' for number in [*range(60_000), 59_999]) + "}]}",
        json.dumps({"teams": [{"name": "t", "adGroups": [1] * 20_000}]}),
        json.dumps({"teams": [{"name": f"t{number}", "ipWhiteList": ","} for number in range(20_000)]}),
        json.dumps(
            {
                "teams": [{"name": f"t{number}"} for number in range(2_000)],
                "users": [user(f"u{number}", teamsIds=["t0", f"t{number % 2_000}"]) for number in range(20_000)],
            }
        ),
    ],
    ids=["properties", "items", "addresses", "members"],
)
def test_a_long_file_takes_time_in_proportion(tmp_path: Path, content: str) -> None:
    began = time.process_time()
    imported(tmp_path, content)
    assert time.process_time() - began < 10, "each was compared with all others: half a minute to several"


def test_many_messages_take_no_longer_than_the_file(tmp_path: Path) -> None:
    began = time.process_time()
    found = imported(tmp_path, {"users": [user(f"u{number}", adUser=True) for number in range(20_000)]})
    assert len(found.problems) == 20_000
    assert time.process_time() - began < 20, "each place was looked for from the beginning: an hour"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=15,
)


@given(JSON, st.sampled_from([None, 0, 2]), st.booleans())
def test_each_value_is_found_where_it_is(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    positions, decoder, lines = Positions(text), json.JSONDecoder(), text.split("\n")

    def check(found: Any, path: tuple[str | int, ...]) -> None:
        line, column = positions.of(path)
        start = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
        assert decoder.raw_decode(text, start)[0] == found
        inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
        for key, each in inner:
            check(each, (*path, key))

    check(value, ())


def test_names_that_yaml_and_file_systems_take_for_something_else(tmp_path: Path) -> None:
    names = ["no", "1e3", "- x", "&a", "null", "~", "../../etc/passwd", "..", ".git", "con", "日本", "x" * 90]
    content = {
        "users": [user(name) for name in names],
        "teams": [{"name": name, "description": f"{name}: # {name}"} for name in [*names, "everyone"]],
        "issuers": [{"caName": name} for name in names],
    }
    file = tmp_path / "export.json"
    file.write_text(json.dumps(content))
    problems, written = import_predecessor(file, tmp_path / "inner/config", None)
    assert written is not None, problems
    assert {place.relative_to(tmp_path).parts[0] for place in tmp_path.rglob("*")} == {"export.json", "inner"}
    loaded = load_folder(tmp_path / "inner/config", cache=open_cache(tmp_path / "cache"))
    state = state_of(loaded.declarations).declared
    assert sorted((*each.logins, each.name)[0] for each in state.users.values()) == sorted(names)
    assert sorted(each.display_name or each.name for each in state.teams.values()) == sorted([*names, "everyone"])


def test_hashes_are_nowhere_but_in_their_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {
        "users": [
            user("Ann B", password=HASH),
            user("cut", password=HASH[:-1]),
            user("costly", password=HASH.replace("$10$", "$31$")),
            user("other", passwordHash=HASH.replace("2a", "2b")),
            user("none", password={"x": HASH}),
        ]
    }
    file, hashes, config = tmp_path / "export.json", tmp_path / "users.htpasswd", tmp_path / "config"
    file.write_text(json.dumps(content))
    problems, written = import_predecessor(file, config, hashes)
    assert written is not None
    assert hashes.read_text() == f"ann-b:{HASH}\nother:{HASH.replace('2a', '2b')}\n"
    assert hashes.stat().st_mode & 0o777 == 0o600
    said = [str(problems), *capsys.readouterr(), repr(import_certdog(file, with_hashes=True))]
    said += [each.read_text() for each in config.rglob("*.yaml")]
    assert not any(HASH[10:30] in each for each in said)
    assert "initialPassword: none" in (config / "users/ann-b.yaml").read_text()
    assert "initialPassword" not in (config / "users/cut.yaml").read_text()


def test_without_the_option_no_hash_is_written(tmp_path: Path) -> None:
    found = imported(tmp_path, {"users": [user(password=HASH)]})
    assert not found.hashes
    assert found.state.users["u"].initial_password == "generated"


@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_a_file_that_is_there_gets_no_hashes(tmp_path: Path, kind: str) -> None:
    target, hashes = tmp_path / "target", tmp_path / "hashes"
    if kind != "dangling":
        target.write_text("precious")
    if kind == "file":
        hashes = target
    else:
        hashes.symlink_to(target)
    (tmp_path / "export.json").write_text(json.dumps({"users": [user(password=HASH)]}))
    with pytest.raises(SourceError, match="is there already"):
        import_predecessor(tmp_path / "export.json", tmp_path / "config", hashes)
    assert not (tmp_path / "config").exists()
    assert kind == "dangling" or target.read_text() == "precious"
    assert kind != "dangling" or not target.exists()


def test_a_folder_that_is_in_use_gets_nothing_and_no_hashes_stay(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mine").write_text("x")
    (tmp_path / "export.json").write_text(json.dumps({"users": [user(password=HASH)]}))
    with pytest.raises(SourceError, match="is not empty"):
        import_predecessor(tmp_path / "export.json", tmp_path / "config", tmp_path / "hashes")
    assert not (tmp_path / "hashes").exists()
    assert [each.name for each in (tmp_path / "config").iterdir()] == ["mine"]


TEMPLATE_TEXT = st.lists(
    st.sampled_from(
        [
            *"{}%#[]-+ ab",
            "\n",
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            "{%- raw -%}",
            "{% endraw %}",
            "{{ password }}",
            "[CERTISSUER]",
        ]
    ),
    max_size=12,
).map("".join)


@given(TEMPLATE_TEXT)
@settings(max_examples=300, deadline=None)
def test_nothing_in_a_mail_is_evaluated_but_its_tags(text: str) -> None:
    template, lost = converted("certificate-issued", "s", f"begin {text} end\n")
    assert template is not None, lost
    sample = SAMPLES["certificate-issued"]
    expected = f"begin {text} end".replace("[CERTISSUER]", sample["certificate"]["issuer"])
    shown = render(template, sample, SAMPLE_HOSTS).text
    assert [line.rstrip() for line in shown.rstrip().split("\n")] == [line.rstrip() for line in expected.split("\n")]


def test_unknown_tags_stay_and_are_told(tmp_path: Path) -> None:
    mail = {"subject": "[CERTSUBJECT]", "body": "<p>Hello [OWNER], {{ 7 * 7 }} [VALIDTO]</p>"}
    found = imported(tmp_path, {"emailTemplates": {"expiring": mail}})
    template = found.state.templates["certificate-expiring"]
    assert template.html is not None
    mail_sent = render(template, SAMPLES["certificate-expiring"], SAMPLE_HOSTS)
    assert "[OWNER], {{ 7 * 7 }} 23 February 2027" in mail_sent.text
    assert ["[OWNER] is no tag" in each.message for each in found.problems] == [True]


ADDRESSES = ("10.0.0.1", "10.0.0.9", "192.168.15.7", "2001:db8::5", "203.0.113.1")
RULES = {
    "10.0.0.1": {"10.0.0.1"},
    "10.0.0.0-10.0.0.8": {"10.0.0.1"},
    "10.0.0.*": {"10.0.0.1", "10.0.0.9"},
    "192.168.15.*": {"192.168.15.7"},
    "2001:db8::5": {"2001:db8::5"},
}
"""Rules of the predecessor's, and what they cover of the addresses that are tried."""
PEOPLE = st.sampled_from(["Ann", "Bob B", "bob-b", "Cé", "C", "D@x", "d-x"])
NAMES = st.lists(PEOPLE, unique=True, max_size=5)


@st.composite
def exports(draw: st.DrawFn) -> dict[str, Any]:
    numbers = iter(range(1, 10_000))

    def identifier() -> str:
        return f"{next(numbers):024x}"

    def some(of: list[dict[str, Any]], name: str) -> list[str]:
        return [draw(st.sampled_from([each["id"], each[name]])) for each in of if draw(st.booleans())]

    issuers = [{"id": identifier(), "caName": name, "enabled": draw(st.booleans())} for name in draw(NAMES)]
    lists = st.none() | st.just("") | st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=3).map(", ".join)
    teams = [
        {
            "id": identifier(),
            "name": name,
            "internalGroup": draw(st.sampled_from(["USER", "ADMIN"])),
            "authorisedCas": some(issuers, "caName"),
            "ipWhiteList": draw(lists),
        }
        for name in draw(NAMES)
    ]
    users = [
        user(name, id=identifier(), enabled=enabled, adUser=enabled and draw(st.booleans()), teamsIds=some(teams, "name"))
        for name, enabled in draw(st.dictionaries(PEOPLE, st.booleans(), max_size=5)).items()
    ]
    return {"users": users, "teams": teams, "issuers": issuers}


def permitted_before(export: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    """The predecessor's own rules, by ids: through teams, for enabled users, from the joined lists of all their teams."""
    found = set()
    for one in export["users"]:
        teams = [team for team in export["teams"] if {team["id"], team["name"]} & set(one["teamsIds"])]
        rules = [rule.strip() for team in teams for rule in (team["ipWhiteList"] or "").split(",") if rule.strip()]
        addresses = {address for rule in rules for address in RULES[rule]} if rules else set(ADDRESSES)
        named = {key for team in teams for key in team["authorisedCas"]}
        usable = [each["id"] for each in export["issuers"] if each["enabled"] and named & {each["id"], each["caName"]}]
        if one["enabled"] and not one["adUser"]:
            found |= {(one["id"], issuer, address) for issuer in usable for address in addresses}
    return found


@given(exports())
@settings(max_examples=60, deadline=None)
def test_who_may_use_what_from_where_stays_the_same(export: dict[str, Any]) -> None:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "export.json").write_text(json.dumps(export))
        problems, written = import_predecessor(folder / "export.json", folder / "config", None)
        assert written is not None, problems
        loaded = load_folder(folder / "config", cache=open_cache(folder / "cache"))
        assert not [each for each in problems_of(loaded, NOW) if each.severity == "error"]
        declared = state_of(loaded.declarations).declared
    state = build(declared)
    after = {
        (one.certdog_id, issuer.certdog_id, address)
        for one in declared.users.values()
        for issuer in declared.issuers.values()
        for address in ADDRESSES
        if decide(state, one.name, issuer.name, parse_address(address), NOW).allow
    }
    assert after == permitted_before(export)
    administrators = {team["id"] for team in export["teams"] if team["internalGroup"] == "ADMIN"}
    assert {team.certdog_id for team in declared.teams.values() if team.administrator} == administrators
