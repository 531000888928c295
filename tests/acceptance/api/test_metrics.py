"""What is counted for Prometheus."""

from __future__ import annotations

import re

import pytest
from client import METRICS_TOKEN, PASSWORD, World
from test_sessions import login

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])


def figures(world: World) -> dict[str, float]:
    text = world.metrics()
    return {name: float(value) for name, value in re.findall(r"^(accord_\w+(?:{[^}]*})?) (\S+)$", text, re.MULTILINE)}


def test_decisions_are_counted_by_reason_at_every_endpoint(world: World) -> None:
    alice = world.caller("alice")
    for _ in range(2):
        alice("POST", "/decisions", 200, json={"issuer": "tls"})
    alice("POST", "/decisions", 200, json={"requests": [{"issuer": "tls"}, {"issuer": "vpn"}, {"issuer": "old"}]})
    alice("POST", "/decisions", 200, json={"issuer": "tls", "at": "2999-01-01T00:00:00Z"})
    alice("GET", "/auth", 200, params={"issuer": "vpn"})
    alice("GET", "/auth", 403, params={"issuer": "unheard-of"})
    alice("GET", "/auth", 200)
    counted = {name: value for name, value in figures(world).items() if name.startswith("accord_decisions_total")}
    assert counted == {
        'accord_decisions_total{reason="permitted",verdict="allow"}': 6,
        'accord_decisions_total{reason="issuer-disabled",verdict="deny"}': 1,
        'accord_decisions_total{reason="unknown-issuer",verdict="deny"}': 1,
    }


def test_refusals_are_counted_by_their_problem(world: World) -> None:
    alice = world.caller("alice")
    world.caller()("GET", "/me", 401)
    alice("GET", "/users", 403)
    alice("GET", "/nowhere", 404)
    alice("POST", "/decisions", 422, json={})
    counted = {name: value for name, value in figures(world).items() if name.startswith("accord_refusals_total")}
    assert counted == {
        f'accord_refusals_total{{problem="{name}"}}': 1 for name in ("unauthenticated", "forbidden", "not-found", "invalid")
    }


def test_logins_are_counted_by_outcome_although_the_answer_never_differs(world: World) -> None:
    for name in ("alice", "bob", "nobody"):
        world.set_password(name)
    world.caller("root")("PUT", "/users/nobody/disabled", 204)
    login(world, "alice")
    for name, password in (("alice", "wrong password entirely"), ("who", PASSWORD), ("nobody", PASSWORD), ("portal", PASSWORD)):
        login(world, name, password, 401)
    login(world, "bob", address="203.0.113.9", code=401)
    counted = {name: value for name, value in figures(world).items() if name.startswith("accord_logins_total")}
    assert counted == {'accord_logins_total{outcome="succeeded"}': 1, 'accord_logins_total{outcome="refused"}': 5}


def test_no_figure_tells_how_a_guess_went(world: World) -> None:
    """An unknown name, a wrong password, the right one while the account waits: whoever reads the figures sees one thing."""
    world.set_password("alice")

    def raised(name: str, password: str) -> set[str]:
        before = figures(world)
        login(world, name, password, 401)
        return {key for key, value in figures(world).items() if "_total" in key and value != before.get(key)}

    guesses = [("who", PASSWORD), *[("alice", "wrong password entirely")] * 5, ("alice", PASSWORD)]
    seen = [raised(*guess) for guess in guesses]
    assert all(each == seen[0] for each in seen), seen


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", "Basic x", "Bearer another long token", "Bearer \xff"])
def test_metrics_need_their_token(world: World, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    assert world.caller().send("GET", "/metrics", headers=headers).status_code == 401
    assert world.caller("root").send("GET", "/metrics").status_code == 401


def test_without_a_setting_metrics_are_served_to_nobody(world: World) -> None:
    world.service.settings = world.service.settings._replace(metrics_token="")
    for caller in (world.caller(), world.caller("root"), world.with_secret(METRICS_TOKEN), world.with_secret("")):
        assert caller.send("GET", "/metrics").status_code == 404
