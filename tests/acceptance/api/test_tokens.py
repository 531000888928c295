"""API tokens: what they may do, how they are narrowed, and how they end."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from client import OFFICE, PASSWORD, Caller, World
from scenario import resource, team, user

from api import administration
from api.authentication import credentials
from api.authentication.authority import OperatorsAuthority
from api.authentication.tokens import is_well_formed
from api.purge import purge
from reconciler.store.tables import instant_text


def session(world: World, name: str) -> Caller:
    return world.caller(name, kind="session")


def mint(caller: Caller, code: int = 201, path: str = "/me/tokens", **more: Any) -> Any:
    return caller("POST", path, code, json={"name": "ci", "validFor": "1h", **more})


def test_a_token_is_shown_once_and_stored_only_as_a_hash(world: World) -> None:
    alice = session(world, "alice")
    minted = mint(alice, name="pipeline")
    assert is_well_formed(minted["token"])
    assert world.with_secret(minted["token"])("GET", "/me", 200)["credential"]["kind"] == "token"
    listed = alice("GET", "/me/tokens", 200)
    assert [(each["id"], each["name"]) for each in listed] == [(minted["id"], "pipeline")]
    assert "token" not in listed[0]
    with world.service.database.reading() as connection:
        stored = connection.exec_driver_sql("SELECT * FROM tokens").fetchall()
        audit = connection.exec_driver_sql("SELECT * FROM audit").fetchall()
    assert minted["token"] not in repr(stored) + repr(audit)
    assert minted["id"] in repr(audit)


def test_a_token_expires_within_the_limit_of_the_settings(world: World) -> None:
    alice = session(world, "alice")
    mint(alice, validFor="365d")
    assert "until" in mint(alice, 409, validFor="366d")["detail"]
    alice("POST", "/me/tokens", 422, json={"name": "endless"})
    alice("POST", "/me/tokens", 422, json={"name": "both", "validFor": "1h", "expiresAt": "2026-12-31T18:00:00Z"})
    for past in ("0s", "0d"):
        mint(alice, 409, validFor=past)
    policy = resource("Settings", "default", {"tokens": {"maxLifetime": "2h"}})
    world.apply({"settings.yaml": policy})
    mint(alice, 409, validFor="3h")
    mint(alice, validFor="2h")


@pytest.mark.parametrize(
    "instant",
    [
        "2026-12-31",
        "2026-12-31T18:00:00",
        "2026-12-31T23:59:60Z",
        "2026-13-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "0000-01-01T00:00:00Z",
        "tomorrow",
    ],
)
def test_an_expiry_that_is_not_an_instant_is_refused(world: World, instant: str) -> None:
    body = {"name": "ci", "expiresAt": instant}
    assert "date-time" in session(world, "alice")("POST", "/me/tokens", 422, json=body)["detail"]


def test_a_token_narrowed_to_issuers_permits_only_these(world: World) -> None:
    token = world.with_secret(mint(session(world, "alice"), issuers=["tls"])["token"])
    assert [each["issuer"] for each in token("GET", "/me/access", 200)] == ["tls"]
    assert token("GET", "/certdog/api/currentuser/myissuers", 200) == ["Public TLS"]
    assert token("POST", "/decisions", 200, json={"issuer": "tls"})["allow"] is True
    denied = token("POST", "/decisions", 200, json={"issuer": "vpn"})
    assert (denied["allow"], denied["reason"]) == (False, "credential-not-permitted")
    batch = token("POST", "/decisions", 200, json={"requests": [{"issuer": "tls"}, {"issuer": "vpn"}]})
    assert [each["allow"] for each in batch["decisions"]] == [True, False]
    token("GET", "/auth", 403, params={"issuer": "vpn"})
    token("GET", "/auth", 200, params={"issuer": "tls"})


def test_narrowing_to_an_issuer_never_adds_one(world: World) -> None:
    token = world.with_secret(mint(session(world, "nobody"), issuers=["tls"])["token"])
    assert token("POST", "/decisions", 200, json={"issuer": "tls"})["reason"] == "no-team"
    assert mint(session(world, "nobody"), 409, issuers=["nonsense"])["detail"] == "there is no issuer `nonsense`"


def test_a_narrowed_token_decides_only_about_its_own_issuers(world: World) -> None:
    portal = world.caller("portal", kind="token", issuers=["vpn"])
    asked = portal("POST", "/decisions", 200, json={"issuer": "tls", "subject": "alice"})
    assert (asked["allow"], asked["reason"]) == (False, "credential-not-permitted")


def test_a_token_narrowed_to_addresses_works_only_from_these(world: World) -> None:
    secret = mint(session(world, "alice"), permittedIPs=["10.20.0.0/16", "2001:db8::/32"])["token"]
    for address in ("10.20.1.1", "2001:db8::1", "::ffff:10.20.1.1"):
        world.with_secret(secret, address)("GET", "/me", 200)
    for address in ("10.21.1.1", "2001:db9::1", "", "0.0.0.0"):
        assert world.with_secret(secret, address)("GET", "/me", 403)["reason"] == "address-not-permitted"


def test_a_token_and_a_team_must_both_permit_an_address(world: World) -> None:
    secret = mint(session(world, "bob"), permittedIPs=["10.20.7.0/24", "10.30.0.0/16"])["token"]
    world.with_secret(secret, "10.20.7.1")("GET", "/me", 200)
    world.with_secret(secret, "10.30.0.1")("GET", "/me", 403)
    world.with_secret(secret, "10.20.8.1")("GET", "/me", 403)


@pytest.mark.parametrize("rule", ["10.20.0.0/33", "10.0.0.9-10.0.0.1", "*", "example.org", "10.0.0.1/8", " "])
def test_invalid_addresses_are_refused(world: World, rule: str) -> None:
    mint(session(world, "alice"), 422, permittedIPs=[rule])


@pytest.mark.parametrize("narrowing", [{"issuers": ["tls"]}, {"permitted_ips": [OFFICE]}])
def test_a_narrowed_token_cannot_mint_another(world: World, narrowing: dict[str, Any]) -> None:
    assert mint(world.caller("alice", kind="token", **narrowing), 403)["reason"] == "narrowed"
    administrator = world.caller("root", kind="token", **narrowing)
    assert mint(administrator, 403, "/users/root/tokens")["reason"] in ("narrowed", "not-administrator")
    assert mint(administrator, 403, "/users/alice/tokens")["reason"] in ("narrowed", "not-administrator")


def test_a_token_cannot_mint_one_that_outlives_it(world: World) -> None:
    token = world.with_secret(mint(session(world, "alice"), validFor="2h")["token"])
    mint(token, validFor="1h")
    assert "outlives" in mint(token, 409, validFor="3h")["detail"]


def test_the_number_of_live_tokens_is_limited(world: World) -> None:
    alice = session(world, "alice")
    ids = [world.mint("alice").accessor for _ in range(credentials.MOST_TOKENS - 1)]
    mint(alice)
    assert "100" in mint(alice, 409)["detail"]
    alice("DELETE", f"/me/tokens/{ids[0]}", 204)
    mint(alice)


def test_a_token_is_revoked_by_its_owner_one_by_one(world: World) -> None:
    alice = session(world, "alice")
    one, other = mint(alice), mint(alice)
    alice("DELETE", f"/me/tokens/{one['id']}", 204)
    world.with_secret(one["token"])("GET", "/me", 401)
    world.with_secret(other["token"])("GET", "/me", 200)
    alice("DELETE", f"/me/tokens/{one['id']}", 404)
    assert [entry["detail"]["accessor"] for entry in world.audit("credential.revoke")] == [one["id"]]


def test_nobody_can_revoke_another_accounts_token(world: World) -> None:
    minted = world.mint("alice")
    for path in (f"/me/tokens/{minted.accessor}", f"/me/tokens/{minted.secret}", "/me/tokens/%25", "/me/tokens/'%20OR%201=1"):
        session(world, "bob")("DELETE", path, 404)
    world.caller("root")("DELETE", f"/users/bob/tokens/{minted.accessor}", 404)
    world.with_secret(minted.secret)("GET", "/me", 200)


def test_an_administrator_mints_and_revokes_for_others(world: World) -> None:
    root = session(world, "root")
    minted = mint(root, path="/users/portal/tokens", name="portal", issuers=["vpn"])
    portal = world.with_secret(minted["token"])
    assert portal("GET", "/me", 200)["name"] == "portal"
    assert [each["id"] for each in root("GET", "/users/portal/tokens", 200)] == [minted["id"]]
    assert [each["id"] for each in root("GET", "/users/portal", 200)["tokens"]] == [minted["id"]]
    root("DELETE", f"/users/portal/tokens/{minted['id']}", 204)
    portal("GET", "/me", 401)
    mint(root, 404, "/users/who/tokens")


def test_no_token_is_minted_for_a_disabled_account(world: World) -> None:
    root = session(world, "root")
    root("PUT", "/users/portal/disabled", 204)
    mint(root, 409, "/users/portal/tokens")
    root("DELETE", "/users/portal/disabled", 204)
    world.apply({"users/portal.yaml": user("portal", type="application", enabled=False)})
    mint(root, 409, "/users/portal/tokens")


def test_disabling_ends_tokens_and_sessions_and_enabling_does_not_revive_them(world: World) -> None:
    root = session(world, "root")
    callers = [world.caller("alice", kind="token"), session(world, "alice")]
    root("PUT", "/users/alice/disabled", 204)
    for caller in callers:
        caller("GET", "/me", 401)
    root("DELETE", "/users/alice/disabled", 204)
    for caller in callers:
        caller("GET", "/me", 401)
    assert world.caller("alice")("GET", "/me", 200)["name"] == "alice"


def test_git_ends_tokens_and_sessions_and_does_not_revive_them_either(world: World) -> None:
    callers = [world.caller("alice", kind="token"), session(world, "alice")]
    world.apply({"users/alice.yaml": user("alice", enabled=False)})
    for caller in callers:
        caller("GET", "/me", 401)
    world.apply({"users/alice.yaml": user("alice")})
    for caller in callers:
        caller("GET", "/me", 401)


def test_a_deleted_accounts_tokens_do_not_work_for_its_namesake(world: World) -> None:
    caller = world.caller("nobody")
    world.apply({"users/nobody.yaml": None})
    caller("GET", "/me", 401)
    world.apply({"users/nobody.yaml": user("nobody")})
    caller("GET", "/me", 401)


def test_a_renamed_account_keeps_its_tokens(world: World) -> None:
    caller = world.caller("nobody")
    renamed = user("somebody")
    renamed["metadata"]["previously"] = ["nobody"]
    world.apply({"users/nobody.yaml": renamed})
    assert caller("GET", "/me", 200)["name"] == "somebody"


def test_a_password_change_ends_sessions_and_on_request_tokens(world: World) -> None:
    world.set_password("alice")
    here, elsewhere, token = session(world, "alice"), session(world, "alice"), world.caller("alice", kind="token")
    now = here("PUT", "/me/password", 200, json={"currentPassword": PASSWORD, "newPassword": "another long passphrase"})
    elsewhere("GET", "/me", 401)
    token("GET", "/me", 200)
    change = {"currentPassword": "another long passphrase", "newPassword": PASSWORD, "revokeTokens": True}
    now = world.with_secret(now["token"])("PUT", "/me/password", 200, json=change)
    token("GET", "/me", 401)
    world.with_secret(now["token"])("GET", "/me", 200)


def test_the_session_that_changes_its_password_gets_a_new_secret_and_lives_no_longer(world: World) -> None:
    world.set_password("alice")
    minted = world.mint("alice", "session", lives=timedelta(hours=1), password_change_required=True)
    here = world.with_secret(minted.secret)
    before = here("GET", "/me", 200)["credential"]
    now = here("PUT", "/me/password", 200, json={"currentPassword": PASSWORD, "newPassword": "another long passphrase"})
    here("GET", "/me", 401)
    me = world.with_secret(now["token"])("GET", "/me", 200)
    assert (now["user"], now["passwordChangeRequired"], me["passwordChangeRequired"]) == ("alice", False, False)
    assert me["credential"]["expiresAt"] == before["expiresAt"] and me["credential"]["id"] != before["id"]
    (entry,) = world.audit("password.change")
    assert entry["detail"] == {"revokedCredentials": 1, "session": me["credential"]["id"], "credential": before["id"]}
    assert now["token"] not in repr(entry)


def test_logging_out_with_a_token_ends_only_that_token(world: World) -> None:
    one, other = world.caller("alice", kind="token"), world.caller("alice", kind="token")
    one("DELETE", "/sessions/current", 204)
    one("GET", "/me", 401)
    other("GET", "/me", 200)


def revoke_after_admission(world: World, monkeypatch: pytest.MonkeyPatch, accessor: str) -> None:
    """A credential is revoked after its request was admitted, and before the request does anything."""
    admitted = world.service.authenticator.authenticate

    def revoked_meanwhile(*arguments: Any) -> Any:
        principal = admitted(*arguments)
        world.execute(f"UPDATE tokens SET revoked_at = created_at WHERE accessor = '{accessor}'")
        return principal

    monkeypatch.setattr(world.service.authenticator, "authenticate", revoked_meanwhile)


def test_a_session_revoked_while_it_mints_mints_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    minted = world.mint("alice", "session")
    revoke_after_admission(world, monkeypatch, minted.accessor)
    mint(world.with_secret(minted.secret), 401)
    assert world.audit("token.create") == []


def test_a_session_revoked_while_it_changes_the_password_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.set_password("alice")
    minted = world.mint("alice", "session")
    revoke_after_admission(world, monkeypatch, minted.accessor)
    change = {"currentPassword": PASSWORD, "newPassword": "another long passphrase"}
    world.with_secret(minted.secret)("PUT", "/me/password", 401, json=change)
    assert world.audit("password.change") == []


@pytest.mark.parametrize("name", ["deploy\u202eyolped", "a\u2066b\u2069", "a\u2028b", "a\nb", "\x7f", "\x00", ""])
def test_a_tokens_name_is_shown_exactly_as_given(world: World, name: str) -> None:
    session(world, "alice")("POST", "/me/tokens", 422, json={"name": name, "validFor": "1h"})


def used(world: World, accessor: str) -> tuple[Any, Any]:
    root = session(world, "root")
    found = next(each for each in root("GET", "/users/alice", 200)["tokens"] if each["id"] == accessor)
    return found["lastUsedAt"], found["lastUsedAddress"]


def test_a_tokens_last_use_is_written_at_most_once_a_minute(world: World) -> None:
    world.service.uses.stop()  # this test says when what is due is written
    minted = world.mint("alice")
    assert used(world, minted.accessor) == (None, None)
    world.with_secret(minted.secret, "198.51.100.1")("GET", "/me", 200)
    world.service.uses.flush()
    first = used(world, minted.accessor)
    assert first[1] == "198.51.100.1"
    world.with_secret(minted.secret, "198.51.100.2")("GET", "/me", 200)
    world.service.uses.flush()
    assert used(world, minted.accessor) == first
    past = (datetime.now(UTC) - timedelta(seconds=61)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    world.execute(f"UPDATE tokens SET last_used_at = '{past}' WHERE accessor = '{minted.accessor}'")
    world.with_secret(minted.secret, "198.51.100.2")("GET", "/me", 200)
    world.service.uses.flush()
    assert used(world, minted.accessor)[1] == "198.51.100.2"


def test_a_refused_call_does_not_count_as_a_use(world: World) -> None:
    minted = world.mint("alice", permitted_ips=["10.20.0.0/16"])
    world.with_secret(minted.secret, "203.0.113.7")("GET", "/me", 403)
    world.service.uses.flush()
    assert used(world, minted.accessor) == (None, None)


def test_what_a_token_minted_ends_with_it(world: World) -> None:
    alice = session(world, "alice")
    parent = mint(alice, name="pipeline", validFor="2h")
    child = mint(world.with_secret(parent["token"]), name="child")
    grandchild = mint(world.with_secret(child["token"]), name="grandchild", validFor="30m")
    assert grandchild["mintedBy"] == {"user": "alice", "credential": child["id"], "kind": "token"}
    alice("DELETE", f"/me/tokens/{parent['id']}", 204)
    for each in (parent, child, grandchild):
        world.with_secret(each["token"])("GET", "/me", 401)
    ended = {entry["detail"]["accessor"] for entry in world.audit("credential.revoke")}
    assert ended == {parent["id"], child["id"], grandchild["id"]}
    assert [entry["detail"]["credential"] for entry in world.audit("token.create")][1:] == [parent["id"], child["id"]]


def test_what_an_ended_token_minted_can_still_be_revoked_with_it(world: World) -> None:
    parent = mint(session(world, "alice"), validFor="2h")
    child = mint(world.with_secret(parent["token"]))
    world.execute(f"UPDATE tokens SET expires_at = '2020-01-01T00:00:00.000000Z' WHERE accessor = '{parent['id']}'")
    purge(world.service.reader, datetime.now(UTC), threading.Event())
    world.caller("root")("DELETE", f"/users/alice/tokens/{parent['id']}", 204)
    world.with_secret(child["token"])("GET", "/me", 401)


def test_logging_out_leaves_the_tokens_and_a_revoked_session_takes_them(world: World) -> None:
    first, second = world.mint("alice", "session"), world.mint("alice", "session")
    kept, lost = mint(world.with_secret(first.secret)), mint(world.with_secret(second.secret))
    world.with_secret(first.secret)("DELETE", "/sessions/current", 204)
    world.with_secret(kept["token"])("GET", "/me", 200)
    operator = OperatorsAuthority(world.service.database, "operator")
    assert administration.revoke_credentials(operator, "alice", [second.accessor]) == 2
    world.with_secret(lost["token"])("GET", "/me", 401)
    world.with_secret(kept["token"])("GET", "/me", 200)


def test_disabling_an_administrator_names_the_tokens_that_it_minted_for_others(world: World) -> None:
    world.apply(
        {"users/boss.yaml": user("boss"), "teams/admins.yaml": team("admins", administrator=True, members=["root", "boss"])}
    )
    minted = mint(session(world, "boss"), path="/users/portal/tokens")
    session(world, "root")("PUT", "/users/boss/disabled", 204)
    (entry,) = world.audit("account.disable")
    assert entry["detail"]["mintedForOthers"] == [{"user": "portal", "token": minted["id"]}]
    world.with_secret(minted["token"])("GET", "/me", 200)


@pytest.mark.parametrize(("change", "action"), [(None, "user.delete"), (user("boss", enabled=False), "user.update")])
def test_git_names_them_as_well(world: World, change: Any, action: str) -> None:
    admins = {"administrator": True, "members": ["root"]}
    world.apply({"users/boss.yaml": user("boss"), "teams/admins.yaml": team("admins", **{**admins, "members": ["root", "boss"]})})
    minted = mint(session(world, "boss"), path="/users/portal/tokens")
    world.apply({"users/boss.yaml": change, "teams/admins.yaml": team("admins", **admins)})
    (entry,) = [entry for entry in world.audit(action) if entry["name"] == "boss"]
    assert entry["detail"]["mintedForOthers"] == [{"user": "portal", "token": minted["id"]}]
    world.with_secret(minted["token"])("GET", "/me", 200)


def test_an_administrator_mints_for_nobody_who_is_a_person(world: World) -> None:
    assert mint(session(world, "root"), 403, "/users/alice/tokens")["reason"] == "person"
    mint(session(world, "root"), 409, "/users/root/tokens")


def test_an_applications_token_gets_its_successor(world: World) -> None:
    old = mint(session(world, "root"), path="/users/portal/tokens", validFor="30d", issuers=["vpn"])
    portal = world.with_secret(old["token"])
    new = mint(portal, validFor="60d")
    lives = datetime.fromisoformat(new["expiresAt"]) - datetime.fromisoformat(new["createdAt"])
    assert timedelta(days=29, hours=23) < lives <= timedelta(days=30)
    assert new["issuers"] == ["vpn"]
    ends = datetime.fromisoformat(portal("GET", "/me", 200)["credential"]["expiresAt"])
    assert ends <= datetime.now(UTC) + timedelta(days=1)
    assert new["id"] in mint(portal, 409, validFor="60d")["detail"]
    made = instant_text(datetime.now(UTC) - timedelta(minutes=2))
    world.execute(f"UPDATE tokens SET created_at = '{made}' WHERE accessor = '{new['id']}'")
    again = mint(portal, validFor="60d")  # the answer may have been lost
    assert datetime.fromisoformat(again["expiresAt"]) > datetime.now(UTC) + timedelta(days=29)
    world.with_secret(new["token"])("GET", "/me", 401)
    world.with_secret(again["token"])("GET", "/me", 200)
    world.service.uses.flush()
    assert again["id"] in mint(portal, 409, validFor="60d")["detail"]
    mint(portal, 409, validFor="60d", issuers=["tls"])
    successor = world.with_secret(again["token"])
    assert mint(successor, 409, validFor="90d", issuers=["tls"])  # it may succeed itself in turn
    session(world, "root")("DELETE", f"/users/portal/tokens/{old['id']}", 204)
    world.with_secret(again["token"])("GET", "/me", 401)


def test_the_settings_say_how_long_the_old_token_goes_on(world: World) -> None:
    world.apply({"settings.yaml": resource("Settings", "default", {"tokens": {"overlap": "1m"}})})
    old = mint(session(world, "root"), path="/users/portal/tokens", validFor="30d")
    mint(world.with_secret(old["token"]), validFor="30d")
    ends = world.with_secret(old["token"])("GET", "/me", 200)["credential"]["expiresAt"]
    assert datetime.fromisoformat(ends) <= datetime.now(UTC) + timedelta(minutes=1)


def test_what_an_applications_token_minted_gets_no_successor(world: World) -> None:
    old = mint(session(world, "root"), path="/users/portal/tokens", validFor="30d")
    child = mint(world.with_secret(old["token"]), validFor="1d")
    assert "outlives" in mint(world.with_secret(child["token"]), 409, validFor="2d")["detail"]


def test_an_application_that_ends_its_old_token_keeps_the_successor(world: World) -> None:
    for end in ("DELETE /me/tokens/{}", "DELETE /sessions/current"):
        old = mint(session(world, "root"), path="/users/portal/tokens", validFor="30d")
        child = mint(world.with_secret(old["token"]), validFor="1d")
        new = mint(world.with_secret(old["token"]), validFor="30d")
        method, path = end.format(old["id"]).split()
        world.with_secret(old["token"])(method, path, 204)
        world.with_secret(child["token"])("GET", "/me", 401)
        world.with_secret(new["token"])("GET", "/me", 200)


def test_a_token_and_its_child_are_revoked_together(world: World) -> None:
    parent = mint(session(world, "alice"), validFor="2h")
    child = mint(world.with_secret(parent["token"]))
    operator = OperatorsAuthority(world.service.database, "operator")
    assert administration.revoke_credentials(operator, "alice", [parent["id"], child["id"], child["id"]]) == 2


def test_all_of_an_account_takes_what_a_session_minted_that_logged_out(world: World) -> None:
    thief = session(world, "root")
    minted = mint(thief, path="/users/portal/tokens")
    thief("DELETE", "/sessions/current", 204)
    assert administration.revoke_credentials(OperatorsAuthority(world.service.database, "operator"), "root", None) == 1
    world.with_secret(minted["token"])("GET", "/me", 401)


def test_a_credential_whose_number_went_to_another_account_acts_for_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    minted = world.mint("nobody", "session")
    admit = world.service.authenticator.authenticate

    def deleted_meanwhile(*arguments: Any) -> Any:
        principal = admit(*arguments)
        monkeypatch.undo()
        world.execute("DELETE FROM users WHERE name = 'nobody'")
        world.mint("root", "session")
        return principal

    monkeypatch.setattr(world.service.authenticator, "authenticate", deleted_meanwhile)
    mint(world.with_secret(minted.secret), 401)
    assert world.audit("token.create") == []


def declare_anew_while_judged(world: World, monkeypatch: pytest.MonkeyPatch, asked: str = "zoe") -> None:
    """The newest account is deleted and declared anew when somebody is asked about: in SQLite it gets the same number."""
    read = world.service.keeper.at

    def read_later(stamp: Any, *names: str) -> Any:
        if asked in names:
            monkeypatch.undo()
            world.apply({"users/zoe.yaml": None, "teams/zoes.yaml": None})
            world.apply(ZOE)
            world.service.keeper.now()  # what is read from now on is of this moment
        return read(stamp, *names)

    monkeypatch.setattr(world.service.keeper, "at", read_later)


ZOE = {"users/zoe.yaml": user("zoe"), "teams/zoes.yaml": team("zoes", members=["zoe"], issuers=["tls"])}


def test_nothing_is_decided_for_a_namesake_declared_during_the_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.apply(ZOE)
    caller = world.caller("zoe")
    declare_anew_while_judged(world, monkeypatch)
    caller("POST", "/decisions", 401, json={"issuer": "tls"})


def test_nothing_is_decided_for_a_namesake_declared_while_others_are_asked_about(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = team("zoes", members=["zoe"], issuers=["tls"], mayDecideFor="everyone")
    world.apply({"users/zoe.yaml": user("zoe", type="application"), "teams/zoes.yaml": deciding})
    caller = world.caller("zoe")
    questions = [{"issuer": "tls"}, {"issuer": "tls", "subject": "alice"}]
    caller("POST", "/decisions", 200, json={"requests": questions})
    declare_anew_while_judged(world, monkeypatch, asked="alice")
    caller("POST", "/decisions", 401, json={"requests": questions})


def test_no_token_is_active_for_a_namesake_declared_during_the_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.apply(ZOE)
    token, portal = world.mint("zoe").secret, world.caller("portal")
    declare_anew_while_judged(world, monkeypatch)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert portal("POST", "/introspect", 200, body=f"token={token}", headers=form) == {"active": False}


def test_a_persons_token_gets_no_successor(world: World) -> None:
    token = world.with_secret(mint(session(world, "alice"), validFor="2h")["token"])
    assert "outlives" in mint(token, 409, validFor="3h")["detail"]
