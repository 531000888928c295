"""The access explorer: the verdict that the API would give, the ways, and for every denial what removes it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from onlooker import Onlooker, Shown
from organisation import ORGANISATION
from scenario import Accord, resource, team, user
from visitor import World

NAMES = [name.partition("/")[2].removesuffix(".yaml") for name in ORGANISATION]
USERS = [name.removesuffix(".yaml").removeprefix("users/") for name in ORGANISATION if name.startswith("users/")]


@pytest.fixture
def world(organised: Accord) -> Iterator[World]:
    found = World(organised)
    yield found
    found.service.stop()


def allows(page: Shown) -> bool:
    assert ("shield-check" in page.html) and ("may not use" in page.text or " may use " in page.text)
    return "may not use" not in page.text


def asked_by_curl(world: World, page: Shown) -> Any:
    """What the API answers to the command of the page."""
    line = page.text[page.text.index("curl -H") : page.text.index("/api/v1/decisions") + len("/api/v1/decisions")]
    words = shlex.split(line.replace("\\ ", ""))
    return world.caller("root")("POST", "/decisions", 200, json=json.loads(words[words.index("-d") + 1]))


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_the_page_says_what_the_api_decides(world: World) -> None:
    visitor = Onlooker(world, "root")
    for name in [*USERS, "unknown"]:
        for issuer in ("tls", "vpn", "old", "none"):
            for address in ("10.20.0.9", "192.0.2.1"):
                page = visitor.see(f"/access?user={name}&issuer={issuer}&address={address}")
                answer = asked_by_curl(world, page)
                assert allows(page) == answer["allow"], (name, issuer, address, answer)
                assert answer["allow"] or "What is missing" in page.text
                said = ("Propose the", "Add the user", "This command", "No proposal helps:")
                remedied = any(each in page.text for each in said)
                assert answer["allow"] or remedied, (name, issuer, address, page.text)


def proposals(page: Shown) -> list[dict[str, str]]:
    links = page.links_to("/proposals/new?") + page.links_to("/users/new?")
    return [{name: values[0] for name, values in parse_qs(urlsplit(link).query).items()} for link in links]


def test_a_missing_link_is_drawn_and_can_be_proposed(world: World) -> None:
    page = Onlooker(world, "root").see("/access?user=nobody&issuer=vpn")
    assert "nobody may not use vpn now." in page.text
    assert proposals(page) == [{"act": "add-member", "team": "web", "user": "nobody"}]
    assert "✗ missing: member" in page.text
    assert "Make nobody a member of web . The team gives 1 other issuer as well." in page.text
    world.apply({"teams/web.yaml": team("web", members=["alice", "bob", "nobody"], issuers=["tls", "vpn"])})
    assert "nobody may use vpn now, without an end." in Onlooker(world, "root").see("/access?user=nobody&issuer=vpn").text


def test_every_way_is_a_row_with_ends_reasons_and_places(world: World) -> None:
    world.apply({"teams/office.yaml": team("office", issuers=["tls"],
        members=[{"user": "bob", "until": "2099-12-31T18:00:00Z", "reason": "cover"}])})  # fmt: skip
    page = Onlooker(world, "root").see("/access?user=bob&issuer=tls")
    assert page.html.count('class="chain"') == 2
    assert page.text.index("team web") < page.text.index("team office")  # the longest first
    for part in ("until 2099-12-31 18:00 UTC", "cover", "teams/web.yaml", "teams/office.yaml", world.repository.head()[:10]):
        assert part in page.text, part
    later = Onlooker(world, "root").see("/access?user=bob&issuer=tls&at=2099-12-31")
    assert "may use tls at 2099-12-31 23:59 UTC" in later.text
    assert "ended 2099-12-31 18:00 UTC" in later.text


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_what_holds_until_a_day_holds_on_that_day(world: World) -> None:
    world.apply({"teams/web.yaml": team("web", members=[{"user": "alice", "until": "2099-12-31"}], issuers=["tls"])})
    for day, holds in (("2099-12-31", True), ("2100-01-01", False)):
        page = Onlooker(world, "root").see(f"/access?user=alice&issuer=tls&at={day}")
        assert f"at {day} 23:59 UTC" in page.text
        assert allows(page) == asked_by_curl(world, page)["allow"] == holds


def test_what_has_ended_is_proposed_again(world: World) -> None:
    world.apply({"teams/web.yaml": team("web", members=[{"user": "alice", "until": "2099-01-01"}, "bob"],
        issuers=["tls", {"issuer": "vpn", "until": "2099-06-01"}])})  # fmt: skip
    page = Onlooker(world, "root").see("/access?user=alice&issuer=vpn&at=2099-03-01")
    assert proposals(page) == [{"act": "add-member", "team": "web", "user": "alice"}]
    assert "Keep alice a member of web for longer" in page.text
    both = Onlooker(world, "root").see("/access?user=alice&issuer=vpn&at=2099-09-01")
    assert [each["act"] for each in proposals(both)] == ["add-member", "grant"]


def test_an_address_that_is_not_permitted_is_the_gap_before_the_verdict(world: World) -> None:
    page = Onlooker(world, "root").see("/access?user=bob&issuer=tls&address=192.0.2.1")
    assert "✗ missing: from 192.0.2.1" in page.text
    assert "accord propose set Team office permittedIPs=10.20.0.0/16,192.0.2.1" in page.text
    inside = Onlooker(world, "root").see("/access?user=bob&issuer=tls&address=10.20.0.9")
    assert "from 10.20.0.9" in inside.text
    assert "permitted by office" in inside.text
    unasked = Onlooker(world, "root").see("/access?user=bob&issuer=tls")
    assert "may use tls now from permitted addresses" in unasked.text
    assert '"address": "ADDRESS"' in unasked.text


def test_switches_say_who_can_turn_them(world: World) -> None:
    world.apply({"users/alice.yaml": user("alice", enabled=False)})
    page = Onlooker(world, "root").see("/access?user=alice&issuer=old")
    assert proposals(page)[0] == {"act": "enable", "name": "alice"}
    assert "accord propose set Issuer old enabled=true" in page.text
    world.caller("root")("PUT", "/users/bob/disabled", 204)
    here = Onlooker(world, "root").see("/access?user=bob&issuer=tls")
    assert "No proposal helps: an administrator must enable it here" in here.text
    assert "/users/bob" in here.links


def test_unknown_names_suggest_the_nearest(world: World) -> None:
    page = Onlooker(world, "root").see("/access?user=alicia&issuer=tlss")
    assert "There is no account alicia ; did you mean alice ?" in page.text
    assert proposals(page) == [{"name": "alicia"}]
    page = Onlooker(world, "root").see("/access?user=alice&issuer=tlss")
    assert "There is no issuer tlss ; did you mean tls ?" in page.text
    assert "No proposal helps: declare the issuer in the config repository." in page.text


def test_a_person_asks_about_themself_from_where_they_are(world: World) -> None:
    visitor = Onlooker(world, "alice")
    assert "alice may use tls now from 10.20.0.9" in visitor.see("/access?issuer=tls&address=192.0.2.1").text
    refused = [visitor.see(f"/access?user={name}&issuer=tls", 403).text for name in ("bob", "there-is-none")]
    assert "You may ask about yourself only." in refused[0]
    assert len({text.partition("Request")[0] for text in refused}) == 1
    denied = Onlooker(world, "nobody").see("/access?issuer=vpn")
    assert (
        "You cannot propose it yourself: check the name; if it is right, an administrator, or somebody in a team" in denied.text
    )
    assert "web" not in denied.text  # the teams of others
    world.apply({"teams/spare.yaml": team("spare", members=["nobody"], issuers=["tls"])})
    assert {"act": "grant", "team": "spare", "issuer": "vpn"} in proposals(Onlooker(world, "nobody").see("/access?issuer=vpn"))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("at=yesterday", "is not an instant"),
        ("at=1999-01-01", "that is in the past"),
        ("at=9999-99-99", "is not on the calendar"),
        ("address=1.2.3", "is not an IP address"),
        ("address=fe80::1%25eth0", "has a zone"),
        ("address=" + "1" * 5000, "is not an IP address"),
    ],
)
def test_what_makes_no_question_is_said_beside_the_form(world: World, query: str, words: str) -> None:
    page = Onlooker(world, "root").see(f"/access?user=alice&issuer=tls&{query}")
    assert words in page.text.replace("That", "that")
    assert 'value="alice"' in page.html


@pytest.mark.parametrize("name", ["%3Cscript%3E", "a%27b", "%E2%80%AE", "a" * 4000, "x;%20rm", "..%2F..", "%22%3E%3Cb%3E"])
def test_names_are_text(world: World, name: str) -> None:
    for query in (f"user={name}&issuer=tls", f"user=alice&issuer={name}"):
        page = Onlooker(world, "root").see(f"/access?{query}")
        assert page.tags.count("script") == 1
        assert "b" not in page.tags
        assert "\u202e" not in page.html


def test_nobody_must_sign_in(world: World) -> None:
    answer = Onlooker(world, None).send("GET", "/access?issuer=tls")
    assert answer.headers["location"] == "/login?next=%2Faccess%3Fissuer%3Dtls"


def test_a_person_of_a_directory_is_not_told_the_ad_groups_of_other_teams(world: World) -> None:
    world.apply({"teams/spare.yaml": team("spare", issuers=["tls"])})
    world.execute("UPDATE teams SET ad_groups = '[\"PKI-Secret\"]' WHERE name = 'web'")
    world.execute("INSERT INTO users (name, email, source) VALUES ('dora', 'dora@corp.example', 'directory')")
    link = "SELECT t.id, u.id, 'PKI-Spare' FROM teams t, users u WHERE t.name = 'spare' AND u.name = 'dora'"
    world.execute(f"INSERT INTO directory_memberships (team_id, user_id, ad_group) {link}")
    world.execute("UPDATE state SET generation = generation + 1")
    world.restart()
    assert "PKI-Secret" in Onlooker(world, "root").see("/access?user=dora&issuer=vpn").text
    page = Onlooker(world, "dora").see("/access?issuer=vpn")
    assert {"act": "grant", "team": "spare", "issuer": "vpn"} in proposals(page)
    assert "PKI-Secret" not in page.text


def test_who_may_ask_for_decisions_about_others_is_not_shown_their_ways(world: World) -> None:
    world.apply({
        "users/portal.yaml": user("portal", type="application"),
        "teams/deciders.yaml": team("deciders", members=["portal"], mayDecideFor="everyone"),
    })  # fmt: skip
    assert "You may ask about yourself only." in Onlooker(world, "portal").see("/access?user=bob&issuer=tls", 403).text


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_nothing_is_proposed_of_what_the_database_alone_has(world: World) -> None:
    world.execute("UPDATE teams SET file = NULL WHERE name = 'web'")
    world.restart()
    page = Onlooker(world, "root").see("/access?user=nobody&issuer=vpn")
    assert proposals(page) == []
    assert "No proposal helps:" in page.text
    assert proposals(Onlooker(world, "alice").see("/access?issuer=none")) == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_the_rule_that_covers_the_address_is_shown_whatever_team_has_it_and_the_rest_is_counted(world: World) -> None:
    world.apply({
        f"teams/{name}.yaml": team(name, members=["alice"], permittedIPs=[rule, f"10.{number}.0.0/16", "10.99.0.0/16"])
        for number in range(1, 26)
        for name, rule in [(f"t{number:02}", "192.0.2.0/24" if number == 25 else f"10.{number}.0.9")]
    })  # fmt: skip
    page = Onlooker(world, "root").see("/access?user=alice&issuer=tls&address=192.0.2.1")
    assert allows(page)
    assert "missing" not in page.text
    assert "from 192.0.2.1 permitted by t25" in page.text
    assert "192.0.2.0/24 covers it t25" in page.text
    assert "and 25 more rules" in page.text


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_person_cannot_tell_an_issuer_of_others_from_one_that_is_not_there(world: World) -> None:
    world.apply({
        "issuers/shut.yaml": resource("Issuer", "shut", {"enabled": False}),
        "issuers/theirs.yaml": resource("Issuer", "theirs", {}),
        "teams/theirs.yaml": team("theirs", members=["bob"], issuers=["theirs"]),
        "teams/inside.yaml": team("inside", members=["alice"], permittedIPs=["10.99.0.0/16"]),
        "teams/here.yaml": team("here", members=[{"user": "alice", "until": "2098-12-31"}], permittedIPs=["10.20.0.9"]),
    })  # fmt: skip
    world.execute("UPDATE users SET file = NULL WHERE name = 'nobody'")  # then only the issuer could have a place
    world.restart()
    for name in ("alice", "nobody"):
        visitor = Onlooker(world, name)
        for more in ("", "&at=2099-12-31"):
            pages = [visitor.see(f"/access?issuer={each}{more}") for each in ("absent", "shut", "theirs")]
            assert "there is no issuer absent , or you are in no team that may use it" in pages[0].text.replace("There", "there")
            texts = {
                re.sub(r"f-\w+|csrf\S+ value=\S+", "", page.html.replace(each, "NAME"))
                for page, each in zip(pages, ("absent", "shut", "theirs"), strict=True)
            }
            assert len(texts) == 1
        assert ("no permitted IP of the teams of alice" in pages[0].text.replace("No", "no")) == (name == "alice")
    grants = proposals(Onlooker(world, "alice").see("/access?issuer=absent"))
    assert {"act": "grant", "team": "web", "issuer": "absent"} in grants
