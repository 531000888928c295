"""Existing certdog clients: the calls they make and the answers they expect."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from client import PASSWORD, World
from scenario import team, user

from api.state import public_ids
from reconciler.access.public_ids import derived_ids


def usual_id(kind: Literal["User", "Team", "Issuer"], name: str) -> str:
    return next(derived_ids(kind, name))


def login(world: World, name: str, password: str = PASSWORD, code: int = 200) -> Any:
    return world.caller()("POST", "/certdog/api/login", code, json={"username": name, "password": password})


def test_a_login_gets_a_token_and_a_get_logs_out(world: World) -> None:
    world.set_password("alice")
    answer = login(world, "Alice")
    assert answer.keys() == {"username", "token"}
    assert answer["username"] == "alice"
    alice = world.with_secret(answer["token"])
    alice("GET", "/certdog/api/currentuser/myissuers", 200)
    alice("GET", "/certdog/api/logouthere", 200)
    alice("GET", "/certdog/api/currentuser/myissuers", 401)
    login(world, "alice", "wrong password entirely", 401)


@pytest.mark.parametrize("kind", ["token", "session"])
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  ", ""])
def test_a_token_is_accepted_with_and_without_the_word_bearer(world: World, kind: str, scheme: str) -> None:
    secret = world.mint("alice", kind).secret
    caller = world.with_secret(None, Authorization=f"{scheme}{secret}")
    assert caller("GET", "/certdog/api/currentuser/myissuers", 200) == ["Public TLS", "vpn"]


@pytest.mark.parametrize("scheme", ["Basic ", "Token ", "Bearer: ", "Bearer Bearer "])
def test_any_other_word_is_refused(world: World, scheme: str) -> None:
    caller = world.with_secret(None, Authorization=f"{scheme}{world.mint('alice').secret}")
    caller("GET", "/certdog/api/currentuser/myissuers", 401)


def test_the_callers_teams_have_the_shape_that_clients_expect(world: World) -> None:
    teams = world.caller("bob")("GET", "/certdog/api/currentuser/myteams", 200)
    assert [each["name"] for each in teams] == ["office", "web"]
    office, web = teams
    assert office.keys() == {
        "id",
        "name",
        "description",
        "internalGroup",
        "adGroups",
        "authorisedCas",
        "adminUsernames",
        "dontSendEmailsOnIssue",
        "dontSendReminderEmails",
        "ipWhiteList",
    }
    assert (office["internalGroup"], office["ipWhiteList"]) == ("USER", "10.20.0.0/16")
    assert (web["internalGroup"], web["adGroups"], web["description"]) == ("USER", ["PKI-Web"], "The web")
    assert web["ipWhiteList"] is None
    assert web["authorisedCas"] == sorted(usual_id("Issuer", name) for name in ("tls", "vpn"))
    assert (office["id"], web["id"]) == (usual_id("Team", "office"), usual_id("Team", "web"))
    (admins,) = world.caller("root")("GET", "/certdog/api/currentuser/myteams", 200)
    assert admins["internalGroup"] == "ADMIN"
    assert world.caller("nobody")("GET", "/certdog/api/currentuser/myteams", 200) == []


def test_memberships_and_permissions_that_ended_are_in_no_answer(world: World) -> None:
    gone = "2020-01-01T00:00:00Z"
    world.apply(
        {
            "teams/web.yaml": team("web", members=["alice"], issuers=["vpn", {"issuer": "tls", "until": gone}]),
            "teams/office.yaml": team("office", members=[{"user": "alice", "until": gone}], issuers=["tls"]),
        }
    )
    alice = world.caller("alice")
    assert alice("GET", "/certdog/api/currentuser/myissuers", 200) == ["vpn"]
    teams = alice("GET", "/certdog/api/currentuser/myteams", 200)
    assert [(each["name"], each["authorisedCas"]) for each in teams] == [("web", [usual_id("Issuer", "vpn")])]


def test_clients_know_a_team_by_its_display_name_and_the_identifiers_that_they_kept(world: World) -> None:
    declared = "5f2b7c9d1e3a4b5c6d7e8f90"
    metadata = {"name": "web", "certdogId": declared}
    spec = {
        "displayName": "Test Team",
        "members": ["alice"],
        "issuers": ["vpn"],
        "permittedIPs": ["10.20.0.0/16", "10.21.0.0/16"],
    }
    world.apply({"teams/web.yaml": {"apiVersion": "accord/v1", "kind": "Team", "metadata": metadata, "spec": spec}})
    (shown,) = world.caller("alice")("GET", "/certdog/api/currentuser/myteams", 200)
    assert (shown["name"], shown["id"], shown["ipWhiteList"]) == ("Test Team", declared, "10.20.0.0/16,10.21.0.0/16")
    team_shown = world.caller("root")("GET", "/teams/web", 200)
    assert (team_shown["name"], team_shown["displayName"]) == ("web", "Test Team")
    reader = world.service.reader
    assert public_ids.id_of(reader, "Team", "web") == declared
    assert public_ids.name_of(reader, "Team", declared.upper()) == "web"
    assert public_ids.name_of(reader, "Team", usual_id("Team", "web")) == "web"  # stored before the other was declared
    assert public_ids.name_of(reader, "Team", "f" * 24) is None
    assert public_ids.name_of(reader, "User", declared) is None
    assert public_ids.name_of(reader, "Team", "") is None
    assert public_ids.id_of(reader, "Team", "nowhere") is None


def test_an_identifier_that_two_resources_have_is_nobodys(world: World) -> None:
    reader, derived = world.service.reader, usual_id("Team", "office")
    world.execute(f"UPDATE teams SET certdog_id = '{derived}' WHERE name = 'web'")
    assert public_ids.name_of(reader, "Team", derived) is None


def test_a_login_by_an_alias_answers_with_the_name(world: World) -> None:
    world.set_password("alice")
    world.apply({"users/alice.yaml": user("alice", logins=["Alice.Jones@Example.org", "Ａlice Jönes"])})
    for alias in ("Alice.Jones@Example.org", "ALICE.JONES@example.ORG", "alice jo\u0308nes"):
        assert login(world, alias)["username"] == "alice"
    login(world, "alice.jones@example.org", "wrong password entirely", 401)


def test_a_narrowed_token_reads_no_teams_and_only_its_issuers(world: World) -> None:
    token = world.caller("alice", kind="token", issuers=["vpn"])
    token("GET", "/certdog/api/currentuser/myteams", 403)
    assert set(token("GET", "/certdog/api/currentuser/myissuers", 200)) <= {"vpn"}


def test_a_session_that_must_change_its_password_can_only_log_out(world: World) -> None:
    world.set_password("alice", change_required=True)
    alice = world.with_secret(login(world, "alice")["token"])
    alice("GET", "/certdog/api/currentuser/myteams", 403)
    alice("GET", "/certdog/api/currentuser/myissuers", 403)
    alice("GET", "/certdog/api/logouthere", 200)
