"""Rules between documents. `tests/config-repos` shows their words and places; here are their edges, a delta and their cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from growth import assert_linear

import reconciler.source.rules
from reconciler.access.problems import Problem
from reconciler.access.resources import (
    Declaration,
    EmailTemplate,
    Guards,
    Issuer,
    Kind,
    Membership,
    Origin,
    Permission,
    Resource,
    Settings,
    Team,
    User,
)
from reconciler.source.rules import Surroundings, check, nowhere
from reconciler.wording.nearest import nearest

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def declared(*resources: Resource) -> list[Declaration]:
    kinds: dict[type, Kind] = {
        User: "User", Team: "Team", Issuer: "Issuer", EmailTemplate: "EmailTemplate", Settings: "Settings"
    }  # fmt: skip
    return [
        Declaration(kinds[type(resource)], resource, Origin(f"{number}.yaml", 1)) for number, resource in enumerate(resources)
    ]


def problems(*resources: Resource, around: Surroundings | None = None) -> list[Problem]:
    return check(declared(*resources), NOW, around or Surroundings(), locate=nowhere)


def found(*resources: Resource, around: Surroundings | None = None) -> list[tuple[str, str]]:
    """File and rule of each problem, sorted."""
    return sorted((problem.file.removesuffix(".yaml"), problem.rule) for problem in problems(*resources, around=around))


ALICE, TLS = User("alice", "alice@example.org"), Issuer("tls")


def team(*members: str, name: str = "web", **values: Any) -> Team:
    return Team(name, members=tuple(map(Membership, members)), **{"permissions": (Permission("tls"),), **values})


def test_a_complete_configuration_has_no_problems() -> None:
    assert found(ALICE, TLS, team("alice")) == []


@pytest.mark.parametrize(("seconds", "past"), [(-1, True), (0, True), (1, False)])
def test_an_end_is_past_from_its_very_instant(seconds: int, past: bool) -> None:
    until = NOW + timedelta(seconds=seconds)
    ending = Team("web", members=(Membership("alice", until),), permissions=(Permission("tls", until),))
    assert found(ALICE, TLS, ending) == [("2", "until-past")] * (2 if past else 0)


def test_a_reference_is_to_its_own_kind_and_to_its_very_name() -> None:
    twisted = team("tls", permissions=(Permission("alice"),), may_decide_for=("alice",))
    assert found(ALICE, TLS, twisted) == [("1", "unused-issuer"), *[("2", "unknown-reference")] * 3]


def test_everyone_need_not_be_declared_as_a_team() -> None:
    assert found(ALICE, TLS, team("alice", may_decide_for="everyone")) == []


def test_the_settings_refer_to_teams() -> None:
    settings = Settings(guards=Guards(separation_of_duties=(("gone", "web"), ("gone", "ops"))))
    assert found(ALICE, TLS, team("alice"), settings) == [("3", "unknown-reference")] * 2


def test_an_administrator_team_grants_something() -> None:
    assert found(ALICE, team("alice", permissions=(), administrator=True)) == []
    assert found(ALICE, team("alice", permissions=())) == [("1", "grants-nothing")]


def test_an_issuer_that_only_an_ended_permission_grants_is_told_by_its_end() -> None:
    ended = Team("web", permissions=(Permission("tls", NOW),))
    assert found(TLS, ended) == [("1", "until-past")]


@pytest.mark.parametrize(
    ("issuers", "expected"),
    [
        ([Issuer("a", "X"), Issuer("b", "X")], ["1"]),
        ([Issuer("a", "X"), Issuer("b", "x")], ["1"]),
        ([Issuer("a", "STRASSE"), Issuer("b", "straße")], ["1"]),
        ([Issuer("a", "B"), Issuer("b")], ["0"]),
        ([Issuer("b"), Issuer("a", "B")], ["1"]),
        ([Issuer("a", "b"), Issuer("b", "a")], ["0", "1"]),
        ([Issuer("a", "A"), Issuer("b", "y")], []),
        ([Issuer("a", "X"), Issuer("b", "X"), Issuer("c", "X")], ["1", "2"]),
    ],
)
def test_what_people_see_names_one_issuer(issuers: list[Issuer], expected: list[str]) -> None:
    granting = Team("web", permissions=tuple(Permission(issuer.name) for issuer in issuers))
    assert found(*issuers, granting) == [(file, "duplicate-display-name") for file in expected]


def test_what_people_see_names_one_team() -> None:
    one, two = (Team(name, administrator=True, display_name=shown) for name, shown in (("a", "Test Team"), ("b", "TEST TEAM")))
    assert found(one, two) == [("1", "duplicate-display-name")]
    assert found(one._replace(display_name="B"), two._replace(display_name=None)) == [("0", "duplicate-display-name")]
    assert found(one, TLS._replace(display_name="Test Team"), ALICE, team("alice")) == []


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        ([User("fred", "", logins=("Fred.Bloggs@example.org", "CORP\\Fred"))], []),
        ([User("fred", "", logins=("FRED",))], ["0"]),
        ([User("fred", "", logins=("Ｆred Bloggs", "fred bloggs"))], ["0"]),
        ([User("fred", "", logins=("Bob",)), User("bob", "")], ["0"]),
        ([User("bob", ""), User("fred", "", logins=("Bob",))], ["1"]),
        ([User("fred", "", logins=("F B",)), User("bob", "", logins=("f b",))], ["1"]),
        ([User("fred", "", logins=("Old",)), User("bob", "", previously=("old",))], ["0"]),
        ([User("fred", "", logins=("Old",), previously=("old",))], []),
    ],
)
def test_a_login_is_that_of_one_user(users: list[User], expected: list[str]) -> None:
    assert found(*users) == [(file, "duplicate-login") for file in expected]


def test_an_identifier_is_that_of_one_resource_of_its_kind() -> None:
    identifier = "5f2b7c9d1e3a4b5c6d7e8f90"
    users = [User(name, "", certdog_id=identifier) for name in ("ann", "ben")]
    assert found(*users, Team("web", administrator=True, certdog_id=identifier)) == [("1", "duplicate-certdog-id")]


def test_earlier_names_are_claimed_once_and_no_longer_used() -> None:
    def user(name: str, *previously: str) -> User:
        return User(name, f"{name}@example.org", previously=previously)

    assert found(user("bob", "old"), user("carol", "older")) == []
    assert found(user("bob", "old"), user("carol", "old")) == [("1", "previously")]
    assert found(user("bob", "carol"), user("carol", "bob")) == [("0", "previously"), ("1", "previously")]
    assert found(user("bob", "carol"), user("carol", "dave"), user("dave", "bob")) == [(str(n), "previously") for n in range(3)]
    assert found(user("bob", "carol"), user("carol", "dave"), user("dave", "erin")) == []
    assert found(user("ann", "bob"), user("bob", "carol"), user("carol", "bobby", "bob")) == [("2", "previously")]
    assert found(user("bob", "bob")) == [("0", "previously")]
    assert found(user("bob", "tls"), TLS, team("bob")) == []


def test_an_empty_repository_is_worth_a_warning() -> None:
    (problem,) = problems()
    assert (problem.file, problem.rule, problem.severity) == (".", "nothing-declared", "warning")
    assert problems(around=Surroundings(names={"User": frozenset({"alice"})})) == []
    assert problems(around=Surroundings(broken=frozenset({("User", "alice")}))) == []


# A delta: what a change leaves alone is around it


def test_a_delta_knows_its_surroundings() -> None:
    around = Surroundings(names={"User": frozenset({"alice"}), "Issuer": frozenset({"tls"})})
    assert found(team("alice"), around=around) == []
    assert found(team("bob"), around=around) == [("0", "unknown-reference")]
    assert found(ALICE, around=around) == [("0", "duplicate-name")]
    assert found(User("bob", "b@example.org", previously=("alice",)), around=around) == []
    assert found(TLS._replace(name="vpn"), around=Surroundings(granted_issuers=frozenset({"vpn"}))) == []
    shown = Surroundings(display_names={("Issuer", "tls"): "tls"}, granted_issuers=frozenset({"vpn"}))
    assert found(Issuer("vpn", "TLS"), around=shown) == [("0", "duplicate-display-name")]
    assert found(Team("vpn", administrator=True, display_name="TLS"), around=shown) == []
    taken = Surroundings(certdog_ids={("User", "a" * 24): "bob"}, logins={"fred bloggs": "fred", "alice": "fred"})
    assert found(ALICE._replace(certdog_id="a" * 24), around=taken._replace(logins={})) == [("0", "duplicate-certdog-id")]
    assert found(User("carol", "c@example.org", logins=("Fred Bloggs",)), around=taken) == [("0", "duplicate-login")]
    assert found(ALICE, around=taken) == [("0", "duplicate-login")]
    assert found(User("carol", "c@example.org", previously=("alice",)), around=taken) == [("0", "duplicate-login")]
    claimed = Surroundings(previous_names={("User", "alice"): "alicia"})
    assert found(ALICE, around=claimed) == []
    circle = Surroundings(names={"User": frozenset({"bob"})}, previous_names={("User", "alice"): "bob"})
    assert found(ALICE._replace(previously=("bob",)), around=circle) == [("0", "previously")]
    known = Surroundings(identities={"emp-1": "bob"})
    assert found(ALICE._replace(identity="Emp-1"), around=known) == [("0", "duplicate-identity")]
    assert found(ALICE._replace(identity="emp-2"), around=known) == []
    assert found(User("bob", "b@example.org", previously=("alice",)), around=claimed) == [("0", "previously")]


def test_a_delta_that_breaks_a_reference_is_an_error() -> None:
    around = Surroundings(names={"Team": frozenset({"web"})}, references={("User", "alice"): ("teams/web.yaml", "teams/x.yaml")})
    assert [(problem.file, problem.rule, problem.severity) for problem in problems(around=around)] == [
        ("teams/web.yaml", "unknown-reference", "error"),
        ("teams/x.yaml", "unknown-reference", "error"),
    ]


# Templates


@pytest.mark.parametrize(
    "text",
    [
        *("{{ x", "{% if %}", "{% endif %}", "{% include", "{{ 'a' 'b }}", "{# x", "{% for x in y %}" * 3_000),
        *("{{ " + "(" * 20_000, "{{ " + "not " * 15_000 + "x }}", "{{ " + "9" * 5_000 + " }}"),
    ],
)
def test_a_template_that_cannot_be_read_is_found_in_each_of_its_parts(text: str) -> None:
    for template in (
        EmailTemplate("welcome", text, "x"),
        EmailTemplate("welcome", "x", text),
        EmailTemplate("welcome", "x", "x", text),
    ):
        faults = problems(template)
        assert {problem.rule for problem in faults} <= {"template-syntax", "template-forbidden"} and len(faults) == 1
        assert len(faults[0].message) < 300 and "\n" not in faults[0].message


def test_a_template_may_use_every_variable_of_its_mail() -> None:
    text = (
        "{% if user.fullName %}{{ user.fullName|upper }}{% else %}{# nobody #}{% endif %}{% raw %}{{{% endraw %} {{ password }}"
    )
    assert found(EmailTemplate("welcome", "Hi {{ user.name }}", text, text), EmailTemplate("password-reset", "x", text)) == []


# Cost


def test_many_unknown_references_are_all_reported_and_the_first_with_suggestions(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def count(name: str, names: Collection[str]) -> str | None:
        compared.append(len(names))
        return nearest(name, names)

    monkeypatch.setattr(reconciler.source.rules, "nearest", count)
    monkeypatch.setattr(reconciler.source.rules, "_MOST_COMPARED", 5_000)
    users = [User(f"user-{number:05}", "a@example.org") for number in range(2_000)]
    members = tuple(Membership(f"usr-{number:05}") for number in range(2_000))
    unknown = problems(*users, TLS, Team("web", members=members, permissions=(Permission("tls"),)))
    assert len(unknown) == 2_000
    assert [problem.suggestion for problem in unknown[:2]] == ["user-00000", "user-00001"]
    assert unknown[-1].suggestion is None and unknown[-1].message == "unknown user `usr-01999`"
    assert compared == [2_000] * 3


def test_an_unknown_name_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(reconciler.source.rules, "nearest", lambda name, _names: asked.append(name))
    assert len(problems(TLS, *(team("bob", name=f"team-{number}") for number in range(9)))) == 9
    assert asked == ["bob"]


def test_checking_a_list_takes_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler.source.rules, "_MOST_COMPARED", 0)

    def checking(count: int) -> Callable[[], object]:
        users = [User(f"user-{number}", "a@example.org") for number in range(count)]
        names = [user.name for user in users]
        twice, unknown = team(*names, names[0]), team(*(f"usr-{number}" for number in range(count)), name="ops")
        rules = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(count)]
        overlapping = team(names[0], name="lan", permitted_ips=(*rules, "10.0.0.0/8"))
        resources = (*users, TLS, twice, unknown, overlapping)
        expected = {"listed-twice": 1, "unknown-reference": count, "overlapping-ips": count}
        assert Counter(rule for _, rule in found(*resources)) == expected
        return lambda: problems(*resources)

    assert_linear(checking, 500, 8_000)


def test_adjacent_permitted_ips_do_not_overlap() -> None:
    rules = tuple(f"10.{number >> 8}.{number & 255}.0/24" for number in range(1_000))
    assert found(ALICE, TLS, team("alice", permitted_ips=rules)) == []
