"""Decisions: may this caller, or that account, use that issuer, from this address, now? And what proxies and applications ask."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from client import Caller, World
from scenario import issuer, team, user

from api.http.checking import FORM


def decide(caller: Caller, code: int = 200, **question: Any) -> Any:
    return caller("POST", "/decisions", code, json=question)


def introspect(caller: Caller, token: str, code: int = 200, **more: str) -> Any:
    body = urlencode({"token": token, **more})
    return caller("POST", "/introspect", code, body=body, headers={"Content-Type": FORM})


def text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_an_answer_gives_its_reason_path_and_revision(world: World) -> None:
    until = text(datetime.now(UTC) + timedelta(days=1))
    commit = world.apply(
        {
            "teams/web.yaml": team(
                "web", members=[{"user": "alice", "until": "2999-01-01"}], issuers=[{"issuer": "tls", "until": until}, "vpn"]
            )
        }
    )
    decided = decide(world.caller("alice"), issuer="tls")
    assert (decided["allow"], decided["reason"], decided["subject"], decided["action"]) == (True, "permitted", "alice", "request")
    assert decided["path"] == {
        "team": "web",
        "adGroup": None,
        "membershipUntil": "2999-01-02T00:00:00Z",
        "permissionUntil": until,
        "until": until,
    }
    assert decided["rule"] is None
    assert decided["revision"]["commit"] == commit


@pytest.mark.parametrize(
    ("name", "issuer", "reason"),
    [
        ("alice", "tls", "permitted"),
        ("alice", "old", "issuer-disabled"),
        ("alice", "nonsense", "unknown-issuer"),
        ("alice", "TLS", "unknown-issuer"),
        ("alice", "Public TLS", "unknown-issuer"),
        ("nobody", "tls", "no-team"),
        ("root", "tls", "no-permission"),
        ("broker", "tls", "no-permission"),
    ],
)
def test_each_reason_is_given(world: World, name: str, issuer: str, reason: str) -> None:
    decided = decide(world.caller(name), issuer=issuer)
    assert (decided["allow"], decided["reason"]) == (reason == "permitted", reason)


@pytest.mark.parametrize("action", ["request", "revoke", "view"])
def test_each_action_needs_the_same_permission(world: World, action: str) -> None:
    assert decide(world.caller("alice"), issuer="tls", action=action)["allow"] is True
    assert decide(world.caller("nobody"), issuer="tls", action=action)["allow"] is False
    decide(world.caller("alice"), 422, issuer="tls", action="steal")


def test_an_answer_names_the_rule_that_permitted_the_address(world: World) -> None:
    assert decide(world.caller("bob", "10.20.3.4"), issuer="tls")["rule"] == "10.20.0.0/16"
    assert decide(world.caller("bob", "local"), issuer="tls")["rule"] == "local"
    decide(world.caller("bob", "127.0.0.1"), 403, issuer="tls")


def test_only_a_trusted_proxy_is_believed_about_an_address(world: World) -> None:
    secret = world.mint("bob").secret
    told = {"X-Forwarded-For": "10.20.3.4"}
    assert decide(world.with_secret(secret, "192.0.2.7", **told), issuer="tls")["allow"] is True
    for peer in ("198.51.100.7", "127.0.0.1", "10.21.0.1"):
        decide(world.with_secret(secret, peer, **told), 403, issuer="tls")
    decide(world.with_secret(secret, "192.0.2.7", **{"X-Forwarded-For": "10.20.3.4, 203.0.113.7"}), 403, issuer="tls")
    decide(world.with_secret(secret, "192.0.2.7", **{"Forwarded": "for=10.20.3.4", **told}), 200, issuer="tls")
    decide(world.with_secret(secret, "192.0.2.7", **{"Forwarded": "for=203.0.113.7", **told}), 400, issuer="tls")


def test_a_batch_is_answered_completely_and_in_order(world: World) -> None:
    asked = [{"issuer": name} for name in ("tls", "old", "vpn", "tls")]
    batch = world.caller("alice")("POST", "/decisions", 200, json={"requests": asked})["decisions"]
    assert [(each["issuer"], each["allow"]) for each in batch] == [("tls", True), ("old", False), ("vpn", True), ("tls", True)]
    one_is_forbidden = [{"issuer": "tls"}, {"issuer": "tls", "subject": "bob"}]
    world.caller("alice")("POST", "/decisions", 403, json={"requests": one_is_forbidden})


def test_a_batch_has_at_most_a_thousand_requests(world: World) -> None:
    portal = world.caller("portal")
    ask = {"issuer": "tls", "subject": "alice", "address": "10.20.1.1"}
    answered = portal("POST", "/decisions", 200, json={"requests": [ask] * 1000})["decisions"]
    assert (len(answered), {each["allow"] for each in answered}) == (1000, {True})
    portal("POST", "/decisions", 422, json={"requests": [ask] * 1001})
    portal("POST", "/decisions", 422, json={"requests": []})
    portal("POST", "/decisions", 422, json={"requests": [ask], "issuer": "tls"})


def test_a_future_instant_is_decided_by_what_will_hold_then(world: World) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    world.apply({"teams/web.yaml": team("web", members=["alice", {"user": "bob", "until": text(ends)}], issuers=["tls"])})
    world.apply({"teams/office.yaml": team("office", members=[], issuers=["tls"])})
    bob = world.caller("bob")
    assert decide(bob, issuer="tls", at=text(ends - timedelta(seconds=1)))["allow"] is True
    later = decide(bob, issuer="tls", at=text(ends))
    assert (later["allow"], later["reason"]) == (False, "membership-ended")


def test_a_past_instant_revives_nothing(world: World) -> None:
    world.apply({"teams/web.yaml": team("web", members=[{"user": "alice", "until": "2020-01-01"}], issuers=["tls"])})
    decide(world.caller("alice"), 422, issuer="tls", at="2019-06-01T00:00:00Z")
    assert decide(world.caller("alice"), issuer="tls")["reason"] == "membership-ended"


@pytest.mark.parametrize("at", ["2026-12-31", "2026-12-31T23:59:60Z", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00Z", ""])
def test_an_invalid_instant_is_refused(world: World, at: str) -> None:
    decide(world.caller("alice"), 422, issuer="tls", at=at)


def test_a_membership_and_a_permission_end_by_themselves(world: World) -> None:
    alice = world.caller("alice")
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    world.apply({"teams/web.yaml": team("web", members=["alice"], issuers=["vpn", {"issuer": "tls", "until": text(soon)}])})
    while datetime.now(UTC) < soon:
        allowed = decide(alice, issuer="tls")["allow"]
        assert allowed or datetime.now(UTC) >= soon
    ended = decide(alice, issuer="tls")
    assert (ended["allow"], ended["reason"]) == (False, "permission-ended")
    assert [each["issuer"] for each in alice("GET", "/me/access", 200)] == ["vpn"]
    alice("GET", "/auth", 403, params={"issuer": "tls"})


def test_only_permitted_callers_decide_for_others(world: World) -> None:
    about = {"issuer": "tls", "address": "10.20.1.1"}
    for name in ("alice", "bob", "nobody", "root", "who"):
        expected = name in ("alice", "bob")
        for asker in ("portal", "root"):
            assert decide(world.caller(asker), subject=name, **about)["allow"] is expected
    assert decide(world.caller("broker"), subject="bob", **about)["allow"] is True
    for name in ("alice", "nobody", "root", "portal", "who"):
        assert decide(world.caller("broker"), 403, subject=name, **about)["reason"] == "may-not-decide-for"
    for asker in ("alice", "bob", "nobody"):
        for name in ("alice", "bob", "who"):
            decide(world.caller(asker), 403, subject=name, **about)
    assert decide(world.caller("alice"), subject="alice", issuer="tls")["allow"] is True


def test_a_person_in_a_deciding_team_decides_for_nobody_else(world: World) -> None:
    world.apply({"teams/deciders.yaml": team("deciders", members=["portal", "nobody"], mayDecideFor="everyone")})
    decide(world.caller("nobody"), 403, subject="alice", issuer="tls")
    assert decide(world.caller("portal"), subject="alice", issuer="tls")["allow"] is True


def test_the_right_to_decide_ends_with_the_membership_on_either_side(world: World) -> None:
    broker = world.caller("broker")
    gone = "2020-01-01T00:00:00Z"
    world.apply({"teams/office.yaml": team("office", members=[{"user": "bob", "until": gone}], issuers=["tls"])})
    decide(broker, 403, subject="bob", issuer="tls")
    world.apply({"teams/office.yaml": team("office", members=["bob"], issuers=["tls"])})
    decide(broker, 200, subject="bob", issuer="tls")
    world.apply({"teams/brokers.yaml": team("brokers", members=[{"user": "broker", "until": gone}], mayDecideFor=["office"])})
    decide(broker, 403, subject="bob", issuer="tls")


def test_without_the_subjects_address_no_restriction_is_satisfied(world: World) -> None:
    portal = world.caller("portal", "10.20.0.9")
    assert decide(portal, subject="bob", issuer="tls")["reason"] == "address-not-permitted"
    for address in ("127.0.0.1", "::1", "10.21.0.1"):
        assert decide(portal, subject="bob", issuer="tls", address=address)["allow"] is False
    for address in ("10.20.0.1", "::ffff:10.20.0.1"):
        assert decide(portal, subject="bob", issuer="tls", address=address)["allow"] is True


@pytest.mark.parametrize("address", ["", "x", "10.20.0.0/16", "10.20.0.1\u0000", "10.20.0.01", "fe80::1%eth0", " 10.20.0.1"])
def test_an_invalid_address_is_refused(world: World, address: str) -> None:
    decide(world.caller("portal"), 422, subject="bob", issuer="tls", address=address)


def test_a_disabled_subject_is_denied_whichever_source_disabled_it(world: World) -> None:
    portal, root = world.caller("portal"), world.caller("root")
    root("PUT", "/users/alice/disabled", 204)
    assert decide(portal, subject="alice", issuer="tls")["reason"] == "account-disabled"
    root("DELETE", "/users/alice/disabled", 204)
    assert decide(portal, subject="alice", issuer="tls")["allow"] is True
    world.apply({"users/alice.yaml": user("alice", enabled=False)})
    assert decide(portal, subject="alice", issuer="tls")["reason"] == "account-disabled"
    root("DELETE", "/users/alice/disabled", 204)
    assert decide(portal, subject="alice", issuer="tls")["reason"] == "account-disabled"


def test_an_issuer_that_git_disables_is_denied_to_everybody(world: World) -> None:
    alice = world.caller("alice")
    assert decide(alice, issuer="tls")["allow"] is True
    world.apply({"issuers/tls.yaml": issuer("tls", enabled=False)})
    assert decide(alice, issuer="tls")["reason"] == "issuer-disabled"
    assert [each["issuer"] for each in alice("GET", "/me/access", 200)] == ["vpn"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'"tls"', b"\xff", b'{"issuer":"\\ud800"}', b"[" * 60_000, b"1e999"])
def test_an_invalid_question_is_refused(world: World, body: bytes) -> None:
    answer = world.caller("alice").send("POST", "/decisions", body=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


def test_a_body_must_have_the_right_size_and_type(world: World) -> None:
    alice = world.caller("alice")
    alice("POST", "/decisions", 413, body=b" " * (256 * 1024 + 1), headers={"Content-Type": "application/json"})
    alice("POST", "/me/tokens", 413, body=b" " * (64 * 1024 + 1), headers={"Content-Type": "application/json"})
    for kind in (FORM, "text/plain", "application/jsonp", ""):
        alice("POST", "/decisions", 415, body=b'{"issuer": "tls"}', headers={"Content-Type": kind})


def test_introspection_describes_a_token_as_rfc_7662_says(world: World) -> None:
    minted = world.mint("bob", issuers=["tls"])
    told = introspect(world.caller("portal"), minted.secret)
    assert told.pop("iat") <= datetime.now(UTC).timestamp() <= told.pop("exp")
    assert told == {
        "active": True,
        "sub": "bob",
        "username": "bob",
        "token_type": "Bearer",
        "jti": minted.accessor,
        "teams": ["office", "web"],
        "issuers": ["tls"],
    }


def test_introspection_reveals_nothing_about_an_invalid_token(world: World) -> None:
    portal, root = world.caller("portal"), world.caller("root")
    revoked, expired = world.mint("alice"), world.mint("alice", lives=timedelta(seconds=-1))
    restricted = world.mint("alice", "session", password_change_required=True)
    root("DELETE", f"/users/alice/tokens/{revoked.accessor}", 204)
    typo = revoked.secret[:-1] + ("0" if revoked.secret[-1] != "0" else "1")
    for secret in (revoked.secret, expired.secret, restricted.secret, typo, "accord_x", "x"):
        assert introspect(portal, secret) == {"active": False}
    disabled = world.mint("alice")
    assert introspect(portal, disabled.secret)["active"] is True
    world.apply({"users/alice.yaml": user("alice", enabled=False)})
    assert introspect(portal, disabled.secret) == {"active": False}


def test_introspection_judges_an_address_if_one_is_given(world: World) -> None:
    portal, broker = world.caller("portal"), world.caller("broker")
    bobs = world.mint("bob").secret
    narrowed = world.mint("bob", permitted_ips=["10.20.7.0/24"]).secret
    free = world.mint("alice", permitted_ips=["2001:db8::/32"]).secret
    asked = {
        (name, address): introspect(asker, secret, address=address)["active"]
        for name, asker, secret, addresses in (
            ("bob's", portal, bobs, ("10.20.1.7", "10.21.1.7", "::ffff:10.20.1.7", "127.0.0.1")),
            ("bob's narrowed", broker, narrowed, ("10.20.7.1", "10.20.1.7")),
            ("alice's", portal, free, ("2001:db8::1", "2001:db9::1", "10.20.1.7")),
            ("alice's, not the broker's to ask about", broker, free, ("2001:db8::1",)),
        )
        for address in addresses
    }
    assert [key for key, active in asked.items() if active] == [
        ("bob's", "10.20.1.7"),
        ("bob's", "::ffff:10.20.1.7"),
        ("bob's narrowed", "10.20.7.1"),
        ("alice's", "2001:db8::1"),
    ]
    assert introspect(portal, bobs)["active"] is True  # which says nothing of addresses
    introspect(portal, bobs, 422, address="somewhere")
    introspect(portal, bobs, 422, address="")


def test_a_tokens_owner_cannot_probe_addresses_with_it(world: World) -> None:
    alice = world.mint("alice").secret
    assert introspect(world.with_secret(alice), alice)["active"] is True
    assert introspect(world.with_secret(alice), alice, address="10.20.1.7") == {"active": False}
    roots = world.mint("root").secret
    assert introspect(world.with_secret(roots), roots, address="10.20.1.7")["active"] is True


def test_introspection_hides_tokens_that_the_caller_may_not_decide_for(world: World) -> None:
    alices, bobs = world.mint("alice").secret, world.mint("bob").secret
    active = {
        asker: [introspect(world.caller(asker), secret)["active"] for secret in (alices, bobs)]
        for asker in ("alice", "bob", "broker", "portal", "root", "nobody")
    }
    assert active == {
        "alice": [True, False],
        "bob": [False, True],
        "broker": [False, True],
        "portal": [True, True],
        "root": [True, True],
        "nobody": [False, False],
    }


@pytest.mark.parametrize(
    "body", ["", "token", "token=", "token=a&token=b", "token=%00", "token=%ff", "token=a&x=b", "tok\u00e9n=a"]
)
def test_an_invalid_introspection_form_is_refused(world: World, body: str) -> None:
    answer = world.caller("portal").send("POST", "/introspect", body=body.encode(), headers={"Content-Type": FORM})
    assert answer.status_code in (400, 422)


def test_a_proxy_learns_who_is_calling(world: World) -> None:
    answer = world.caller("bob").send("GET", "/auth")
    assert (answer.status_code, answer.headers["x-accord-user"], answer.headers["x-accord-teams"]) == (200, "bob", "office,web")
    assert world.caller().send("GET", "/auth").status_code == 401


@pytest.mark.parametrize(
    ("query", "header", "status"),
    [
        ({"issuer": "tls"}, None, 200),
        ({}, "tls", 200),
        ({"issuer": "old"}, None, 403),
        ({}, "old", 403),
        ({"issuer": "old"}, "tls", 403),
        ({"issuer": ["tls", "old"]}, None, 403),
        ({"issuer": ""}, None, 403),
        ({"isuer": "tls"}, None, 403),
        ({}, "", 403),
        ({}, "tls, vpn", 403),
    ],
)
def test_a_proxy_may_name_an_issuer(world: World, query: dict[str, Any], header: str | None, status: int) -> None:
    headers = {} if header is None else {"X-Accord-Issuer": header}
    alice = world.caller("alice")
    answer = alice.send("GET", "/auth", params=query, params_csv=False, headers=headers)
    assert answer.status_code == status
    assert ("x-accord-user" in answer.headers) is (status == 200)
