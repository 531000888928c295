"""Teams and issuers: administrators see all of them, a person those of the person; what may be proposed about each is a link."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from issued import pem
from onlooker import Onlooker
from scenario import Accord, issuer, team, user
from visitor import World

HOSTILE = "</td><script>alert(1)</script>&lt; '\""


@pytest.fixture
def world(organised: Accord) -> Iterator[World]:
    found = World(organised)
    yield found
    found.service.stop()


def many(count: int) -> dict[str, Any]:
    members = [f"member-{number:03}" for number in range(count)]
    return {f"users/{name}.yaml": user(name) for name in members} | {"teams/many.yaml": team("many", members=members)}


def test_an_administrator_sees_all_teams_and_a_person_only_their_own(world: World) -> None:
    everything = Onlooker(world, "root").see("/teams")
    assert everything.links_to("/teams/") == [f"/teams/{name}" for name in ("admins", "brokers", "deciders", "office", "web")]
    assert "The web 2 members 2 issuers any address 1 AD group teams/web.yaml" in everything.text
    assert Onlooker(world, "alice").see("/teams").links_to("/teams/") == ["/teams/web"]
    assert "You are in no team." in Onlooker(world, "nobody").see("/teams").text
    assert Onlooker(world, None).send("GET", "/teams").headers["location"] == "/login?next=%2Fteams"


@pytest.mark.parametrize("path", ["/teams/office", "/teams/none", "/teams/OFFICE", "/teams/%2e%2e", "/teams/web%20"])
def test_a_team_of_others_is_answered_as_one_that_is_not_there(world: World, path: str) -> None:
    visitor = Onlooker(world, "alice")
    answers = [visitor.send("GET", each) for each in (path, "/teams/there-is-none")]
    said = [answer.text.replace(answer.headers["x-request-id"], "") for answer in answers]
    assert answers[0].status_code == answers[1].status_code == 404
    assert said[0] == said[1]


def test_filters_are_in_the_address_and_can_be_removed_one_by_one(world: World) -> None:
    visitor = Onlooker(world, "root")
    assert "/teams/office" in visitor.see("/teams?search=OFF").links
    assert "/teams/web" not in visitor.see("/teams?search=OFF").links
    found = visitor.see("/teams?issuer=vpn&kind=others")
    assert found.links_to("/teams/") == ["/teams/web"]
    assert "/teams?kind=others" in found.links
    assert visitor.see("/teams?kind=administrators").links_to("/teams/") == ["/teams/admins"]
    assert "No team matches." in visitor.see("/teams?search=%25").text
    visitor.see("/teams?cursor=_w", 404)


def test_a_team_shows_its_members_with_end_reason_and_source_and_links_that_propose(world: World) -> None:
    world.apply({"teams/web.yaml": team("web", members=["alice", {"user": "bob", "until": "2099-12-31", "reason": "leave"}],
        issuers=["tls", {"issuer": "vpn", "until": "2099-06-30T12:00:00Z"}], permittedIPs=["10.0.0.0/8"], mayDecideFor="everyone",
        adGroups=["PKI-Web"], suppressIssuedEmails=True)})  # fmt: skip
    page = Onlooker(world, "root").see("/teams/web")
    for part in ("teams/web.yaml", world.repository.head()[:10], "until 2100-01-01 00:00 UTC", "leave", "10.0.0.0/8", "PKI-Web",
                 "2099-06-30 12:00", "everyone", "about issued certificates", "Alice Jones"):  # fmt: skip
        assert part in page.text, part
    for link in (
        "/proposals/new?act=add-member&team=web",
        "/proposals/new?act=grant&team=web",
        "/proposals/new?act=set-end&team=web&user=alice",
        "/proposals/new?act=set-end&team=web&user=bob&until=2099-12-31&reason=leave",
        "/proposals/new?act=remove-member&team=web&user=bob",
        "/proposals/new?act=set-end&team=web&issuer=vpn&until=2099-06-30T12%3A00%3A00Z",
        "/proposals/new?act=revoke&team=web&issuer=tls",
        "/users/alice",
        "/map?focus=team:web",
    ):
        assert link in page.links, link
    assert "/users/bob" not in Onlooker(world, "alice").see("/teams/web").links  # a person sees names, not accounts


def test_a_membership_that_has_ended_says_so(world: World) -> None:
    world.apply({"teams/web.yaml": team("web", members=["alice", {"user": "bob", "until": "2099-12-31"}])})
    world.execute("UPDATE memberships SET until = '2020-01-01T00:00:00.000000Z' WHERE until IS NOT NULL")
    assert "bob ended" in Onlooker(world, "root").see("/teams/web").text


def test_long_lists_come_in_pages(world: World) -> None:
    world.apply(many(120))
    visitor, seen, path = Onlooker(world, "root"), list[str](), "/teams/many"
    for rows in (50, 50, 20):
        page = visitor.see(path)
        found = page.links_to("/users/member-")
        assert len(found) == rows
        seen += found
        path = next((link for link in page.links if link.startswith("/teams/many?cursor=") and link != path), "")
    assert len(set(seen)) == 120
    assert path == ""
    assert "many 120 members" in visitor.see("/teams").text


def test_a_delegated_folder_is_named(world: World) -> None:
    world.apply({"settings.yaml": {"apiVersion": "accord/v1", "kind": "Settings", "metadata": {"name": "default"},
        "spec": {"delegation": [{"path": "teams", "kinds": ["Team"], "names": ["*"], "issuers": ["tls", "v*"], "adGroups": ["*"],
        "administrator": True, "permittedIPs": ["0.0.0.0/0"], "mayDecideFor": "everyone"}]}}})  # fmt: skip
    text = Onlooker(world, "root").see("/teams/web").text
    assert "The folder teams is delegated: its owners may declare this team, and grant tls, v* , and make administrators." in text
    assert "delegated" not in Onlooker(world, "root").see("/issuers/tls").text


def test_issuers_say_who_may_use_them_and_through_what(world: World) -> None:
    page = Onlooker(world, "root").see("/issuers")
    assert page.links_to("/issuers/") == ["/issuers/old", "/issuers/tls", "/issuers/vpn"]
    assert "tls Public TLS" in page.text
    disabled = Onlooker(world, "root").see("/issuers?state=disabled")
    assert disabled.links_to("/issuers/") == ["/issuers/old"]
    detail = Onlooker(world, "root").see("/issuers/tls")
    for link in ("/teams/web", "/teams/office", "/users/alice", "/access?user=alice&issuer=tls", "/certificates?issuer=tls",
                 "/proposals/new?act=grant&issuer=tls", "/proposals/new?act=revoke&team=web&issuer=tls"):  # fmt: skip
        assert link in detail.links, link
    assert "issuers/tls.yaml" in detail.text
    assert "nobody may use it" in Onlooker(world, "root").see("/issuers/old").text


def test_a_person_sees_issuers_that_they_may_use_with_their_own_ways(world: World) -> None:
    visitor = Onlooker(world, "alice")
    assert visitor.see("/issuers").links_to("/issuers/") == ["/issuers/tls", "/issuers/vpn"]
    page = visitor.see("/issuers/tls")
    assert "Why I may use it" in page.text
    assert "/teams/web" in page.links
    assert "office" not in page.text
    assert "bob" not in page.text
    visitor.see("/issuers/old", 404)
    Onlooker(world, "nobody").see("/issuers/tls", 404)


def test_what_git_declares_is_shown_as_text(world: World) -> None:
    world.apply({"issuers/evil.yaml": issuer("evil", displayName=HOSTILE, description=HOSTILE),
        "teams/web.yaml": team("web", description=HOSTILE, members=[{"user": "alice", "reason": HOSTILE, "until": "2099-01-01"}],
        issuers=["evil"])})  # fmt: skip
    world.execute("UPDATE memberships SET reason = reason || char(8238)" if "sqlite" in world.url else
        "UPDATE memberships SET reason = reason || chr(8238)")  # fmt: skip
    for path in ("/teams", "/teams/web", "/issuers", "/issuers/evil"):
        for name in ("root", "alice"):
            page = Onlooker(world, name).see(path)
            assert HOSTILE in page.text
            assert page.tags.count("script") == 1
            assert "\u202e" not in page.html


def test_ca_certificates_are_shown_for_people(world: World) -> None:
    world.apply({"issuers/tls.yaml": issuer("tls", caCertificates=[pem("House CA", ca=True, issuer="House CA")])})
    text = Onlooker(world, "root").see("/issuers/tls").text
    assert "CN=House CA" in text
    assert "itself" in text


def test_no_page_of_a_person_links_to_what_they_may_not_see(world: World) -> None:
    ends = "2099-12-31"
    world.apply({"teams/staff.yaml": team("staff", members=["alice"], issuers=["old", {"issuer": "vpn", "until": ends}])})
    numbers = []
    for who, more in (("alice", {}), ("bob", {"renews": True})):
        body = {"pem": pem(f"{who}.example.org", lives=timedelta(days=9)), "issuer": "vpn", "team": "web"}
        body |= {"renews": numbers[0]} if more else {}
        numbers.append(world.caller(who)("POST", "/certificates", 201, json=body)["id"])
    world.apply({"teams/web.yaml": team("web", members=[{"user": "alice", "until": ends}, "bob"], issuers=["tls", "vpn"])})
    for table in ("memberships", "permissions"):
        world.execute(f"UPDATE {table} SET until = '2020-01-01T00:00:00.000000Z' WHERE until IS NOT NULL")
    world.execute("UPDATE state SET generation = generation + 1")
    visitor, seen = Onlooker(world, "alice"), set[str]()
    pages = ["/", "/me", "/teams", "/teams/staff", "/issuers", "/map", "/certificates?state=all", f"/certificates/{numbers[0]}"]
    pages += [f"/access?issuer={name}{more}" for name in ("tls", "vpn", "old") for more in ("", "&at=2199-01-01")]
    for path in pages:
        for link in visitor.see(path).links_to("/"):
            if link not in seen and not link.startswith("/static/"):
                assert visitor.send("GET", link, {"Accept": "text/html"}).status_code in (200, 303), (path, link)
            seen.add(link)
    assert {"/teams/staff", f"/certificates/{numbers[0]}"} <= seen
    page = visitor.see(f"/certificates/{numbers[0]}")
    assert "Issuer vpn Team web Owner alice" in page.text and f"by certificate {numbers[1]} that you may not see" in page.text
    page = Onlooker(world, "root").see(f"/certificates/{numbers[0]}")
    assert {"/issuers/vpn", "/teams/web", "/users/alice", f"/certificates/{numbers[1]}"} <= set(page.links)


def test_many_issuers_of_a_person_are_counted_and_the_first_are_shown_with_their_ways(world: World) -> None:
    names = [f"a{number:03}" for number in range(240)]
    files = {f"issuers/{name}.yaml": issuer(name, enabled=number >= 30) for number, name in enumerate(names)}
    more = {f"teams/more{number:02}.yaml": team(f"more{number:02}", members=["alice"], issuers=["a100"]) for number in range(25)}
    world.apply({**files, **more, "teams/staff.yaml": team("staff", members=["alice"], issuers=names)})
    visitor = Onlooker(world, "alice")
    assert "212 issuers that you may use now" in visitor.see("/").text
    page = visitor.see("/me")
    section = page.html.partition('id="issuers"')[2].partition('id="teams"')[0]
    assert section.count('<p class="title">') == 200 and "a029" not in section and "a030" in section
    assert "And 12 more issuers" in page.text and "and 6 more ways" in page.text


def test_what_ends_soon_is_told_however_many_issuers_there_are(world: World) -> None:
    names = [f"a{number:03}" for number in range(210)]
    world.apply({f"issuers/{name}.yaml": issuer(name) for name in names})
    soon = (datetime.now(UTC) + timedelta(days=9)).strftime("%Y-%m-%d")
    world.apply({"teams/staff.yaml": team("staff", members=["alice"], issuers=[*names, {"issuer": "old", "until": soon}]),
        "issuers/old.yaml": issuer("old")})  # fmt: skip
    assert "Your access to old ends in" in Onlooker(world, "alice").see("/").text


class Counted(tuple[Any, ...]):
    """Permissions that count how often somebody goes through them."""

    times = 0

    def __iter__(self) -> Iterator[Any]:
        type(self).times += 1
        return super().__iter__()


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("path", ["/", "/me"])
def test_ones_own_pages_go_through_ones_teams_a_few_times_and_not_once_for_each_issuer(world: World, path: str) -> None:
    names = [f"a{number:03}" for number in range(60)]
    files = {f"issuers/{name}.yaml": issuer(name) for name in names}
    world.apply({**files, "teams/staff.yaml": team("staff", members=["alice"], issuers=names)})
    visitor = Onlooker(world, "alice")
    visitor.see(path)
    teams = world.service.keeper._renewed().teams  # what all snapshots of this moment share
    teams["staff"] = teams["staff"]._replace(permissions=Counted(teams["staff"].permissions))
    Counted.times = 0
    visitor.see(path)
    assert 0 < Counted.times < 10
