"""What is left of a call that was refused: a line in the log, and, for accounts, an entry in the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from client import PASSWORD, World
from served import serving
from test_sessions import just_now, login
from waiting import until

from api.authentication.refusals import MOST_KEPT, Refusals

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])
SECRET = "accord_" + "A" * 49


def test_every_refusal_leaves_a_line_with_actor_address_and_operation(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.set_password("alice")
    alice = world.caller("alice", "203.0.113.5")
    revoked = world.mint("alice").secret
    world.execute("UPDATE tokens SET revoked_at = '2026-01-01T00:00:00.000000Z' WHERE id = (SELECT max(id) FROM tokens)")
    caplog.clear()
    alice("GET", "/users/root", 403)
    alice("POST", "/decisions", 403, json={"issuer": "tls", "subject": "bob"})
    alice("GET", "/auth", 403, params={"issuer": "unheard-of"})
    world.with_secret(SECRET, "203.0.113.6")("GET", "/me", 401)
    world.with_secret(revoked, "203.0.113.7")("GET", "/me", 401)
    login(world, PASSWORD, PASSWORD, 401, address="203.0.113.8")
    login(world, "alice", "wrong password entirely", 401, address="203.0.113.9")
    assert [line.removeprefix("refused with ") for line in caplog.messages if line.startswith("refused")] == [
        "403: alice at 203.0.113.5, GET /api/v1/users/{name}: not-administrator",
        "403: alice at 203.0.113.5, POST /api/v1/decisions: may-not-decide-for",
        "403: alice at 203.0.113.5, GET /api/v1/auth: denied",
        "401: - at 203.0.113.6, GET /api/v1/me: unauthenticated",
        "401: alice at 203.0.113.7, GET /api/v1/me: revoked",
        "401: - at 203.0.113.8, POST /api/v1/sessions: unknown-account",
        "401: alice at 203.0.113.9, POST /api/v1/sessions: wrong-password",
    ]
    assert not any(secret in caplog.text for secret in (PASSWORD, SECRET, revoked))


def test_a_refusal_leaves_a_line_even_if_no_operation_or_no_address_was_found(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    world.caller("alice", "203.0.113.5")("GET", "/auth/somewhere", 403)
    contradicting = {"Forwarded": "for=203.0.113.5", "X-Forwarded-For": "203.0.113.6"}
    world.caller("alice", "192.0.2.1")("GET", "/auth", 403, headers=contradicting)
    assert [line.removeprefix("refused with ") for line in caplog.messages if line.startswith("refused")] == [
        "403: - at 203.0.113.5, GET no operation: not-understood",
        "403: - at unknown, GET /api/v1/auth: not-understood",
    ]


def test_calls_that_an_account_may_not_make_are_counted_in_the_audit_log(world: World) -> None:
    alice = world.caller("alice", "203.0.113.5")
    for path in ("/users", "/users/root", "/audit"):
        alice("GET", path, 403)
    alice("POST", "/decisions", 403, json={"issuer": "tls", "subject": "bob"})
    alice("GET", "/auth", 403, params={"issuer": "unheard-of"})  # a decision
    world.caller()("GET", "/users", 401)
    (counted,) = world.refusals("call.refuse")
    assert (counted["actor"], counted["count"], counted["addresses"]) == ("alice", 4, {"203.0.113.5": 4})
    assert counted["reasons"] == {"not-administrator": 3, "may-not-decide-for": 1}
    assert world.refusals("call.refuse") == [counted]
    assert world.accord("audit", "verify")


def test_names_without_an_account_are_counted_together(world: World) -> None:
    for number in range(12):
        login(world, f"nobody-{number}", PASSWORD, 401, address=f"2001:db8:{number}::1")
    assert world.audit("login.fail") == []
    (counted,) = world.refusals()
    assert (counted["actor"], counted["count"], counted["reasons"]) == ("", 12, {"unknown-account": 12})
    assert len(counted["addresses"]) == 6
    assert sum(counted["addresses"].values()) == 12


def test_a_flood_on_one_name_is_counted_too(world: World) -> None:
    world.set_password("alice")
    world.execute(
        "INSERT INTO account_networks (account, network, failures, last_failed_at)"
        f" SELECT CAST(id AS TEXT), '203.0.113.250', 999, '{just_now()}' FROM users"
    )
    for _ in range(8):
        login(world, "alice", PASSWORD, 401, address="203.0.113.9")
    assert world.audit("login.fail") == []
    (counted,) = world.refusals()
    assert (counted["actor"], counted["count"], counted["reasons"]) == ("alice", 8, {"too-many-failures": 8})


def test_what_is_remembered_is_bounded_and_nothing_is_lost(world: World) -> None:
    refusals = Refusals(world.service.database)
    now = datetime.now(UTC)
    for number in range(3 * MOST_KEPT):
        refusals.count("call.refuse", f"account-{number}", "narrowed", "::1", now)
        refusals.count("login.refuse", "", "unknown-account", f"2001:db8::{number:x}", now + timedelta(seconds=number))
    assert len(refusals._counted) <= MOST_KEPT + 2
    refusals.flush()
    assert sum(entry["count"] for entry in world.refusals("call.refuse")) == 3 * MOST_KEPT
    (counted,) = world.refusals("login.refuse")
    assert counted["count"] == sum(counted["addresses"].values()) == 3 * MOST_KEPT


def test_what_cannot_be_written_now_is_kept(world: World, caplog: pytest.LogCaptureFixture) -> None:
    alice = world.caller("alice")
    alice("GET", "/users", 403)
    world.execute("ALTER TABLE audit RENAME TO elsewhere")
    world.service.refusals.flush()
    world.execute("ALTER TABLE elsewhere RENAME TO audit")
    assert "could not be recorded yet" in caplog.text
    alice("GET", "/users", 403)
    (counted,) = world.refusals("call.refuse")
    assert counted["count"] == 2


@pytest.mark.slow
def test_a_server_writes_the_first_refusal_at_once_and_the_others_when_it_stops(world: World, tmp_path: Path) -> None:
    secret = world.mint("alice").secret
    with serving(world.url, tmp_path) as server:
        assert server.call("GET", "/api/v1/users", secret).status == 403
        until(lambda: len(world.audit("call.refuse")) == 1, "the first entry")
        for _ in range(3):
            assert server.call("GET", "/api/v1/users", secret).status == 403
        assert server.stop() == 0
        assert b"refused with 403: alice at 127.0.0.1, GET /api/v1/users: not-administrator" in server.log.read_bytes()
    assert [entry["detail"]["count"] for entry in world.audit("call.refuse")] == [1, 3]
