"""What callers may ask, and what the errors tell them."""

from __future__ import annotations

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
    ("body", "said"),
    [
        ({"isuer": "tls"}, "the body does not fit its schema: Additional properties are not allowed ('isuer' was unexpected)"),
        ({"issuer": 3}, "the body at issuer does not fit its schema: `type` is string"),
        ({"issuer": ""}, "the body at issuer does not fit its schema: `minLength` is 1"),
        ({"issuer": "tls", "subject": "Bob"}, "the body at subject does not fit its schema: `pattern` is ^[a-z0-9]"),
        (
            {"requests": [{"issuer": "tls"}, {"issuer": "tls", "action": "steal"}]},
            "action does not fit its schema: `enum` is request, revoke, view",
        ),
        ({"requests": []}, "the body at requests does not fit its schema: `minItems` is 1"),
    ],
)
def test_errors_name_what_does_not_fit(world: World, body: dict[str, Any], said: str) -> None:
    assert said in world.caller("alice")("POST", "/decisions", 422, json=body)["detail"]


def test_a_token_request_without_an_expiry_is_told_both_ways_to_set_one(world: World) -> None:
    detail = world.caller("alice")("POST", "/me/tokens", 422, json={"name": "pipeline"})["detail"]
    assert "expiresAt" in detail and "validFor" in detail
