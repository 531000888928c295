"""What administrators see and do, and what only the config repository may change."""

from __future__ import annotations

from typing import Any

import pytest
from client import OFFICE, PASSWORD, Caller, World
from scenario import everything, resource, team, user

from api.authentication.places import Guest

OTHER = "another long passphrase"


def names(caller: Caller, **query: Any) -> list[str]:
    return [each["name"] for each in caller("GET", "/users", 200, params=query)["items"]]


def login(world: World, name: str, password: str, code: int = 201, address: str = OFFICE) -> Any:
    return world.caller(address=address)("POST", "/sessions", code, json={"username": name, "password": password})


def pages(caller: Caller, path: str, limit: int) -> list[list[Any]]:
    """All pages of a list."""
    found, cursor = [], None
    while True:
        page = caller("GET", path, 200, params={"limit": limit, **({"cursor": cursor} if cursor else {})})
        found.append(page["items"])
        cursor = page["next"]
        if cursor is None:
            return found


def test_users_are_listed_by_name_a_page_at_a_time(world: World) -> None:
    root = world.caller("root")
    whole = names(root)
    assert whole == sorted(whole) == ["alice", "bob", "broker", "nobody", "portal", "root"]
    for limit in (1, 2, 5, 6, 7):
        assert [each["name"] for page in pages(root, "/users", limit) for each in page] == whole
        assert all(len(page) == limit for page in pages(root, "/users", limit)[:-1])


def test_a_page_that_begins_after_a_deleted_user_skips_nobody(world: World) -> None:
    root = world.caller("root")
    first = root("GET", "/users", 200, params={"limit": 2})
    world.apply({"users/bob.yaml": None, "teams/web.yaml": team("web", members=["alice"]), "teams/office.yaml": team("office")})
    assert names(root, cursor=first["next"]) == ["broker", "nobody", "portal", "root"]


def test_a_user_is_shown_with_its_aliases_and_found_by_them(world: World) -> None:
    world.apply({"users/nobody.yaml": user("nobody", logins=["Fred.Bloggs@example.org"])})
    root = world.caller("root")
    assert root("GET", "/users/nobody", 200)["logins"] == ["Fred.Bloggs@example.org"]
    assert root("GET", "/users/alice", 200)["logins"] == []
    assert names(root, search="fred.bloggs@") == ["nobody"]


@pytest.mark.parametrize("path", ["/teams", "/issuers", "/revisions", "/audit"])
def test_every_list_comes_in_pages(world: World, path: str) -> None:
    root = world.caller("root")
    for number in range(3):
        world.apply({"users/nobody.yaml": user("nobody", fullName=f"Number {number}")})
    whole = root("GET", path, 200)
    assert whole["next"] is None
    assert len(whole["items"]) >= 3
    assert [item for page in pages(root, path, 2) for item in page] == whole["items"]


@pytest.mark.parametrize("path", ["/users", "/teams", "/issuers", "/revisions", "/audit"])
def test_invalid_cursors_and_limits_are_refused(world: World, path: str) -> None:
    root = world.caller("root")
    for cursor in ("A", "-", "AAAA", "_w"):
        assert root("GET", path, 404, params={"cursor": cursor})["detail"].startswith("there is no page")
    for limit in ("0", "501", "-1", "1e2", "x", "", "\u0661", "1" * 30):
        root("GET", path, 422, params={"limit": limit})
    root("GET", path, 422, params={"offset": "3"})


def test_users_are_found_by_name_full_name_and_address_in_any_case(world: World) -> None:
    world.apply({"users/eve.yaml": user("eve", fullName="\u00c9lodie O'Neil_100%", email="e.oneil@example.com")})
    root = world.caller("root")
    assert names(root, search="ALI") == ["alice"]
    assert names(root, search="jones") == ["alice"]
    assert names(root, search="@EXAMPLE.com") == ["eve"]
    for text in ("\u00c9lodie", "o'neil_1", "100%", "'"):
        assert names(root, search=text) == ["eve"], text
    for text in ("o%neil", "oxneil", "_l", "%", "_", "\\", "' OR 1=1 --"):
        assert names(root, search=text) == (["eve"] if text in ("%", "_") else []), text


def test_users_are_filtered_by_team_source_and_enabled(world: World) -> None:
    root = world.caller("root")
    world.apply({"teams/web.yaml": team("web", members=["alice", {"user": "bob", "until": "2020-01-01"}])})
    assert names(root, team="web") == ["alice"]
    assert names(root, team="office") == ["bob"]
    assert names(root, team="nonsense") == []
    assert names(root, source="directory") == []
    assert len(names(root, source="declared")) == 6
    root("PUT", "/users/alice/disabled", 204)
    world.apply({"users/bob.yaml": user("bob", enabled=False)})
    assert names(root, enabled="false") == ["alice", "bob"]
    assert names(root, enabled="true") == ["broker", "nobody", "portal", "root"]
    assert names(root, enabled="false", team="office") == ["bob"]
    for value in ("maybe", "1", "True", ""):
        root("GET", "/users", 422, params={"enabled": value})


def test_users_are_filtered_by_their_last_login(world: World) -> None:
    world.set_password("alice")
    login(world, "alice", PASSWORD)
    root = world.caller("root")
    assert names(root, lastLoginAfter="2020-01-01T00:00:00Z") == ["alice"]
    assert names(root, lastLoginBefore="2020-01-01T00:00:00Z") == ["bob", "broker", "nobody", "portal", "root"]
    assert "alice" in names(root, lastLoginBefore="2999-01-01T00:00:00+02:00")
    root("GET", "/users", 422, params={"lastLoginBefore": "yesterday"})


def test_one_user_is_shown_with_everything_known(world: World) -> None:
    world.set_password("alice", change_required=True)
    login(world, "alice", PASSWORD, address="198.51.100.7")
    login(world, "alice", "wrong password entirely", 401)
    token = world.mint("alice")
    shown = world.caller("root")("GET", "/users/alice", 200)
    assert shown["teams"] == ["web"]
    assert [(each["issuer"], each["through"]) for each in shown["issuers"]] == [("tls", ["web"]), ("vpn", ["web"])]
    assert shown["declaredAt"] == {"file": "users/alice.yaml", "commit": world.repository.head()}
    assert (shown["lastLoginAddress"], shown["failedLogins"], shown["passwordChangeRequired"]) == ("198.51.100.7", 1, True)
    assert [each["id"] for each in shown["tokens"]] == [token.accessor]
    assert "password_hash" not in repr(shown) and "argon2" not in repr(shown)
    world.caller("root")("GET", "/users/who", 404)


@pytest.mark.parametrize("name", ["Alice", "%20", "a" * 65, "..%2f", "alice%00", "\u00e4", "a'b"])
def test_an_invalid_name_is_refused(world: World, name: str) -> None:
    assert world.caller("root").send("GET", f"/users/{name}").status_code in (400, 404, 422)


DECLARED = [
    ("POST", "/users", None),
    ("PATCH", "/users/alice", "users/alice.yaml"),
    ("PUT", "/users/alice", "users/alice.yaml"),
    ("DELETE", "/users/alice", "users/alice.yaml"),
    ("POST", "/teams", None),
    ("PATCH", "/teams/web", "teams/web.yaml"),
    ("DELETE", "/teams/web", "teams/web.yaml"),
    ("POST", "/issuers", None),
    ("PATCH", "/issuers/tls", "issuers/tls.yaml"),
    ("DELETE", "/issuers/tls", "issuers/tls.yaml"),
]


@pytest.mark.parametrize(("method", "path", "file"), DECLARED)
def test_a_declared_fact_cannot_be_changed_here_and_the_answer_says_where_it_is_declared(
    world: World, method: str, path: str, file: str | None
) -> None:
    root = world.caller("root")
    before = {name: rows for name, rows in everything(world.accord).items() if name != "tokens"}
    problem = root(method, path, 409, json={"enabled": False})
    assert problem["type"] == "urn:accord:problem:declared-in-git"
    if file is not None:
        assert (problem["file"], problem["commit"]) == (file, world.repository.head())
        assert file in problem["detail"]
    assert {name: rows for name, rows in everything(world.accord).items() if name != "tokens"} == before


def test_a_password_set_by_an_administrator_must_be_changed_unless_requested_otherwise(world: World) -> None:
    root = world.caller("root")
    root("PUT", "/users/portal/password", 204, json={"password": PASSWORD})
    first = login(world, "portal", PASSWORD)
    assert first["passwordChangeRequired"] is True
    root("PUT", "/users/portal/password", 204, json={"password": OTHER, "changeRequired": False})
    world.with_secret(first["token"])("GET", "/me", 401)  # sessions end
    assert login(world, "portal", OTHER)["passwordChangeRequired"] is False
    login(world, "portal", PASSWORD, 401)


def test_an_administrator_cannot_become_a_person_by_setting_the_password(world: World) -> None:
    world.set_password("alice")
    root, body = world.caller("root"), {"password": OTHER, "changeRequired": False}
    refused = root("PUT", "/users/alice/password", 403, json=body)
    assert refused["reason"] == "person"
    login(world, "alice", OTHER, 401)
    login(world, "alice", PASSWORD)
    world.apply({"settings.yaml": resource("Settings", "default", {"tokens": {"administratorsMayMintFor": "everyone"}})})
    root("PUT", "/users/alice/password", 204, json=body)
    login(world, "alice", OTHER)


def test_a_password_set_by_an_administrator_ends_tokens_unless_requested_otherwise(world: World) -> None:
    root, token = world.caller("root"), world.caller("portal", kind="token")
    root("PUT", "/users/portal/password", 204, json={"password": PASSWORD, "revokeTokens": False})
    token("GET", "/me", 200)
    root("PUT", "/users/portal/password", 204, json={"password": PASSWORD})
    token("GET", "/me", 401)


@pytest.mark.parametrize("password", ["brief", "password", "a" * 20, "passwordpassword", "portal portal portal", "x" * 257])
def test_a_poor_password_is_refused_with_the_reason_and_never_shown(world: World, password: str) -> None:
    problem = world.caller("root")("PUT", "/users/portal/password", 409, json={"password": password})
    assert problem["detail"].startswith("the password")
    assert password not in problem["detail"].replace("the password", "")
    assert world.audit("password.set") == []


def test_the_settings_define_poor_passwords(world: World) -> None:
    world.apply({"settings.yaml": resource("Settings", "default", {"passwords": {"minLength": 30}})})
    world.caller("root")("PUT", "/users/portal/password", 409, json={"password": PASSWORD})


def test_an_account_changes_its_password_in_one_place_of_those_for_logins(world: World) -> None:
    world.set_password("alice")
    alice = world.with_secret(login(world, "alice", PASSWORD)["token"])
    number = world.service.keeper.now("alice").accounts["alice"].id
    with world.service.passwords.place(Guest(f"account {number}", True)):
        alice("PUT", "/me/password", 503, json={"currentPassword": PASSWORD, "newPassword": OTHER})
    alice("PUT", "/me/password", 200, json={"currentPassword": PASSWORD, "newPassword": OTHER})


def test_the_current_password_is_needed_to_change_ones_own(world: World) -> None:
    world.set_password("alice")
    alice = world.with_secret(login(world, "alice", PASSWORD)["token"])
    wrong = alice("PUT", "/me/password", 403, json={"currentPassword": OTHER, "newPassword": OTHER})
    assert wrong["reason"] == "wrong-password"
    alice("PUT", "/me/password", 409, json={"currentPassword": PASSWORD, "newPassword": PASSWORD})
    alice("PUT", "/me/password", 409, json={"currentPassword": PASSWORD, "newPassword": "short"})
    assert world.caller("alice", kind="token")(
        "PUT", "/me/password", 403, json={"currentPassword": PASSWORD, "newPassword": OTHER}
    )["reason"] == ("session-needed")
    alice("PUT", "/me/password", 200, json={"currentPassword": PASSWORD, "newPassword": OTHER})
    assert [entry["name"] for entry in world.audit("password.change")] == ["alice"]
    assert [entry["name"] for entry in world.audit("password.change-fail")] == ["alice"]


def test_a_session_cannot_guess_the_current_password(world: World) -> None:
    world.set_password("alice")
    alice = world.with_secret(login(world, "alice", PASSWORD)["token"])
    change = {"currentPassword": "wrong password entirely", "newPassword": OTHER}
    another = world.with_secret(login(world, "alice", PASSWORD)["token"])
    for _ in range(5):
        assert alice("PUT", "/me/password", 403, json=change)["reason"] == "wrong-password"
    alice("PUT", "/me/password", 401, json={"currentPassword": PASSWORD, "newPassword": OTHER})
    another("PUT", "/me/password", 200, json={"currentPassword": PASSWORD, "newPassword": OTHER})


def test_what_a_guessing_session_minted_for_others_goes_on_and_is_named(world: World) -> None:
    world.set_password("root")
    root = world.with_secret(login(world, "root", PASSWORD)["token"])
    own = root("POST", "/me/tokens", 201, json={"name": "own", "validFor": "1h"})
    portals = root("POST", "/users/portal/tokens", 201, json={"name": "portal", "validFor": "1h"})
    for _ in range(5):
        root("PUT", "/me/password", 403, json={"currentPassword": "wrong password entirely", "newPassword": OTHER})
    world.with_secret(own["token"])("GET", "/me", 401)
    world.with_secret(portals["token"])("GET", "/me", 200)
    first, _ = [entry["detail"] for entry in world.audit("credential.revoke")]
    assert first["mintedForOthers"] == [{"user": "portal", "token": portals["id"]}]


def test_a_password_reset_changes_nothing_before_its_mail_is_delivered(world: World) -> None:
    world.set_password("alice")
    world.caller("root")("POST", "/users/alice/password-reset", 204)
    login(world, "alice", PASSWORD)
    assert [row for row in everything(world.accord)["outbox"] if "password-reset" in row]
    world.caller("root")("POST", "/users/who/password-reset", 404)


def test_the_administrators_switch_is_independent_of_gits(world: World) -> None:
    world.set_password("alice")
    root = world.caller("root")
    root("PUT", "/users/alice/disabled", 204)
    root("PUT", "/users/alice/disabled", 204)
    assert root("GET", "/users/alice", 200)["disabledBy"] == ["administrator"]
    login(world, "alice", PASSWORD, 401)
    world.apply({"users/alice.yaml": user("alice", fullName="Git has its own switch")})
    login(world, "alice", PASSWORD, 401)
    world.apply({"users/alice.yaml": user("alice", enabled=False)})
    assert root("GET", "/users/alice", 200)["disabledBy"] == ["git", "administrator"]
    root("DELETE", "/users/alice/disabled", 204)
    assert root("GET", "/users/alice", 200)["disabledBy"] == ["git"]
    login(world, "alice", PASSWORD, 401)
    world.apply({"users/alice.yaml": user("alice")})
    login(world, "alice", PASSWORD)
    assert len(world.audit("account.disable")) == len(world.audit("account.enable")) == 1


def test_administrators_cannot_disable_themselves(world: World) -> None:
    world.caller("root")("PUT", "/users/root/disabled", 409)


def test_teams_and_issuers_are_listed_as_they_are_now(world: World) -> None:
    gone = "2020-01-01T00:00:00Z"
    world.apply(
        {
            "teams/web.yaml": team(
                "web", members=["alice", {"user": "bob", "until": gone}], issuers=["vpn", {"issuer": "tls", "until": gone}]
            )
        }
    )
    root = world.caller("root")
    shown = root("GET", "/teams/web", 200)
    assert (shown["members"], shown["issuers"]) == (1, ["vpn"])
    assert root("GET", "/issuers/tls", 200)["teams"] == ["office"]
    assert root("GET", "/issuers/old", 200)["enabled"] is False
    root("GET", "/teams/who", 404)
    root("GET", "/issuers/who", 404)


def test_the_audit_log_is_searched_newest_first(world: World) -> None:
    root = world.caller("root")
    root("PUT", "/users/alice/disabled", 204)
    root("DELETE", "/users/alice/disabled", 204)
    entries = root("GET", "/audit", 200, params={"kind": "User", "name": "alice"})["items"]
    assert [entry["action"] for entry in entries] == ["account.enable", "account.disable", "user.create"]
    assert entries[0]["actor"] == "root"
    only = root("GET", "/audit", 200, params={"action": "account.disable"})["items"]
    assert [entry["id"] for entry in only] == [entries[1]["id"]]
    world.accord("audit", "verify")


def test_a_plan_names_the_sessions_and_tokens_it_ends_and_they_end(world: World) -> None:
    ended = [world.caller(name, kind=kind) for name, kind in (("alice", "token"), ("alice", "session"), ("nobody", "token"))]
    kept = [world.caller("bob", kind="token"), world.caller("bob", kind="session")]
    revoked = world.mint("alice")
    world.caller("root")("DELETE", f"/users/alice/tokens/{revoked.accessor}", 204)
    world.repository.commit({"users/alice.yaml": user("alice", enabled=False), "users/nobody.yaml": None})
    effects = world.accord.json("plan")["effects"]
    assert (effects["sessionsEnded"], effects["tokensEnded"]) == (1, 2)
    for caller in ended + kept:
        caller("GET", "/me", 200)
    world.accord("apply", "--yes", "--override", "deletions", "--reason", "test")
    for caller in ended:
        caller("GET", "/me", 401)
    for caller in kept:
        caller("GET", "/me", 200)
