"""Lists of users, teams and issuers: every filter, order and page, and one user with everything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from console_reads import ORGANISATION, PAST, first, organised, reading
from declared_states import LATER, NOW, run_sql

from api.errors import NotFound
from api.reads.users import shown_user, view_user
from api.state import counting, issuers, teams, users
from api.state.counting import Count
from api.state.issuers import IssuerFilter
from api.state.pages import Page
from api.state.teams import TeamFilter
from api.state.users import UserFilter
from reconciler.store.engine import Database

EVERYBODY = ["alice", "bob", "carol", "dora", "portal", "root"]


@pytest.fixture(autouse=True)
def organisation(database: Database) -> None:
    organised(database)


def all_pages(ask: Callable[[Page], dict[str, Any]], limit: int) -> list[Any]:
    """Everything, page by page: none is longer than asked for."""
    found, cursor = list[Any](), None
    while True:
        page = ask(Page(cursor, limit))
        assert len(page["items"]) <= limit
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (UserFilter(), EVERYBODY),
        (UserFilter(search="EXAMPLE"), EVERYBODY),
        (UserFilter(search="corp.example"), ["dora"]),
        (UserFilter(search="jones"), ["alice"]),
        (UserFilter(search="ümit"), ["bob"]),
        (UserFilter(search="ÜMIT"), ["bob"]),
        (UserFilter(search="müller"), ["carol"]),
        (UserFilter(search="c.mueller"), ["carol"]),
        (UserFilter(search="%"), []),
        (UserFilter(search="nobody"), []),
        (UserFilter(team="web"), ["alice", "bob", "carol", "dora"]),
        (UserFilter(team="old"), []),
        (UserFilter(team="none"), []),
        (UserFilter(source="directory"), ["dora"]),
        (UserFilter(enabled=False), ["bob", "portal"]),
        (UserFilter(enabled=True), ["alice", "carol", "dora", "root"]),
        (UserFilter(last_login_after=NOW - timedelta(days=2, hours=1)), ["alice", "dora"]),
        (UserFilter(last_login_before=NOW - timedelta(days=2, hours=1)), ["bob", "carol", "portal", "root"]),
        (UserFilter(never_logged_in=True), ["bob", "portal", "root"]),
        (UserFilter(search="o", team="web", enabled=True, source="declared"), ["alice", "carol"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("few", [True, False])
def test_users_are_filtered_sorted_and_counted(
    database: Database, wanted: UserFilter, names: list[str], few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not few:
        monkeypatch.setattr(users, "FEW", 0)
    by_login = [name for name in ("alice", "dora", "carol") if name in names]
    by_login += [name for name in names if name not in by_login]
    with reading(database) as (reader, _):
        assert users.count_users(reader, wanted, NOW) == Count(len(names), False)
        for sort, expected in (("name", names), ("last-login", by_login)):
            for limit in (1, 2, 50):
                sorted_so = wanted._replace(sort=sort)  # type: ignore[arg-type]
                found = all_pages(lambda page, so=sorted_so: users.list_users(reader, page, so, NOW), limit)  # type: ignore[misc]
                assert [user["name"] for user in found] == expected


def test_a_count_ends_at_its_limit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading(database) as (reader, _):
        monkeypatch.setattr(counting, "COUNTED", 3)
        assert str(users.count_users(reader, UserFilter(), NOW)) == "3+"
        assert str(Count(1_000, True)) == "1,000+"


def test_a_cursor_that_no_page_gave_is_not_found(database: Database) -> None:
    with reading(database) as (reader, _):
        for cursor in ("bm8", "AA"):
            with pytest.raises(NotFound):
                users.list_users(reader, Page(cursor, 5), UserFilter(sort="last-login"), NOW)


def test_teams_as_json_and_in_lists_agree(database: Database) -> None:
    with reading(database) as (reader, _):
        shown = all_pages(lambda page: teams.list_teams(reader, page, NOW), 3)
        listed = all_pages(lambda page: teams.search_teams(reader, page, TeamFilter(), NOW), 3)
        assert [(each["name"], each["members"], len(each["issuers"])) for each in shown] == [
            (each.name, each.members.number, each.issuers.number) for each in listed
        ]
        assert [(each.name, each.members.number, each.issuers.number) for each in listed] == [
            ("admins", 1, 0),
            ("idle", 0, 0),
            ("old", 0, 1),
            ("web", 4, 2),
        ]
        assert shown == [teams.find_team(reader, each["name"], NOW) for each in shown]
        assert teams.find_team(reader, "none", NOW) is None


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (TeamFilter(search="RUNS"), ["web"]),
        (TeamFilter(search="the web"), ["web"]),
        (TeamFilter(search="none"), []),
        (TeamFilter(issuer="tls"), ["old", "web"]),
        (TeamFilter(issuer="vpn"), []),
        (TeamFilter(administrator=True), ["admins"]),
        (TeamFilter(administrator=False, search="ol"), ["old"]),
    ],
    ids=str,
)
def test_teams_are_filtered_and_counted(database: Database, wanted: TeamFilter, names: list[str]) -> None:
    with reading(database) as (reader, _):
        assert [team.name for team in all_pages(lambda page: teams.search_teams(reader, page, wanted, NOW), 1)] == names
        assert teams.count_teams(reader, wanted, NOW).number == len(names)


@pytest.mark.parametrize("few", [True, False])
def test_members_say_until_when_why_and_where(database: Database, few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not few:
        monkeypatch.setattr(teams, "FEW", 0)
    lines = '{"members": {"alice": 9, "carol": 11}, "adGroups": {"pki-web": 14}, "issuers": {"tls": 17}}'
    run_sql(database, f"UPDATE teams SET line = 3, item_lines = '{lines}' WHERE name = 'web'".replace(":", r"\:"))
    with reading(database) as (reader, _):
        found = all_pages(lambda page: teams.list_members(reader, "web", page, NOW), 2)
        assert [(each.user, each.enabled, each.until, each.reason, each.line) for each in found] == [
            ("alice", True, None, None, 9),
            ("bob", False, None, None, 3),
            ("carol", True, LATER, "cover", 11),
            ("dora", True, None, "PKI-Web", 14),
        ]
        (ended,) = all_pages(lambda page: teams.list_members(reader, "old", page, NOW), 2)
        assert (ended.user, ended.ended, ended.until, ended.reason) == ("alice", True, PAST, "cover")
        assert teams.list_members(reader, "none", first(), NOW) == {"items": [], "next": None}
        grants = all_pages(lambda page: teams.list_grants(reader, "web", page, NOW), 1)
        assert [(each.issuer, each.until, each.ended, each.line) for each in grants] == [
            ("code", LATER, False, 3),
            ("tls", None, False, 17),
        ]


def test_issuers_as_json_and_in_lists_agree(database: Database) -> None:
    with reading(database) as (reader, _):
        shown = all_pages(lambda page: issuers.list_issuers(reader, page, NOW), 3)
        listed = all_pages(lambda page: issuers.search_issuers(reader, page, IssuerFilter(), NOW), 3)
        assert [(each["name"], len(each["teams"])) for each in shown] == [(each.name, each.teams.number) for each in listed]
        assert [(each.name, each.teams.number, each.people.number) for each in listed] == [
            ("code", 1, 4),
            ("off", 0, 0),
            ("tls", 2, 4),
            ("vpn", 0, 0),
        ]
        assert shown == [issuers.find_issuer(reader, each["name"], NOW) for each in shown]
        for wanted, names in ((IssuerFilter(enabled=False), ["off"]), (IssuerFilter("SIGN", True), ["code"])):
            assert [each.name for each in all_pages(lambda p, w=wanted: issuers.search_issuers(reader, p, w, NOW), 1)] == names  # type: ignore[misc]
            assert issuers.count_issuers(reader, wanted).number == len(names)


@pytest.mark.parametrize("few", [True, False])
def test_an_issuer_has_teams_and_people(database: Database, few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not few:
        monkeypatch.setattr(issuers, "FEW", 0)
    with reading(database) as (reader, _):
        granted = all_pages(lambda page: issuers.list_granted_teams(reader, "vpn", page, NOW), 1)
        assert [(each.team, each.ended, each.until, each.place.file) for each in granted] == [
            ("old", True, PAST, "Team/old.yaml")
        ]
        people = all_pages(lambda page: issuers.list_people(reader, "code", page, NOW), 3)
        assert [(each.user, each.enabled, each.through, each.until) for each in people] == [
            (name, name != "bob", ("web",), LATER) for name in ("alice", "bob", "carol", "dora")
        ]
        assert issuers.list_people(reader, "none", first(), NOW)["items"] == []
        assert issuers.list_people(reader, "vpn", first(), NOW)["items"] == []


def test_a_user_is_shown_with_every_way(database: Database) -> None:
    with reading(database) as (reader, keeper):
        shown, view = shown_user(reader, keeper, "alice", NOW), view_user(reader, keeper, "alice", NOW)
        assert {name: shown[name] for name in view.summary} == view.summary
        assert view.place is not None
        assert (view.place.file, view.place.commit, view.place.author) == ("User/alice.yaml", "c0ffee", "Alice Jones")
        assert [(each.team, each.member.ended, each.member.reason) for each in view.teams] == [
            ("old", True, "cover"),
            ("web", False, None),
        ]
        reached = {each.issuer: each for each in view.reach.issuers}
        assert [name for name, each in reached.items() if each.usable] == [each["issuer"] for each in shown["issuers"]]
        assert [(way.team, way.holds) for way in reached["tls"].ways] == [("web", True), ("old", False)]
        assert (reached["code"].until, reached["vpn"].usable) == (LATER, False)
        assert view.audit[0]["action"] == "user.create"


def test_a_directory_account_says_where_it_comes_from(database: Database) -> None:
    with reading(database) as (reader, keeper):
        view = view_user(reader, keeper, "dora", NOW)
        assert view.place is None
        assert view.directory is not None
        assert (view.directory.domain, view.directory.groups) == ("corp.example.org", ("PKI-Web",))
        assert view.teams[0].member.reason == "PKI-Web"
        with pytest.raises(NotFound):
            view_user(reader, keeper, "nobody", NOW)


def test_everybody_of_the_organisation_is_there() -> None:
    assert sorted([*ORGANISATION.users, "dora"]) == EVERYBODY
