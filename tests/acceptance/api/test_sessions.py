"""Logging in and out."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from client import OFFICE, PASSWORD, Caller, World
from scenario import resource, user
from waiting import LONG

from api.authentication import account_failures, sessions
from api.service import REFUSAL
from reconciler.access.instants import format_instant
from reconciler.access.touched import EVERYTHING
from reconciler.store.generations import raise_generation
from reconciler.store.tables import instant_text

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def login(world: World, name: str, password: str = PASSWORD, code: int = 201, address: str = OFFICE) -> Any:
    return world.caller(address=address)("POST", "/sessions", code, json={"username": name, "password": password})


def just_now() -> str:
    """When a failure happened for which one must wait, however slow the machine is: no clock is more than minutes ahead."""
    return instant_text(datetime.now(UTC) + timedelta(minutes=4))


def test_a_session_works_until_it_logs_out(world: World) -> None:
    world.set_password("alice")
    session = login(world, "alice")
    assert (session["user"], session["passwordChangeRequired"]) == ("alice", False)
    alice = world.with_secret(session["token"])
    me = alice("GET", "/me", 200)
    assert (me["name"], me["teams"], me["administrator"], me["credential"]["kind"]) == ("alice", ["web"], False, "session")
    alice("DELETE", "/sessions/current", 204)
    alice("GET", "/me", 401)
    assert [entry["name"] for entry in world.audit("login.succeed")] == ["alice"]


def test_the_time_and_address_of_the_last_login_are_kept(world: World) -> None:
    world.set_password("alice")
    login(world, "ALICE", address="198.51.100.7")
    shown = world.caller("root")("GET", "/users/alice", 200)
    assert shown["lastLoginAddress"] == "198.51.100.7"
    assert shown["lastLoginAt"] is not None


@pytest.mark.parametrize("name", ["alice", "nobody", "bob", "who", "", "CORP\\alice", "alice@corp.example.org"])
def test_every_failure_has_the_same_answer(world: World, name: str) -> None:
    world.set_password("alice")
    world.set_password("bob")
    world.caller("root")("PUT", "/users/bob/disabled", 204)
    if not name:
        login(world, name, "wrong password entirely", 422)
        return
    problem = login(world, name, "wrong password entirely" if name == "alice" else PASSWORD, 401)
    assert problem["detail"] == "the name or the password is wrong, or the account cannot log in now"


def test_an_alias_logs_in_to_the_account_and_has_no_guesses_of_its_own(world: World) -> None:
    world.let_delays_last()
    world.set_password("alice")
    world.apply({"users/alice.yaml": user("alice", logins=["Alice Jones", "CORP\\Alice"])})
    session = login(world, "CORP\\ALICE")
    assert (session["user"], world.audit("login.succeed")[-1]["name"]) == ("alice", "alice")
    names = ("alice", "Alice Jones", "corp\\alice")
    for number in range(6):  # one more than is permitted
        login(world, names[number % 3], "wrong password entirely", 401, address="203.0.113.9")
    for name in names:
        problem = login(world, name, PASSWORD, 401, address="203.0.113.9")
        assert problem["detail"] == login(world, "Nobody Jones", PASSWORD, 401, address="203.0.113.9")["detail"]
    assert {entry["name"] for entry in world.audit("login.fail")} == {"alice"}
    assert world.caller("root")("GET", "/users/alice", 200)["failedLogins"] == 5  # the account waited after these


def test_an_alias_that_moves_takes_no_account_along(world: World) -> None:
    world.set_password("alice")
    world.apply({"users/alice.yaml": user("alice", logins=["Front Desk"])})
    login(world, "front desk")
    world.apply({"users/alice.yaml": user("alice"), "users/bob.yaml": user("bob", logins=["Front Desk"])})
    login(world, "front desk", PASSWORD, 401)
    world.set_password("bob")
    assert login(world, "front desk")["user"] == "bob"
    world.execute("UPDATE users SET logins = '[]'")  # the index does not decide
    login(world, "front desk", PASSWORD, 401)


def test_an_accounts_own_name_comes_before_an_alias(world: World) -> None:
    world.set_password("alice")
    world.apply({"users/alice.yaml": user("alice", logins=["Zoe Z"])})
    world.execute("INSERT INTO users (name, source, email) VALUES ('zoe z', 'directory', '')")
    login(world, "Zoe Z", PASSWORD, 401)


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_every_failure_takes_a_time_that_hides_what_differs(world: World, name: str) -> None:
    world.set_password("alice")
    began = time.monotonic()
    login(world, name, "wrong password entirely", 401)
    assert time.monotonic() - began >= REFUSAL / 4


def test_a_login_from_an_address_that_is_not_permitted_is_refused_like_any_other(world: World) -> None:
    world.set_password("bob")
    login(world, "bob", address="10.20.3.4")
    login(world, "bob", address="10.21.3.4", code=401)
    assert world.audit("login.fail")[-1]["detail"]["reason"] == "address-not-permitted"


def test_failures_delay_the_account_but_not_at_the_address_of_its_last_login(world: World) -> None:
    world.let_delays_last()
    world.set_password("alice")
    login(world, "alice", address="198.51.100.7")
    for _ in range(5):
        login(world, "alice", "wrong password entirely", 401, address="203.0.113.9")
    login(world, "alice", address="203.0.113.9", code=401)
    (counted,) = world.refusals()
    assert (counted["actor"], counted["reasons"]) == ("alice", {"too-many-failures": 1})
    login(world, "alice", address="198.51.100.7")  # where the account was last used: an attacker elsewhere locks nobody out
    login(world, "alice", address="203.0.113.9")  # the success has reset it


def test_somebody_who_fails_from_one_address_keeps_nobody_out_elsewhere(world: World) -> None:
    world.set_password("alice")
    login(world, "alice", address="198.51.100.7")
    world.execute(
        f"INSERT INTO account_networks SELECT account, '203.0.113.9', user_id, NULL, 40, '{just_now()}' FROM account_networks"
    )  # they go on for days
    login(world, "alice", address="203.0.113.9", code=401)
    login(world, "alice", address="192.0.2.50")


def test_no_number_of_addresses_guesses_on_and_known_ones_stay_free(world: World) -> None:
    world.set_password("alice")
    login(world, "alice", address="198.51.100.7")
    for number in range(30):
        world.execute(
            f"INSERT INTO account_networks SELECT account, '203.0.113.{number}', user_id, NULL, 4, '{just_now()}'"
            " FROM account_networks WHERE network = '198.51.100.7'"
        )
    login(world, "alice", address="192.0.2.50", code=401)
    login(world, "alice", address="198.51.100.7")
    login(world, "alice", address="192.0.2.50")  # the success has reset it


def test_whoever_knows_an_account_s_password_does_not_count_as_a_failure(world: World) -> None:
    world.set_password("bob")
    for _ in range(8):
        login(world, "bob", address="10.21.3.4", code=401)
    login(world, "bob", address="10.20.3.4")


def test_an_address_that_nobody_knows_is_never_a_known_one(world: World) -> None:
    world.set_password("alice")
    with world.service.database.recording() as connection:
        account_failures.succeed(connection, "7", 1, None, NOW)
        tries = account_failures.read_tries(connection, "7", None, NOW)
    assert (tries.known, tries.anywhere) == (False, False)


def test_a_delay_survives_a_restart_and_an_unlock_ends_it(world: World) -> None:
    world.let_delays_last()
    world.set_password("alice")
    for _ in range(6):
        login(world, "alice", "wrong password entirely", 401)
    world.restart()
    login(world, "alice", code=401)
    world.caller("root")("POST", "/users/alice/unlock", 204)
    login(world, "alice")


def test_an_address_with_very_many_failures_has_to_wait(world: World) -> None:
    world.execute(
        "INSERT INTO login_failures VALUES ('203.0.113.9', 99, '2026-01-01T00:00:00.000000Z', '2999-01-01T00:00:00.000000Z')"
    )
    world.set_password("alice")
    result = world.caller(address="203.0.113.9").send("POST", "/sessions", json={"username": "alice", "password": PASSWORD})
    assert result.status_code == 429
    assert int(result.headers["retry-after"]) > 0
    login(world, "alice", address="203.0.113.8")


def test_a_session_that_must_change_its_password_can_only_do_that(world: World) -> None:
    world.set_password("alice", change_required=True)
    session = login(world, "alice")
    assert session["passwordChangeRequired"] is True
    alice = world.with_secret(session["token"])
    for method, path in (
        ("GET", "/me/access"),
        ("GET", "/me/tokens"),
        ("POST", "/decisions"),
        ("GET", "/auth"),
        ("GET", "/users"),
    ):
        assert alice(method, path, 403, json={"issuer": "tls"} if method == "POST" else None)["reason"] == "password-change"
    assert alice("GET", "/me", 200)["passwordChangeRequired"] is True
    change = {"currentPassword": PASSWORD, "newPassword": "another long passphrase"}
    session = alice("PUT", "/me/password", 200, json=change)
    world.with_secret(session["token"])("GET", "/me/access", 200)
    assert login(world, "alice", "another long passphrase")["passwordChangeRequired"] is False


def test_requiring_a_change_ends_sessions_and_tokens_unless_requested_otherwise(world: World) -> None:
    world.set_password("alice")
    root, before, token = (
        world.caller("root"),
        world.with_secret(login(world, "alice")["token"]),
        world.caller("alice", kind="token"),
    )
    root("POST", "/users/alice/require-password-change", 204, params={"endSessions": "false", "revokeTokens": "false"})
    before("GET", "/me/access", 200)
    token("GET", "/me/access", 200)
    root("POST", "/users/alice/require-password-change", 204)
    before("GET", "/me/access", 401)
    token("GET", "/me/access", 401)
    assert login(world, "alice")["passwordChangeRequired"] is True


def test_a_password_older_than_git_permits_must_be_changed_once(world: World) -> None:
    world.set_password("alice")
    world.apply({"users/alice.yaml": user("alice", passwordChangeRequiredAfter="2020-01-01T00:00:00Z")})
    assert login(world, "alice")["passwordChangeRequired"] is False
    world.execute("UPDATE account_states SET password_set_at = '2019-01-01T00:00:00.000000Z'")
    session = login(world, "alice")
    assert session["passwordChangeRequired"] is True
    change = {"currentPassword": PASSWORD, "newPassword": "another long passphrase"}
    world.with_secret(session["token"])("PUT", "/me/password", 200, json=change)
    assert login(world, "alice", "another long passphrase")["passwordChangeRequired"] is False


def test_a_change_that_git_requires_ends_the_sessions_begun_before_it(world: World) -> None:
    world.set_password("alice")
    before, token = world.with_secret(login(world, "alice")["token"]), world.caller("alice", kind="token")
    world.apply({"users/alice.yaml": user("alice", passwordChangeRequiredAfter=format_instant(datetime.now(UTC)))})
    before("GET", "/me", 401)
    token("GET", "/me", 200)
    session = login(world, "alice")
    assert session["passwordChangeRequired"] is True
    change = {"currentPassword": PASSWORD, "newPassword": "another long passphrase"}
    after = world.with_secret(session["token"])("PUT", "/me/password", 200, json=change)
    world.with_secret(after["token"])("GET", "/me/access", 200)


def test_a_session_ends_when_idle_and_at_the_end_of_its_lifetime(world: World) -> None:
    world.set_password("alice")
    idle = world.with_secret(login(world, "alice")["token"])
    idle("GET", "/me", 200)
    world.service.uses.flush()
    world.execute("UPDATE tokens SET last_used_at = '2020-01-01T00:00:00.000000Z'")
    idle("GET", "/me", 401)
    over = world.with_secret(login(world, "alice")["token"])
    world.execute("UPDATE tokens SET expires_at = '2020-01-01T00:00:00.000000Z'")
    over("GET", "/me", 401)


def test_policies_may_set_extreme_durations(world: World) -> None:
    good = "999999d"
    policy = {"sessions": {"lifetime": good, "idle": good}, "logins": {"maxFailures": 1, "delay": "1d", "maxDelay": good}}
    world.apply({"settings.yaml": resource("Settings", "default", policy)})
    world.set_password("alice")
    session = login(world, "alice")
    world.with_secret(session["token"])("GET", "/me", 200)
    assert session["expiresAt"] > "2999"
    for address in ("127.0.0.1", "203.0.113.9"):
        login(world, "alice", "wrong password entirely", 401, address=address)
    world.execute("UPDATE account_networks SET failures = 60 WHERE network = '203.0.113.9'")
    assert world.caller("root")("GET", "/users/alice", 200)["nextLoginAt"] > "2999"


def test_a_login_beyond_the_limit_ends_the_least_recently_used_session(world: World) -> None:
    world.set_password("alice")
    world.mint("alice", "session", lives=timedelta(seconds=-1))  # these three count for nothing here
    world.mint("alice")
    world.mint("bob", "session")
    minted = [world.mint("alice", "session") for _ in range(sessions.MOST)]
    now = datetime.now(UTC)
    for number, each in enumerate(minted):  # used one after the other, but for the first, which goes on being used
        used = instant_text(now - timedelta(seconds=1 if number == 0 else 500 - number))
        world.execute(f"UPDATE tokens SET last_used_at = '{used}' WHERE accessor = '{each.accessor}'")
    world.with_secret(login(world, "alice")["token"])("GET", "/me", 200)
    assert [entry["detail"] for entry in world.audit("credential.revoke")] == [
        {"accessor": minted[1].accessor, "why": "too-many-sessions"}
    ]
    world.with_secret(minted[1].secret)("GET", "/me", 401)
    for each in (minted[0], minted[2], minted[-1]):
        world.with_secret(each.secret)("GET", "/me", 200)


def test_idle_sessions_do_not_count_towards_the_limit(world: World) -> None:
    world.set_password("alice")
    for _ in range(sessions.MOST):
        world.mint("alice", "session")
    world.execute("UPDATE tokens SET created_at = '2020-01-01T00:00:00.000000Z'")
    login(world, "alice")
    assert world.audit("credential.revoke") == []


def ahead() -> str:
    """The time by a clock that was more than a year ahead, and was set right since."""
    return instant_text(datetime.now(UTC) + timedelta(days=400))


def test_what_was_minted_while_the_clock_was_ahead_ends_with_its_correction(world: World) -> None:
    session, token = world.caller("alice"), world.caller("alice", kind="token")
    form = {"body": f"token={world.mint('alice').secret}", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    portal = world.caller("portal", kind="token")
    world.execute(
        f"UPDATE tokens SET created_at = '{ahead()}', expires_at = '2099-01-01T00:00:00.000000Z'"
        " WHERE user_id = (SELECT id FROM users WHERE name = 'alice')"
    )
    session("GET", "/me", 401)
    token("POST", "/decisions", 401, json={"issuer": "tls"})
    assert portal("POST", "/introspect", 200, **form) == {"active": False}
    world.execute(f"UPDATE tokens SET created_at = '{just_now()}'")  # by another machine, a little ahead
    session("GET", "/me", 200)


def test_a_use_while_the_clock_was_ahead_keeps_no_session_from_being_idle(world: World) -> None:
    alice = world.caller("alice")
    alice("GET", "/me", 200)
    world.service.uses.flush()
    later = instant_text(datetime.now(UTC) + timedelta(days=2))
    world.execute(f"UPDATE tokens SET last_used_at = '{later}', expires_at = '2099-01-01T00:00:00.000000Z'")
    alice("GET", "/me", 401)


def test_sessions_from_the_future_take_no_room(world: World) -> None:
    world.set_password("alice")
    for _ in range(sessions.MOST):
        world.mint("alice", "session")
    world.execute(f"UPDATE tokens SET created_at = '{ahead()}', expires_at = '2099-01-01T00:00:00.000000Z'")
    login(world, "alice")
    assert world.audit("credential.revoke") == []


def test_waits_that_began_while_the_clock_was_ahead_end_with_its_correction(world: World) -> None:
    world.set_password("alice")
    for _ in range(6):
        login(world, "alice", "wrong password entirely", 401)
    world.execute(f"UPDATE account_networks SET failures = 30, last_failed_at = '{ahead()}'")
    world.execute(f"UPDATE login_failures SET failures = 99, last_failed_at = '{ahead()}', next_login_at = '{ahead()}'")
    assert world.caller("root")("GET", "/users/alice", 200)["nextLoginAt"] is None
    login(world, "alice", "wrong password entirely", 401)  # the count goes on from there, with a true time
    assert world.service.reader.row("SELECT failures FROM account_networks") == (31,)
    login(world, "alice", code=429)
    world.execute("DELETE FROM login_failures")
    login(world, "alice", code=401)
    world.execute(f"UPDATE account_networks SET last_failed_at = '{ahead()}'")
    world.execute("DELETE FROM login_failures")
    login(world, "alice")


def test_a_network_is_not_known_by_a_login_from_the_future(world: World) -> None:
    world.set_password("alice")
    login(world, "alice")
    world.execute(f"UPDATE account_networks SET last_login_at = '{ahead()}', failures = 30, last_failed_at = '{just_now()}'")
    login(world, "alice", code=401)


def test_a_generated_password_from_the_future_has_expired(world: World) -> None:
    world.set_password("alice")
    world.execute(f"UPDATE account_states SET password_set_at = '{ahead()}', password_expires_at = '2099-01-01T00:00:00.000000Z'")
    login(world, "alice", code=401)
    assert world.audit("login.fail")[-1]["detail"]["reason"] == "password-expired"


def test_the_networks_of_the_newest_logins_are_known_and_no_more(world: World) -> None:
    world.set_password("alice")
    (number,) = world.service.reader.row("SELECT id FROM users WHERE name = 'alice'") or ()
    now = datetime.now(UTC)
    for each in range(account_failures.MOST_KNOWN + 10):
        seen = instant_text(now - timedelta(minutes=each + 1))
        world.execute(
            "INSERT INTO account_networks (account, network, user_id, last_login_at)"
            f" VALUES ('{number}', '2001:db8:0:{each:x}::/64', {number}, '{seen}')"
        )
    world.execute(f"INSERT INTO account_networks (account, network, failures) VALUES ('{number}', 'a stranger', 0)")
    login(world, "alice", address="2001:db8:1::1")
    rows = world.service.reader.rows("SELECT network FROM account_networks WHERE last_login_at IS NOT NULL")
    kept = {f"2001:db8:0:{each:x}::/64" for each in range(account_failures.MOST_KNOWN - 1)}
    assert {network for (network,) in rows} == {*kept, "2001:db8:1::/64"}


def test_a_login_is_judged_by_what_is_declared_when_it_is_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.set_password("bob")
    database, waits = world.service.database, threading.Event()
    answers: list[int] = []

    def try_it() -> None:
        sent = world.caller(address="10.20.3.4").send("POST", "/sessions", json={"username": "bob", "password": PASSWORD})
        answers.append(sent.status_code)

    thread = threading.Thread(target=try_it)
    with database.recording() as connection:
        recording = database.recording
        monkeypatch.setattr(database, "recording", lambda: waits.set() or recording())
        thread.start()
        assert waits.wait(LONG)  # what it reads before the wait has been read
        connection.exec_driver_sql("""UPDATE teams SET permitted_ips = '["203.0.113.0/24"]'""")
        raise_generation(connection, EVERYTHING)
    thread.join(LONG)
    assert answers == [401]
    assert world.audit("login.fail")[-1]["detail"]["reason"] == "address-not-permitted"


def own(caller: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller("GET", "/me/sessions", 200)
    return found


def test_own_sessions_are_listed_with_their_last_use_and_without_secrets(world: World) -> None:
    world.set_password("alice")
    first = world.mint("alice", "session")
    world.with_secret(first.secret, "10.20.1.7")("GET", "/me", 200)
    world.service.uses.flush()
    here = world.caller("alice", address="10.20.1.8", kind="session")
    world.caller("bob", kind="session")
    world.caller("alice", kind="token")
    listed = own(here)
    assert [(each["current"], each["lastUsedAddress"]) for each in listed] == [(False, "10.20.1.7"), (True, "10.20.1.8")]
    assert listed[0]["id"] == first.accessor and listed[0]["lastUsedAt"] >= listed[0]["createdAt"]
    assert set(listed[0]) == {"id", "createdAt", "expiresAt", "lastUsedAt", "lastUsedAddress", "current"}
    assert [each["current"] for each in own(world.caller("alice", kind="token"))] == [False, False]


def test_idle_expired_and_ended_sessions_are_not_listed(world: World) -> None:
    idle, expired, revoked = (world.mint("alice", "session").accessor for _ in range(3))
    world.execute(f"UPDATE tokens SET created_at = '2020-01-01T00:00:00.000000Z' WHERE accessor = '{idle}'")
    world.execute(f"UPDATE tokens SET expires_at = '2020-01-01T00:00:00.000000Z' WHERE accessor = '{expired}'")
    world.execute(f"UPDATE tokens SET revoked_at = created_at WHERE accessor = '{revoked}'")
    here = world.mint("alice", "session")
    assert [each["id"] for each in own(world.with_secret(here.secret))] == [here.accessor]


def test_one_of_the_own_sessions_is_ended_with_the_tokens_that_it_minted(world: World) -> None:
    other, here, bobs = world.mint("alice", "session"), world.caller("alice", kind="session"), world.mint("bob", "session")
    minted = world.with_secret(other.secret)("POST", "/me/tokens", 201, json={"name": "ci", "validFor": "1h"})
    here("DELETE", f"/me/sessions/{other.accessor}", 204)
    for secret in (other.secret, minted["token"]):
        world.with_secret(secret)("GET", "/me", 401)
    ended = {(entry["actor"], entry["detail"]["accessor"]) for entry in world.audit("credential.revoke")}
    assert ended == {("alice", other.accessor), ("alice", minted["id"])}
    here("DELETE", f"/me/sessions/{other.accessor}", 404)
    here("DELETE", f"/me/sessions/{bobs.accessor}", 404)
    here("DELETE", f"/me/sessions/{world.mint('alice', 'token').accessor}", 404)
    world.with_secret(bobs.secret)("GET", "/me", 200)


@pytest.mark.parametrize("one", [True, False])
def test_ending_ones_sessions_leaves_the_tokens_of_others_and_names_them(world: World, one: bool) -> None:
    other, here = world.mint("root", "session"), world.caller("root")
    minter = world.with_secret(other.secret)
    own_token = minter("POST", "/me/tokens", 201, json={"name": "ci", "validFor": "1h"})
    portals = minter("POST", "/users/portal/tokens", 201, json={"name": "portal", "validFor": "1h"})
    kept = here("POST", "/users/portal/tokens", 201, json={"name": "kept", "validFor": "1h"})
    here("DELETE", f"/me/sessions/{other.accessor}" if one else "/me/sessions", 204)
    world.with_secret(own_token["token"])("GET", "/me", 401)
    for each in (portals, kept):
        world.with_secret(each["token"])("GET", "/me", 200)
    first, second = [entry["detail"] for entry in world.audit("credential.revoke")]
    assert (first["accessor"], second["accessor"]) == (other.accessor, own_token["id"])
    assert first["mintedForOthers"] == [{"user": "portal", "token": portals["id"]}]
    assert "mintedForOthers" not in second


def test_all_other_sessions_are_ended_at_once(world: World) -> None:
    others, here = [world.mint("alice", "session") for _ in range(3)], world.caller("alice", kind="session")
    bob, token = world.caller("bob", kind="session"), world.caller("alice", kind="token")
    here("DELETE", "/me/sessions", 204)
    assert [world.with_secret(each.secret).send("GET", "/me").status_code for each in others] == [401] * 3
    assert [each["current"] for each in own(here)] == [True]
    bob("GET", "/me", 200)
    token("GET", "/me", 200)
    assert {entry["detail"]["accessor"] for entry in world.audit("credential.revoke")} == {each.accessor for each in others}
    here("DELETE", "/me/sessions", 204)
    assert len(world.audit("credential.revoke")) == 3
