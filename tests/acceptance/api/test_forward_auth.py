"""What proxies ask before they let a request through: `/auth`, and, with the request's own method and path, the same behind a
prefix that names the issuer, as Envoy's `ext_authz` does."""

from __future__ import annotations

from typing import Any

import falcon
import pytest
from client import Caller, World

pytestmark = [
    pytest.mark.parametrize("database_kind", ["sqlite"]),
    pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD"),  # the test client's; WebDAV's, and others
]
METHODS = sorted(set(falcon.COMBINED_METHODS) - {"WEBSOCKET"})


def asked(caller: Caller, path: str, method: str = "GET", **more: Any) -> tuple[int, str | None]:
    """The status, and who passes."""
    result = caller.send(method, f"/auth/issuers{path}", **more)
    return result.status_code, result.headers.get("x-accord-user")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_decided_and_none_passes_by_default(world: World, method: str) -> None:
    assert asked(world.caller("alice"), "/tls/certificates/7", method) == (200, "alice")
    assert asked(world.caller("alice"), "/old/certificates/7", method) == (403, None)
    assert asked(world.caller("nobody"), "/tls/certificates/7", method) == (403, None)
    assert asked(world.caller(), "/tls/certificates/7", method) == (401, None)
    assert asked(world.caller("bob", "10.21.0.1"), "/tls/certificates/7", method) == (403, None)


@pytest.mark.parametrize("path", ["/auth", "/auth/issuers/tls/"])
def test_an_answer_names_the_caller_and_has_no_body(world: World, path: str) -> None:
    result = world.caller("alice").send("GET", path)
    assert (result.status_code, result.text) == (200, "")
    assert (result.headers["x-accord-user"], result.headers["x-accord-teams"]) == ("alice", "web")
    assert result.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "certificates/7",
        "/certificates",
        "../vpn/new",
        "../../vpn/",
        "..//../issuers/vpn/x",
        "%2e%2e/vpn/new",
        "..%2fvpn%2fnew",
        "..%5cvpn",
        "//vpn/x",
        "/api/v1/auth/issuers/vpn/x",
        "http://accord/api/v1/auth/issuers/vpn/x",
        ";issuer=vpn",
        "%3fissuer=vpn",
        "%23x",
        "%25%32%66",
        "%ff%fe",
        "a b",
        "ü/€",
        "x" * 8_000,
    ],
)
def test_nothing_after_the_issuer_changes_it(world: World, rest: str) -> None:
    caller = world.caller("alice", issuers=["tls"])
    for method in ("GET", "OPTIONS", "POST"):
        assert asked(caller, f"/tls/{rest}", method) == (200, "alice")
        assert asked(caller, f"/vpn/{rest.replace('vpn', 'tls')}", method) == (403, None)


@pytest.mark.parametrize("query", ["issuer=vpn", "issuer=tls&issuer=vpn", "x=%ff", "&&=", "issuer", "a" * 4_000, "=vpn", "%3f"])
def test_no_query_header_or_body_changes_the_issuer(world: World, query: str) -> None:
    caller = world.caller("alice", issuers=["tls"])
    more: dict[str, Any] = {
        "headers": {"X-Accord-Issuer": "vpn", "Content-Type": "application/json"},
        "body": '{"issuer": "vpn"}',
    }
    assert asked(caller, "/tls/certificates", "POST", query_string=query, **more) == (200, "alice")
    more = {"headers": {"X-Accord-Issuer": "tls", "Content-Type": "application/json"}, "body": '{"issuer": "tls"}'}
    assert asked(caller, "/vpn/certificates", "POST", query_string=query.replace("vpn", "tls"), **more) == (403, None)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 404),
        ("/", 404),
        ("/tls", 404),
        ("//x", 422),
        ("/tls*/x", 403),
        ("/TLS/x", 403),
        ("/tls%00/x", 400),
        ("/tls%20/x", 403),
        ("/tls%0a/x", 422),
        ("/../auth/x", 403),
        ("/x" + "y" * 100 + "/x", 422),
    ],
)
def test_a_request_that_names_no_issuer_lets_nobody_pass(world: World, path: str, status: int) -> None:
    for method in ("GET", "OPTIONS"):
        assert asked(world.caller("alice", issuers=["tls"]), path, method)[0] == status


def test_a_decision_for_a_proxy_is_counted(world: World) -> None:
    asked(world.caller("alice"), "/tls/x", "PUT")
    asked(world.caller("alice"), "/old/x", "DELETE")
    figures = world.metrics()
    assert 'accord_decisions_total{reason="permitted",verdict="allow"} 1.0' in figures
    assert 'accord_decisions_total{reason="issuer-disabled",verdict="deny"} 1.0' in figures
