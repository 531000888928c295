"""Existing certdog clients: the calls they make and the answers they expect."""

from __future__ import annotations

from typing import Any

import pytest
from client import PASSWORD, World
from scenario import team


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
    assert (office["internalGroup"], office["ipWhiteList"]) == (True, ["10.20.0.0/16"])
    assert (web["internalGroup"], web["adGroups"], web["description"]) == (False, ["PKI-Web"], "The web")
    assert web["authorisedCas"] == ["Public TLS", "vpn"]
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
    assert [(each["name"], each["authorisedCas"]) for each in teams] == [("web", ["vpn"])]


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
