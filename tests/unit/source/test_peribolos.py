"""A GitHub organisation becomes a config repository with the same access."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.access.resources import DeclaredState, Guards
from reconciler.access.state import access_of, build
from reconciler.run.inputs import state_of
from reconciler.source.cache import open_cache
from reconciler.source.errors import SourceError
from reconciler.source.export import export_state
from reconciler.source.imported import safe_name
from reconciler.source.load import load_folder
from reconciler.source.peribolos import Imported, import_peribolos
from reconciler.source.rules import problems_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORGANISATION = """
    orgs:
      Halden:
        name: Halden Ferries
        admins: [Olga]
        members: [Alice-X, bob, carol, dave]
        repos:
          Booking: {description: Books tickets, private: true}
          .github: {}
          attic: {archived: true}
        teams:
          Web Team:
            description: Runs the web
            privacy: closed
            maintainers: [alice-x]
            previously: [Frontend]
            repos: {booking: write, website: maintain, docs: read}
            teams:
              web-leads:
                members: [BOB]
                repos: {deploy: admin, docs: triage}
          readers:
            members: [carol]
            repos: {booking: read}
          archivists:
            members: [dave]
            repos: {attic: write}
"""


def imported(folder: Path, text: str, **options: Any) -> Imported:
    file = folder / "org.yaml"
    file.write_text(dedent(text))
    return import_peribolos(file, **options)


def access(state: DeclaredState) -> set[tuple[str, str]]:
    indexed = build(state)
    return {(user, issuer) for user in state.users for issuer in access_of(indexed, user, NOW)}


def errors(result: Imported) -> list[str]:
    return [f"{problem.line}:{problem.column} {problem.message}" for problem in result.problems if problem.severity == "error"]


def test_write_permission_on_github_becomes_use_of_the_issuer(tmp_path: Path) -> None:
    result = imported(tmp_path, ORGANISATION)
    assert ["docs" in problem.message for problem in result.problems] == [True], "nobody may write to it"
    assert access(result.state) == {
        ("alice-x", "halden-booking"),
        ("alice-x", "halden-website"),
        ("bob", "halden-booking"),  # inherited from the parent team
        ("bob", "halden-website"),
        ("bob", "halden-deploy"),
        ("olga", "halden-.github"),
        ("olga", "halden-booking"),
        ("olga", "halden-website"),
        ("olga", "halden-deploy"),
    }


def test_only_the_requested_permission_or_more_counts(tmp_path: Path) -> None:
    pairs = access(imported(tmp_path, ORGANISATION, minimum_permission="admin").state)
    assert {issuer for user, issuer in pairs if user == "bob"} == {"halden-deploy"}
    pairs = access(imported(tmp_path, ORGANISATION, minimum_permission="maintain").state)
    assert {issuer for user, issuer in pairs if user == "alice-x"} == {"halden-website"}


def test_resources_say_where_they_come_from(tmp_path: Path) -> None:
    state = imported(tmp_path, ORGANISATION, email_domain="halden.example").state
    assert state.users["alice-x"].email == "alice-x@users.noreply.halden.example"
    assert state.issuers["halden-booking"].display_name == "Halden/Booking"
    assert state.issuers["halden-booking"].description == "Books tickets"
    assert not state.issuers["halden-attic"].enabled
    assert state.teams["halden-web-team"].description == "Runs the web"
    assert state.teams["halden-web-team"].previously == ("halden-frontend",)
    assert state.teams["halden-org-admins"].administrator
    assert [name for name, team in state.teams.items() if team.administrator] == ["halden-org-admins"]


def test_a_login_in_another_case_is_the_same_person(tmp_path: Path) -> None:
    state = imported(tmp_path, ORGANISATION).state
    assert sorted(state.users) == ["alice-x", "bob", "carol", "dave", "olga"]


def test_a_default_permission_gives_every_member_every_repository(tmp_path: Path) -> None:
    text = "orgs: {o: {default_repository_permission: write, admins: [a], members: [b], repos: {r: {}, s: {}}}}"
    assert access(imported(tmp_path, text).state) == {("a", "o-r"), ("a", "o-s"), ("b", "o-r"), ("b", "o-s")}


def test_collaborators_have_a_team_of_their_own(tmp_path: Path) -> None:
    text = "orgs: {o: {members: [b], repos: {r: {collaborators: {Guest: write, b: read}}}}}"
    result = imported(tmp_path, text)
    assert access(result.state) == {("guest", "o-r")}
    assert result.state.teams["o-r-collaborators"].members[0].user == "guest"


def test_an_organisation_in_parts_is_joined(tmp_path: Path) -> None:
    parts = {
        "kube/org.yaml": "{admins: [a], members: [b, c], repos: {r: {}}}",
        "kube/sig-node/teams.yaml": "teams: {node: {members: [b], repos: {r: write}}}",
        "kube/sig-net/teams.yml": "teams: {net: {members: [c], repos: {s: admin}}}",
        "other.yaml": "orgs: {Other: {admins: [a], repos: {r: {}}}}",
        "restrictions.yaml": "restrictions: []",
        ".hidden/org.yaml": "{admins: [mallory]}",
        "kube/OWNERS": "not: [yaml",
    }
    for name, text in parts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "kube/link.yaml").symlink_to(tmp_path / "other.yaml")
    result = import_peribolos(tmp_path)
    expected = {("a", "kube-r"), ("a", "kube-s"), ("a", "other-r"), ("b", "kube-r"), ("c", "kube-s")}
    assert access(result.state) == expected
    assert [str(problem) for problem in result.problems] == [
        "restrictions.yaml:1:1: warning: this is not peribolos configuration, so it is left out [peribolos]"
    ]
    assert access(import_peribolos(tmp_path / "kube").state) == {pair for pair in expected if pair[1] != "other-r"}


def test_an_import_can_be_written_down_and_is_valid(tmp_path: Path) -> None:
    state = imported(tmp_path, ORGANISATION).state
    export_state(state, tmp_path / "config")
    loaded = load_folder(tmp_path / "config", cache=open_cache(tmp_path / "cache"))
    found = problems_of(loaded, NOW)
    assert {problem.rule for problem in found if problem.severity == "error"} == set()
    assert state_of(loaded.declarations).declared == state


def test_more_owners_than_the_limit_raise_it_so_that_the_first_plan_passes(tmp_path: Path) -> None:
    few, many = ([f"owner{number}" for number in range(count)] for count in (10, 11))
    assert imported(tmp_path, f"orgs: {{o: {{admins: {few}}}}}").state.settings is None
    settings = imported(tmp_path, f"orgs: {{o: {{admins: {few}}}, p: {{admins: {many}}}}}").state.settings
    assert settings is not None
    assert settings.guards == Guards(max_administrators=11)


def test_what_becomes_nothing_is_warned_of(tmp_path: Path) -> None:
    teams = "{t: {members: [a], repos: {listed: read, used: write, lost: read}}}"
    text = f"orgs: {{o: {{admins: [a], repos: {{listed: {{}}}}, teams: {teams}}}}}"
    problems = imported(tmp_path, text).problems
    assert [problem.severity for problem in problems] == ["warning"]
    assert "the repository 'lost' becomes nothing" in problems[0].message


def test_a_part_that_no_organisation_claims_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "teams.yaml").write_text("teams: {}")
    assert "no folder above it contains the org.yaml" in errors(import_peribolos(tmp_path))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orgs: []", "1:1 `orgs` must map"),
        ("orgs: {-o: {}}", "is not the name of a GitHub organisation"),
        ("orgs: {o: [a]}", "the organisation 'o' must be a mapping"),
        ("orgs: {o: {members: alice}}", "`members` must be a list"),
        ("orgs: {o: {members: [alice, 5]}}", "`members` contains 5, which is not text"),
        ("orgs: {o: {members: ['a/../b']}}", "'a/../b' is not a GitHub login"),
        ("orgs: {o: {members: ['аlice']}}", "is not a GitHub login"),
        ("orgs: {o: {teams: [a]}}", "`teams` must be a mapping"),
        ("orgs: {o: {teams: {t: [a]}}}", "the team 't' must be a mapping"),
        ("orgs: {o: {teams: {t: {members: [zoe]}}}}", "'zoe' is in the team 't' but is not a member of o"),
        ("orgs: {o: {teams: {t: {repos: {r: push}}}}}", "'push' is not a permission"),
        ("orgs: {o: {teams: {t: {repos: {r: true}}}}}", "True is not a permission"),
        ("orgs: {o: {teams: {t: {repos: {r: write, R: read}}}}}", "listed twice"),
        ("orgs: {o: {teams: {t: {repos: {'a b': write}}}}}", "'a b' is not a repository's name"),
        ("orgs: {o: {teams: {t: {description: [x]}}}}", "a description must be text"),
        ("orgs: {o: {teams: {A b: {}, a-B: {}}}}", "would both become the team `o-a-b`"),
        ("orgs: {o: {teams: {t: {teams: {x: {}}}, u: {teams: {x: {}}}}}}", "would both become the team `o-x`"),
        ("orgs: {o: {admins: [a], teams: {Org admins: {}}}}", "would both become the team `o-org-admins`"),
        ("orgs: {o: {repos: {r: {}, R: {}}}}", "would both become the issuer `o-r`"),
        ("orgs: {o: {repos: {r: [x]}}}", "its value is not a mapping"),
        ("orgs: {o: {repos: {r: {archived: 'no'}}}}", "`archived` must be true or false"),
        ("orgs: {o: {default_repository_permission: all}}", "'all' is not a permission"),
        ("orgs: {a: {repos: {b-c: {}}}, a-b: {repos: {c: {}}}}", "would both become the issuer `a-b-c`"),
    ],
)
def test_unusable_input_is_an_error_and_grants_nothing(tmp_path: Path, text: str, expected: str) -> None:
    result = imported(tmp_path, text)
    assert any(expected in error for error in errors(result)), result.problems
    assert all(problem.file == "org.yaml" for problem in result.problems)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"orgs: {o: {members: [a], members: [b]}}", "org.yaml:1:26: error: the key `members` appears twice [duplicate-key]"),
        (b"orgs: {o: {<<: {admins: [mallory]}}}", "[merge-key]"),
        (b"orgs: !!python/object:os.system {}", "[tag]"),
        (b"\xff\xfe", "[not-utf-8]"),
        (b"orgs: {o: {members: [a\x00b]}}", "[control-character]"),
        (b"a: &a [x, x, x]\nb: &b [*a, *a, *a]\n" + b"c: [" + b"*b, " * 20000 + b"]", "[alias]"),
        (b"orgs: " + b"[" * 5000, "[too-deep]"),
        (b"orgs: {o: {admins: [mallory}}", "[yaml-syntax]"),
        (b"x" * (17 << 20), "[too-large]"),
        (b"orgs: {}\n---\norgs: {}\n", "org.yaml:3:1: error: the file must contain one document, not several [peribolos]"),
        (b"- orgs", "org.yaml:1:1: error: the file must contain a mapping [peribolos]"),
    ],
    ids=lambda value: value[-30:] if isinstance(value, str) else "",
)
def test_hostile_yaml_is_one_error_with_its_place(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "org.yaml").write_bytes(content)
    result = import_peribolos(tmp_path / "org.yaml")
    assert len(result.problems) == 1
    assert str(result.problems[0]).endswith(expected)
    assert result.state == DeclaredState()


def test_a_problem_has_the_place_it_comes_from(tmp_path: Path) -> None:
    text = "orgs:\n  o:\n    teams:\n      t:\n        members:\n          - zoe\n        repos:\n          r: wirte\n"
    found = imported(tmp_path, text).problems
    assert [(problem.line, problem.suggestion) for problem in found] == [(6, None), (8, "write")]


def test_an_unknown_key_is_a_warning_with_the_nearest_one(tmp_path: Path) -> None:
    (problem,) = imported(tmp_path, "orgs: {o: {member: [a]}}").problems
    assert (problem.severity, problem.suggestion) == ("warning", "members")


def test_an_earlier_name_in_use_is_left_out_with_a_warning(tmp_path: Path) -> None:
    text = "orgs: {o: {teams: {a: {previously: [b, c]}, b: {previously: [c, d, B]}}}}"
    result = imported(tmp_path, text)
    assert {name: team.previously for name, team in result.state.teams.items()} == {"o-a": ("o-c",), "o-b": ("o-d",)}
    assert [problem.severity for problem in result.problems] == ["warning", "warning"]


@pytest.mark.parametrize("domain", ["", "a b", "-a", "a..b", "a\n", "x" * 200])
def test_an_invalid_domain_is_refused(tmp_path: Path, domain: str) -> None:
    with pytest.raises(SourceError, match="is not a domain"):
        imported(tmp_path, ORGANISATION, email_domain=domain)


def test_an_empty_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        import_peribolos(tmp_path / "nowhere")
    nothing = "no peribolos configuration found: no file has the key `orgs`, and there is no org.yaml"
    assert nothing in errors(import_peribolos(tmp_path))[0]
    for content in ("", "orgs: {}\n", "jobs: {}\n"):
        (tmp_path / "other.yaml").write_text(content)
        assert nothing in errors(import_peribolos(tmp_path))[0]
        assert nothing in errors(import_peribolos(tmp_path / "other.yaml"))[0]


@pytest.mark.parametrize(
    ("text", "name"),
    [("Web Team", "web-team"), (".github", "github"), ("A_b.c-D", "a_b.c-d"), ("Sécurité", "s-curit"), ("日本", ""), ("--", "")],
)
def test_a_safe_name_keeps_what_it_can(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_long_names_that_differ_at_their_end_stay_different() -> None:
    names = {safe_name("x" * 80 + end) for end in "abc"}
    assert len(names) == 3
    assert all(len(name) == 64 for name in names)


LOGINS = st.sampled_from(["a", "b", "c", "d", "e"])
REPOSITORIES = st.dictionaries(st.sampled_from(["r", "s", "t"]), st.sampled_from(["read", "triage", "write", "admin"]))


@st.composite
def organisations(draw: st.DrawFn) -> dict[str, Any]:
    """A random organisation; team names are unique, as GitHub wants them."""
    numbers = iter(range(1000))

    def team(depth: int) -> dict[str, Any]:
        children = draw(st.integers(0, 2)) if depth else 0
        return {
            "members": draw(st.lists(LOGINS, unique=True)),
            "maintainers": draw(st.lists(LOGINS, unique=True, max_size=1)),
            "repos": draw(REPOSITORIES),
            "teams": {f"team-{next(numbers)}": team(depth - 1) for _ in range(children)},
        }

    return {
        "admins": draw(st.lists(LOGINS, unique=True, max_size=1)),
        "members": ["a", "b", "c", "d", "e"],
        "repos": {name: {} for name in draw(st.sets(st.sampled_from(["r", "s", "t"])))},
        "teams": {f"team-{next(numbers)}": team(2) for _ in range(draw(st.integers(0, 3)))},
    }


def github_access(organisation: dict[str, Any]) -> set[tuple[str, str]]:
    """GitHub's own rules, the other way round: a child team's members are members of its parents."""
    pairs: set[tuple[str, str]] = set()
    mentioned = set(organisation["repos"])

    def people(team: dict[str, Any]) -> set[str]:
        return {*team["members"], *team["maintainers"], *(who for child in team["teams"].values() for who in people(child))}

    def walk(teams: dict[str, Any]) -> None:
        for team in teams.values():
            for repository, permission in team["repos"].items():
                if permission in ("write", "admin"):
                    mentioned.add(repository)
                    pairs.update((who, repository) for who in people(team))
            walk(team["teams"])

    walk(organisation["teams"])
    return pairs | {(owner, repository) for owner in organisation["admins"] for repository in mentioned}


@settings(max_examples=60)
@given(organisations())
def test_access_equals_githubs_for_any_organisation(
    tmp_path_factory: pytest.TempPathFactory, organisation: dict[str, Any]
) -> None:
    file = tmp_path_factory.mktemp("peribolos") / "org.yaml"
    file.write_text(yaml.safe_dump({"orgs": {"o": organisation}}))
    result = import_peribolos(file)
    assert all("becomes nothing" in problem.message for problem in result.problems)
    assert access(result.state) == {(who, f"o-{repository}") for who, repository in github_access(organisation)}
