"""Whether the service is alive and ready, and what it counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import falcon.testing
import pytest
from client import PASSWORD, World

from reconciler.store.schema import HEAD
from reconciler.store.tables import instant_text


def metrics(world: World) -> dict[str, float]:
    lines = world.metrics().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


def test_the_service_is_alive_and_ready(world: World) -> None:
    nobody = world.caller()
    assert nobody("GET", "/healthz", 200) == {"status": "ok"}
    assert nobody("GET", "/readyz", 200) == {"status": "ready"}


def test_the_service_is_not_ready_if_the_tables_have_another_version(world: World) -> None:
    world.execute("UPDATE alembic_version SET version_num = '9999'")
    detail = world.caller()("GET", "/readyz", 503)["detail"]
    assert "another version" in detail
    assert not {"9999", HEAD} & set(detail.split())
    world.caller()("GET", "/healthz", 200)


def test_the_service_is_not_ready_before_a_revision_is_applied(world: World) -> None:
    world.execute("UPDATE users SET revision_id = NULL")
    world.execute("UPDATE teams SET revision_id = NULL")
    world.execute("UPDATE issuers SET revision_id = NULL")
    world.execute("DELETE FROM revisions")
    assert "no revision" in world.caller()("GET", "/readyz", 503)["detail"]


def test_the_generation_and_the_revisions_age_are_shown(world: World) -> None:
    world.execute(f"UPDATE revisions SET applied_at = '{instant_text(datetime.now(UTC) - timedelta(hours=1))}'")
    before = metrics(world)
    world.caller("root")("PUT", "/users/alice/disabled", 204)
    after = metrics(world)
    assert after["accord_generation"] == before["accord_generation"] + 1
    assert 3600 <= before["accord_revision_age_seconds"] <= after["accord_revision_age_seconds"] < 7200


def test_logins_are_counted_by_outcome(world: World) -> None:
    world.set_password("alice")
    for password, code in ((PASSWORD, 201), ("wrong password entirely", 401), ("wrong password entirely", 401)):
        world.caller()("POST", "/sessions", code, json={"username": "alice", "password": password})
    found = metrics(world)
    assert found['accord_logins_total{outcome="succeeded"}'] == 1
    assert sum(value for name, value in found.items() if name.startswith("accord_logins_total")) == 3


def test_requests_are_counted_by_operation_and_not_by_invented_paths(world: World) -> None:
    nobody = world.caller()
    for number in range(5):
        nobody.send("GET", f"/made-up-{number}")
        made_up = {**falcon.testing.create_environ("/healthz"), "REQUEST_METHOD": f"X{number}"}
        list(world.app(made_up, lambda status, headers: None))
    nobody.send("GET", "/me")
    names = [name for name in metrics(world) if name.startswith("accord_request_seconds_count")]
    assert 'accord_request_seconds_count{operation="GET /api/v1/me",status="401"}' in names
    assert not [name for name in names if "made-up" in name or "X1" in name]
    assert len(names) <= 4


def test_no_metric_and_no_document_holds_a_secret(world: World) -> None:
    secret = world.mint("alice").secret
    world.with_secret(secret)("GET", "/me", 200)
    assert secret not in world.metrics()


@pytest.mark.parametrize("given", ["abc-1.2_3", "x" * 64])
def test_a_request_keeps_the_id_it_came_with(world: World, given: str) -> None:
    assert world.caller().send("GET", "/healthz", headers={"X-Request-Id": given}).headers["x-request-id"] == given
    problem = world.caller().send("GET", "/me", headers={"X-Request-Id": given})
    assert problem.json["requestId"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "ä", "<script>"])
def test_an_invalid_request_id_is_replaced(world: World, given: str) -> None:
    one, other = (world.caller().send("GET", "/healthz", headers={"X-Request-Id": given}).headers["x-request-id"] for _ in "12")
    assert given != one != other
