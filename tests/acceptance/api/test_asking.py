"""What callers may ask, and what the errors tell them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from client import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])


def test_a_caller_that_may_decide_for_an_account_may_give_its_address(world: World) -> None:
    broker = world.caller("broker")
    asked = {"issuer": "tls", "subject": "bob"}
    assert broker("POST", "/decisions", 200, json={**asked, "address": "10.20.1.7"})["rule"] == "10.20.0.0/16"
    assert broker("POST", "/decisions", 200, json={**asked, "address": "10.21.1.7"})["reason"] == "address-not-permitted"
    assert broker("POST", "/decisions", 403, json={"issuer": "tls", "address": "10.20.1.7"})["reason"] == "may-not-decide-for"
    own = {"issuer": "tls", "subject": "broker", "address": "10.20.1.7"}
    assert broker("POST", "/decisions", 403, json=own)["reason"] == "may-not-decide-for"


@pytest.mark.parametrize(
    ("body", "said", "pointer"),
    [
        ({"isuer": "tls"}, "the body has the unknown property `isuer`; did you mean `issuer`?", None),
        ({}, "the body lacks `issuer`, or lacks `requests`", None),
        ([], "the body must be an object", None),
        ({"issuer": 3}, "the body: `issuer` must be text", "#/issuer"),
        ({"issuer": ""}, "the body: `issuer` must not be empty", "#/issuer"),
        ({"issuer": "x" * 65}, "the body: `issuer` may have at most 64 characters", "#/issuer"),
        (
            {"issuer": "tls", "subject": "Bob"},
            "the body: `subject` must be an account's name: up to 64 characters, …",
            "#/subject",
        ),
        ({"issuer": "tls", "at": "soon"}, "the body: `at` must be an instant (`date-time` of RFC 3339) such as …", "#/at"),
        (
            {"issuer": "tls", "address": "here"},
            "the body: `address` must be an IPv4 address, or must be an IPv6 address",
            "#/address",
        ),
        ({"requests": []}, "the body: `requests` must not be empty", "#/requests"),
        (
            {"requests": [{"issuer": "tls"}, {"issuer": "tls", "action": "steal"}]},
            "the body: item 2 of `requests`: `action` must be one of `request`, `revoke`, `view`",
            "#/requests/1/action",
        ),
        ({"requests": [{"issuer": "tls"}] * 7 + [{}] * 5}, "the body: item 8 of `requests` lacks `issuer`", "#/requests/7"),
        ({"requests": ["tls"]}, "the body: item 1 of `requests` must be an object", "#/requests/0"),
    ],
)
def test_errors_say_in_words_what_does_not_fit_and_where(world: World, body: Any, said: str, pointer: str | None) -> None:
    problem = world.caller("alice")("POST", "/decisions", 422, json=body)
    assert problem["detail"].startswith(said.rstrip("…"))
    assert problem.get("pointer") == pointer


@pytest.mark.parametrize("number", [1, 2])
def test_a_past_instant_is_refused_by_the_number_of_its_item(world: World, number: int) -> None:
    past, future = "2020-06-01T00:00:00Z", "2099-06-01T00:00:00Z"
    asked = [{"issuer": "tls", "at": past if each == number else future} for each in (1, 2)]
    detail = world.caller("alice")("POST", "/decisions", 422, json={"requests": asked})["detail"]
    assert detail == f"the body: item {number} of `requests`: `at` is in the past; leave it out to ask about now"


def test_a_clock_that_is_a_little_slow_asks_about_now(world: World) -> None:
    at = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    assert world.caller("alice")("POST", "/decisions", 200, json={"issuer": "tls", "at": at})["allow"] is True


@pytest.mark.parametrize(
    "body",
    [
        '{"issuer": "old", "issuer": "tls"}',
        '{"issuer": "tls", "\\u0069ssuer": "tls"}',
        '{"requests": [{"issuer": "tls"}, {"issuer": "a:b", "action": "view", "action": "view"}]}',
        '{"requests": [{"issuer": "old"}], "requests": [{"issuer": "tls"}]}',
        '{"issuer":"old" , "at": "2099-01-01T00:00:00Z","issuer" :"tls"}',
    ],
)
def test_a_body_with_a_name_twice_is_refused(world: World, body: str) -> None:
    answer = world.caller("portal").send("POST", "/decisions", body=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "twice in one object" in answer.json["detail"]


def test_colons_in_texts_repeat_nothing(world: World) -> None:
    asked = {"issuer": 'a:"b":c', "subject": "alice", "address": "2001:db8::1", "at": "2099-01-01T00:00:00Z"}
    assert world.caller("portal")("POST", "/decisions", 200, json={"requests": [asked] * 3})["decisions"][2]["allow"] is False


def test_a_token_request_without_an_expiry_is_told_both_ways_to_set_one(world: World) -> None:
    detail = world.caller("alice")("POST", "/me/tokens", 422, json={"name": "pipeline"})["detail"]
    assert "expiresAt" in detail and "validFor" in detail
