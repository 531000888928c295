"""The access map: everybody's for administrators, one's own for a person; a drawing of links, and the same as tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from onlooker import Onlooker, Shown
from scenario import Accord, issuer, team, user
from visitor import World
from waiting import until


@pytest.fixture
def world(organised: Accord) -> Iterator[World]:
    found = World(organised)
    yield found
    found.service.stop()


def drawn(visitor: Onlooker, path: str = "/map") -> Shown:
    """The page once there is a map."""

    def made() -> Shown | None:
        page = visitor.see(path)
        return None if "The map is being made." in page.text else page

    return until(made, "the map")


def test_administrators_see_everybody_and_tables_say_the_same(world: World) -> None:
    page = drawn(Onlooker(world, "root"))
    nodes = set(re.findall(r'<g class="node[^"]*"><a href="([^"]*)"', page.html))
    assert nodes == {
        f"/map?focus={each}".replace(":", "%3A")
        for each in ("people:alice", "people:bob", "team:web", "team:office", "issuers:tls", "issuers:vpn")
    }
    assert page.tags.count("path") == len(re.findall('id="b[0-9]', page.html)) == 6
    assert "bob web 2, office 1" in page.text
    assert "style=" not in page.html


def test_a_node_leads_to_what_is_around_it_and_then_to_its_page(world: World) -> None:
    visitor = Onlooker(world, "root")
    drawn(visitor)
    around = drawn(visitor, "/map?focus=team:office")
    assert "office tls 1" in around.text
    assert "vpn" not in around.text
    assert "alice" not in around.text
    assert "/teams/office" in around.links
    assert "/map" in around.links_to("/map")
    assert "Nothing is around this node" in drawn(visitor, "/map?focus=people:nobody").text


def test_a_person_sees_their_own_map(world: World) -> None:
    page = Onlooker(world, "alice").see("/map?focus=people:bob&by=label")
    assert "alice" in page.text
    assert "bob" not in page.text
    assert "office" not in page.text
    assert {"/me", "/teams/web", "/issuers/tls", "/issuers/vpn"} <= set(page.links)
    assert "You may not use any issuer yet." in Onlooker(world, "nobody").see("/map").text
    assert Onlooker(world, None).send("GET", "/map").headers["location"] == "/login?next=%2Fmap"


def test_a_change_is_in_the_next_map(world: World) -> None:
    visitor = Onlooker(world, "root")
    drawn(visitor)
    world.apply({"issuers/new.yaml": issuer("new"), "teams/office.yaml": team("office", members=["bob"], issuers=["new", "tls"])})
    until(lambda: "issuers%3Anew" in drawn(visitor).html, "the map of the new state")


def test_what_ends_by_itself_is_drawn_and_said_so(world: World) -> None:
    world.apply({"teams/office.yaml": team("office", members=[{"user": "bob", "until": "2099-12-31"}], issuers=["tls"])})
    page = Onlooker(world, "bob").see("/map")
    assert page.html.count('class="ends"') == 2
    assert "office 1 (1 end)" in page.text


def test_what_is_left_out_is_counted_and_linked(world: World) -> None:
    files = {f"users/u{number}.yaml": user(f"u{number}") for number in range(90)}
    files |= {f"teams/t{number}.yaml": team(f"t{number}", members=[f"u{number}"], issuers=["tls"]) for number in range(90)}
    world.apply(files)
    page = drawn(Onlooker(world, "root"))
    assert len(re.findall(r'<g class="node', page.html)) == 60
    assert re.search(r"and \d+ more", page.text)
    assert len(page.html.encode()) < 75_000  # fonts and styles come to as much, and 150 KB is the most
    focused = drawn(Onlooker(world, "root"), "/map?focus=issuers:tls")
    assert 75 < len(re.findall(r'<g class="node', focused.html)) <= 100


@pytest.mark.parametrize(
    "query", ["by=x", "label=%3Cb%3E", "focus=" + "x" * 3000, "focus=%3Cscript%3E", "by=label", "focus=%E2%80%AE"]
)
def test_hostile_questions_are_text(world: World, query: str) -> None:
    page = Onlooker(world, "root").see(f"/map?{query}")
    assert page.tags.count("script") == 1
    assert "b" not in page.tags
    assert "\u202e" not in page.html


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_label_that_no_team_has_is_not_taken(world: World) -> None:
    labels = {"metadata": {"name": "web", "labels": {"part": "front"}}}
    world.apply({"teams/web.yaml": {**team("web", members=["alice", "bob"], issuers=["tls"]), **labels}})
    visitor = Onlooker(world, "root")
    drawn(visitor)
    for label in ("nothing-has-it", "part", ""):
        page = drawn(visitor, f"/map?by=label&label={label}")
        assert '<option value="part" selected>' in page.html
        assert "nothing-has-it" not in page.text
