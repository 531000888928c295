"""Delegations: which one decides for a file, and what patterns and addresses permit."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate

import pytest
from growth import assert_linear
from hypothesis import given
from hypothesis import strategies as st

from reconciler.access.delegation import Zones, folder_path, oversteps
from reconciler.access.permitted_ips import covered, parse_rule
from reconciler.access.resources import Delegation, Issuer, Permission, Team, User

WEB = Delegation("teams/web", ("Team",), ("web-*",), ("tls-*",), ("PKI-Web*",), permitted_ips=("10.0.0.0/9", "10.128.0.0/9"))


def says(zone: Delegation, team: Team) -> list[str]:
    return ["/".join(path) for path, _ in oversteps(zone, "Team", team)]


def test_the_names_of_a_delegation_are_those_of_aliases_too() -> None:
    zone = Delegation("people", ("User",), ("web-*", "CORP\\web-*"))
    user = User("web-ann", "a@example.org", logins=("WEB-Ann", "Corp\\WEB-ann", "Administrator"))
    assert [path for path, _ in oversteps(zone, "User", user)] == [("spec", "logins", "Administrator")]


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("teams/web/a.yaml", "teams/web"),
        ("teams/web/deep/er/a.yaml", "teams/web"),
        ("teams/web/security/a.yaml", None),
        ("teams/web-evil/a.yaml", None),
        ("teams/web.yaml", None),
        ("Teams/WEB/a.yaml", "teams/web"),
        ("teams/cafe\u0301/a.yaml", "teams/caf\u00e9"),
        ("teams/one.yaml", "teams/one.yaml"),
        ("teams/one.yaml.yaml", None),
        ("other/teams/web/a.yaml", None),
    ],
)
def test_the_longest_path_decides_part_by_part_and_without_regard_to_spelling(file: str, path: str | None) -> None:
    inner = Delegation("teams/web/security", unrestricted=True)
    zones = Zones([Delegation("teams/caf\u00e9"), WEB, inner, Delegation("teams/one.yaml")])
    found = zones.of(file)
    assert (found and found.path) == path


def test_the_whole_repository_can_be_delegated_except_for_a_folder() -> None:
    zones = Zones([Delegation(""), Delegation("admins", unrestricted=True)])
    assert zones.of("a.yaml") == zones.of("x/y.yaml") == Delegation("")
    assert zones.of("admins/a.yaml") is None


def test_outside_git_a_path_begins_in_the_folder_that_was_named() -> None:
    assert Zones([WEB], "/somewhere/config/").of("/somewhere/config/teams/web/a.yaml") == WEB


@pytest.mark.parametrize(
    ("text", "path"),
    [(".", ""), ("/", ""), ("./teams//web/", "teams/web"), ("/teams/web", "teams/web"), ("teams/./web", "teams/web")],
)
def test_a_path_has_one_spelling(text: str, path: str) -> None:
    assert folder_path(text) == path


@pytest.mark.parametrize("text", ["..", "teams/../admins", "teams/*", "teams/we?", "teams\\web", "teams/[w]eb"])
def test_a_path_that_leads_out_or_has_wildcards_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"leads out|wildcards"):
        folder_path(text)


def test_what_a_delegation_leaves_out_may_not_be_declared() -> None:
    team = Team(
        "web-a",
        administrator=True,
        permissions=(Permission("tls"),),
        ad_groups=("PKI",),
        permitted_ips=("10.0.0.1",),
        may_decide_for=("ops",),
        previously=("ops",),
    )
    nothing = Delegation("teams/web", kinds=("Team",))
    assert says(nothing, team) == [
        "metadata/name",
        "metadata/previously/ops",
        "spec/administrator",
        "spec/issuers/tls",
        "spec/adGroups/PKI",
        "spec/permittedIPs/10.0.0.1",
        "spec/mayDecideFor/ops",
    ]
    assert [path for path, _ in oversteps(nothing, "User", User("web-a", "a@example.org"))] == [("kind",)]
    assert [path for path, _ in oversteps(WEB, "Issuer", Issuer("web-a"))] == [("kind",)]


def test_what_a_delegation_has_may_be_declared() -> None:
    team = Team("web-a", permissions=(Permission("tls-x"),), ad_groups=("pki-WEB-1",), permitted_ips=("10.0.0.0/8",))
    assert says(WEB, team) == []


@pytest.mark.parametrize(
    ("pattern", "group", "expected"),
    [
        ("Web-*", "web-ops", True),
        ("Web-*", "WEB-PROD\\Domain Admins", False),
        ("C*", "CN=Domain Admins,DC=corp", False),
        ("S*", "S-1-5-21-1-2-3-512", False),
        ("S-1-5-21-1-2-3-*", "S-1-5-21-1-2-3-512", True),
        ("CORP\\Web-*", "corp\\web-ops", True),
        ("CN=Web-*,OU=Groups,DC=corp", "cn=web-a,ou=groups,dc=corp", True),
        ("*", "CORP\\Domain Admins", True),
    ],
)
def test_a_pattern_for_ad_groups_is_for_names_of_its_own_form(pattern: str, group: str, expected: bool) -> None:
    zone = Delegation("teams/web", kinds=("Team",), names=("*",), ad_groups=(pattern,))
    assert (not list(oversteps(zone, "Team", Team("web", ad_groups=(group,))))) is expected


def test_everyone_is_only_for_who_may_decide_for_everyone() -> None:
    team = Team("web-a", may_decide_for="everyone")
    assert says(WEB._replace(may_decide_for=("*",)), team) == ["spec/mayDecideFor"]
    assert says(WEB._replace(may_decide_for=("*",)), team._replace(may_decide_for=("ops",))) == []
    assert says(WEB._replace(may_decide_for="everyone"), team) == []


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_a_pattern_is_for_the_whole_name(pattern: str, name: str) -> None:
    fits = says(WEB._replace(names=(pattern,)), Team(name)) == []
    assert fits == (re.match(translate(pattern), name) is not None)


def test_a_pattern_of_many_stars_takes_no_longer() -> None:
    def judging(size: int) -> Callable[[], object]:
        return lambda: says(WEB._replace(names=("*a" * 20 + "b",)), Team("a" * size))

    assert_linear(judging, 1_000, 16_000)


@pytest.mark.parametrize(
    ("text", "by", "expected"),
    [
        ("10.0.0.0/8", ["10.0.0.0/9", "10.128.0.0/9"], True),
        ("10.0.0.0/8", ["10.0.0.0/9", "10.129.0.0/16"], False),
        ("10.0.0.5", ["10.0.0.0-10.0.0.5"], True),
        ("10.0.0.6", ["10.0.0.0-10.0.0.5"], False),
        ("::ffff:10.0.0.1", ["10.0.0.*"], True),
        ("::/0", ["0.0.0.0/0"], False),
        ("10.0.0.1", [], False),
    ],
)
def test_a_rule_is_covered_by_all_rules_together(text: str, by: list[str], expected: bool) -> None:
    assert covered(parse_rule(text), map(parse_rule, by)) is expected
