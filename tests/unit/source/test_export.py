"""An export reads as people would write it, and says exactly what the state says."""

from __future__ import annotations

import json
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from issued import pem

from reconciler.access.resources import (
    DeclaredState,
    EmailTemplate,
    Guards,
    Issuer,
    Membership,
    Permission,
    Resource,
    Settings,
    Team,
    User,
)
from reconciler.run.inputs import state_of
from reconciler.source.build import section_defaults
from reconciler.source.cache import open_cache
from reconciler.source.errors import SourceError
from reconciler.source.export import export_state, resource_document, resource_path
from reconciler.source.load import load_folder


def reread(folder: Path, cache: Path) -> DeclaredState:
    loaded = load_folder(folder, cache=open_cache(cache))
    assert loaded.problems == ()
    return state_of(loaded.declarations).declared


def test_a_team_is_written_as_people_would_write_it() -> None:
    team = Team(
        "web-platform",
        "Runs: the public web tier",
        True,
        (Membership("42"), Membership("bob", datetime(2027, 2, 1, tzinfo=UTC), "cover for parental leave")),
        (Permission("tls-internal"), Permission("tls-public", datetime(2026, 12, 31, 18, tzinfo=UTC))),
        ("PKI-Web",),
        ("10.20.0.0/16", "2001:db8::/32"),
        "everyone",
        suppress_issued_emails=True,
        labels=(("cost-centre", "42"),),
        previously=("web",),
    )
    assert resource_document("Team", team) == (
        """\
apiVersion: accord/v1
kind: Team
metadata:
  name: web-platform
  labels:
    cost-centre: "42"
  previously:
    - web
spec:
  description: "Runs: the public web tier"
  administrator: true
  members:
    - "42"
    - user: bob
      until: 2027-01-31
      reason: cover for parental leave
  issuers:
    - tls-internal
    - issuer: tls-public
      until: 2026-12-31T18:00:00Z
  adGroups:
    - PKI-Web
  permittedIPs:
    - 10.20.0.0/16
    - 2001:db8::/32
  mayDecideFor: everyone
  suppressIssuedEmails: true
"""
    )


@pytest.mark.parametrize(
    ("kind", "declared", "spec"),
    [
        ("User", User("a", "a@b.org"), "  email: a@b.org\n"),
        ("User", User("a", "a@b.org", type="application", initial_password="none"), "  email: a@b.org\n  type: application\n"),
        (
            "User",
            User("a", "a@b.org", initial_password="none", enabled=False),
            "  email: a@b.org\n  enabled: false\n  initialPassword: none\n",
        ),
        ("Team", Team("a"), None),
        ("Issuer", Issuer("a"), None),
        ("Settings", Settings(), None),
        ("Settings", Settings(policies=(("passwords", '{"minLength":15,"refuseCommon":true}'),)), None),
        (
            "Settings",
            Settings(policies=(("passwords", '{"minLength":16,"refuseCommon":true}'),)),
            "  passwords:\n    minLength: 16\n",
        ),
        ("Settings", Settings(guards=Guards(5.5, None)), "  guards:\n    maxDeletions: 5.5%\n    maxAdministrators: null\n"),
    ],
)
def test_defaults_are_left_out(kind: str, declared: Resource, spec: str | None) -> None:
    text = resource_document(kind, declared)  # type: ignore[arg-type]
    assert text.partition("\nspec:")[2] == (" {}\n" if spec is None else "\n" + spec)


def test_the_files_are_arranged_by_kind(tmp_path: Path) -> None:
    state = DeclaredState(
        {"alice": User("alice", "alice@example.org")},
        {"web": Team("web")},
        {"tls": Issuer("tls")},
        {"welcome": EmailTemplate("welcome", "Hi", "Hello\n")},
        Settings(policies=sections({})),
    )
    (tmp_path / "config" / ".git").mkdir(parents=True)
    written = export_state(state, tmp_path / "config")
    names = sorted(str(path.relative_to(tmp_path / "config")) for path in written)
    assert names == ["issuers/tls.yaml", "settings.yaml", "teams/web.yaml", "templates/welcome.yaml", "users/alice.yaml"]
    assert reread(tmp_path / "config", tmp_path / "cache") == state


def test_many_resources_are_spread_over_folders_by_first_letter(tmp_path: Path) -> None:
    users = {name: User(name, "x@example.org") for name in (f"{letter}{number}" for letter in "abc" for number in range(334))}
    export_state(DeclaredState(users), tmp_path / "config")
    assert sorted(path.name for path in (tmp_path / "config/users").iterdir()) == ["a", "b", "c"]
    assert (tmp_path / "config/users/b/b7.yaml").is_file()


def test_a_folder_that_holds_anything_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SourceError, match=r"is not empty \(it contains 'notes.txt'\)"):
        export_state(DeclaredState(issuers={"tls": Issuer("tls")}), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SourceError, match="cannot use"):
        export_state(DeclaredState(), tmp_path / "file")


def test_a_full_disk_ends_in_one_clear_error(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(SourceError, match=r"cannot write to .*: File too large"):
            export_state(DeclaredState(issuers={"tls": Issuer("tls")}), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "A", "", ".git", "a/b", "a\n", "a" * 65, "ä"])
def test_an_undeclarable_name_never_becomes_a_path(name: str) -> None:
    with pytest.raises(SourceError, match="cannot be exported"):
        resource_path("User", name)


NAMES = st.one_of(
    st.sampled_from(["yes", "no", "null", "true", "on", "42", "0x10", "1e3", "1_0", "2026-12-31", "1.5", "y", "a.b"]),
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,10}", fullmatch=True).filter(lambda name: name != "everyone"),
)
READABLE = st.characters(exclude_categories=["Cc", "Cs", "Cf", "Co", "Cn"], exclude_characters="\u2028\u2029")
LINES = st.one_of(
    st.sampled_from(
        ["yes", "0x10", "1:30", "~", " a ", "- a", "a: b", "a #b", "2026-12-31", "{{ x }}", '"', "'", "\\n", "#", "12"]
    ),
    st.text(READABLE, min_size=1, max_size=20),
)
TEXTS = st.lists(st.one_of(st.just(""), LINES), min_size=1, max_size=5).map("\n".join)
INSTANTS = st.one_of(
    st.none(),
    st.datetimes(datetime(1971, 1, 1), datetime(2900, 1, 1), timezones=st.just(UTC)),
    st.dates(datetime(1971, 1, 1).date(), datetime(2900, 1, 1).date()).map(
        lambda day: datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    ),
)
LABELS = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,10}", fullmatch=True), st.text(READABLE, max_size=20), max_size=3
).map(lambda labels: tuple(sorted(labels.items())))
FLAGS = st.booleans()

CA_CERTIFICATES = tuple(sorted(pem(name, ca=True) for name in ("one", "two")))


@st.composite
def states(draw: st.DrawFn) -> DeclaredState:
    names = {kind: sorted(draw(st.sets(NAMES, max_size=4))) for kind in ("users", "teams", "issuers")}

    def some(kind: str) -> list[str]:
        return sorted(draw(st.sets(st.sampled_from(names[kind])))) if names[kind] else []

    users = {
        name: User(
            name,
            draw(st.sampled_from(["a@example.org", "#x@b", "!a&*@b.c", "0x1@1", "{a}@b"])),
            draw(st.one_of(st.none(), LINES)),
            draw(st.sampled_from(["person", "application"])),
            draw(FLAGS),
            draw(st.sampled_from(["generated", "none"])),
            draw(INSTANTS),
            draw(LABELS),
        )
        for name in names["users"]
    }
    teams = {
        name: Team(
            name,
            draw(st.one_of(st.just(""), TEXTS)),
            draw(FLAGS),
            tuple(Membership(user, draw(INSTANTS), draw(st.one_of(st.none(), LINES))) for user in some("users")),
            tuple(Permission(issuer, draw(INSTANTS)) for issuer in some("issuers")),
            tuple(sorted(draw(st.sets(st.sampled_from(["PKI", "CN=a: b,DC=c", "S-1-5-21-1", "no", "#x"]))))),
            tuple(sorted(draw(st.sets(st.sampled_from(["10.0.0.1", "10.2.0.0/16", "192.168.15.*", "2001:db8::/32", "::1"]))))),
            draw(st.one_of(st.just("everyone"), st.just(tuple(some("teams"))))),
            draw(FLAGS),
            draw(FLAGS),
            draw(LABELS),
        )
        for name in names["teams"]
    }
    issuers = {
        name: Issuer(
            name,
            draw(st.one_of(st.none(), LINES)),
            draw(TEXTS),
            draw(FLAGS),
            ca_certificates=draw(st.sampled_from([(), CA_CERTIFICATES[:1], CA_CERTIFICATES])),
            labels=draw(LABELS),
        )
        for name in names["issuers"]
    }
    templates = {
        "welcome": EmailTemplate("welcome", draw(LINES), draw(TEXTS.filter(bool)), draw(st.one_of(st.none(), TEXTS.filter(bool))))
    }
    return DeclaredState(users, teams, issuers, draw(st.sampled_from([{}, templates])), draw(st.one_of(st.none(), policies())))


def sections(changes: dict[str, dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    """All sections of the settings as the reader gives them, with some values changed."""
    usual = {section: values for section, values in section_defaults().items() if section != "guards"}
    full = {section: {**values, **changes.get(section, {})} for section, values in usual.items()}
    return tuple(sorted((section, json.dumps(values, sort_keys=True, separators=(",", ":"))) for section, values in full.items()))


@st.composite
def policies(draw: st.DrawFn) -> Settings:
    guards = Guards(
        draw(st.sampled_from([0.0, 2.5, 10.0, 99.99, 100.0])),
        draw(st.one_of(st.none(), st.integers(1, 50))),
        draw(FLAGS),
        draw(st.sampled_from([(), (("a", "b"),), (("0x10", "no", "yes"), ("a", "b"))])),
        draw(st.one_of(st.none(), st.integers(1, 50))),
    )
    changes = {
        "passwords": {"minLength": draw(st.integers(8, 20))},
        "logins": {"delay": draw(st.sampled_from(["1s", "5m"]))},
        "mail": {
            "daysBeforeExpiry": draw(st.permutations([1, 10, 30])),
            "alwaysSendTo": draw(st.sampled_from([[], ["a@b", "#x@c"]])),
        },
    }
    return Settings(guards=guards, policies=sections(draw(st.sampled_from([{}, changes]))))


@settings(max_examples=40)
@given(states())
def test_reading_an_export_gives_exactly_the_same_state(tmp_path_factory: pytest.TempPathFactory, state: DeclaredState) -> None:
    folder = tmp_path_factory.mktemp("export")
    export_state(state, folder / "config")
    assert reread(folder / "config", folder / "cache") == state


def test_an_export_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    users = {name: User(name, f"{name}@example.org", labels=(("a", "b"),)) for name in ("bob", "alice")}
    for name, order in (("one", users), ("two", dict(reversed(users.items())))):
        export_state(DeclaredState(order), tmp_path / name)
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.yaml")} for name in ("one", "two"))
    assert first == second
    assert json.dumps(sorted(first)) == '["alice.yaml", "bob.yaml"]'
