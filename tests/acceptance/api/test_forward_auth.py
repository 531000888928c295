"""What proxies ask before they let a request through: `/auth`, and, with the request's own method and path, the same behind a
prefix that names the issuer, as Envoy's `ext_authz` does."""

from __future__ import annotations

from typing import Any

import falcon
import pytest
from client import Caller, World
from scenario import team

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
    ("path", "reason"),
    [
        ("", "not-understood"),
        ("/", "not-understood"),
        ("/tls", "not-understood"),
        ("//x", "not-understood"),
        ("/tls*/x", "denied"),
        ("/TLS/x", "denied"),
        ("/tls%00/x", "not-understood"),
        ("/tls%20/x", "denied"),
        ("/tls%0a/x", "not-understood"),
        ("/../auth/x", "denied"),
        ("/x" + "y" * 100 + "/x", "not-understood"),
    ],
)
def test_a_request_that_names_no_issuer_lets_nobody_pass(world: World, path: str, reason: str) -> None:
    caller = world.caller("alice", issuers=["tls"])
    for method in ("GET", "OPTIONS"):
        result = caller.send(method, f"/auth/issuers{path}")
        assert (result.status_code, result.json["reason"]) == (403, reason)


LONG = "x" * 3_000
ODD_REQUESTS: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "/auth?isuer=tls", {}),
    ("GET", "/auth?issuer=tls&issuer=vpn", {}),
    ("GET", "/auth?issuer=", {}),
    ("GET", f"/auth?issuer={LONG}", {}),
    ("GET", "/auth?issuer=%00", {}),
    ("GET", "/auth?issuer=%ff", {}),
    ("GET", "/auth?issuer=%0a", {}),
    ("GET", "/auth?issuer=%ed%a0%80", {}),
    ("GET", "/auth?issuer=tls&teams=", {}),
    ("GET", f"/auth?issuer=tls&teams={LONG}", {}),
    ("GET", "/auth?%00", {}),
    ("GET", "/auth?issuer=nonsense", {}),
    ("GET", "/auth", {"X-Accord-Issuer": "tls, vpn"}),
    ("GET", "/auth", {"X-Accord-Issuer": LONG}),
    ("GET", "/auth", {"X-Accord-Issuer": "\xff\x00"}),
    ("GET", "/auth/", {}),
    ("GET", "/auth/nothing", {}),
    ("GET", "/auth/%00", {}),
    ("POST", "/auth?issuer=tls", {}),
    ("OPTIONS", "/auth?issuer=tls", {}),
    ("GET", "/auth?issuer=tls", {"Forwarded": "for=192.0.2.9", "X-Forwarded-For": "203.0.113.7"}),
    ("GET", "/auth?issuer=tls", {"X-Forwarded-For": LONG}),
    ("GET", "/auth?issuer=tls", {"Forwarded": LONG}),
    ("GET", "/auth/issuers/tls/x", {"Forwarded": "for=192.0.2.9", "X-Forwarded-For": "203.0.113.7"}),
    ("FETCH", "/auth?issuer=tls", {}),
]


@pytest.mark.parametrize(("method", "path", "headers"), ODD_REQUESTS)
def test_whatever_is_asked_the_answer_is_a_verdict(world: World, method: str, path: str, headers: dict[str, str]) -> None:
    path, _, query = path.partition("?")
    for caller, verdicts in ((world.caller("alice", "192.0.2.7"), {403}), (world.caller(address="192.0.2.7"), {401, 403})):
        result = caller.send(method, path, query_string=query, headers=headers)
        assert result.status_code in verdicts
        assert "x-accord-user" not in result.headers


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "Basic YWxpY2U6eA==",
        "Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc",
        'Digest username="alice", realm="x", nonce="y", uri="/", response="z"',
        "AWS4-HMAC-SHA256 Credential=AKIA/20261125/eu/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=00",
        'OAuth oauth_consumer_key="a", oauth_nonce="b"',
        "Bearer gr\xc3\xbc\xc3\x9fe",
        "Negotiate " + "YII" * 2_400,
        ",",
        "Bearer " + "accord_" * 1_000,
    ],
    ids=lambda credential: credential[:10],
)
@pytest.mark.parametrize("path", ["/auth", "/auth/issuers/tls/x", "/me"])
def test_a_credential_of_another_kind_is_challenged(world: World, path: str, credential: str) -> None:
    result = world.with_secret(None, Authorization=credential).send("GET", path)
    assert (result.status_code, result.headers["www-authenticate"]) == (401, 'Bearer realm="accord"')


def test_all_teams_of_a_caller_are_named_or_none(world: World) -> None:
    def header(**query: str) -> tuple[str, str]:
        result = alice.send("GET", "/auth", params={"issuer": "tls", **query}, params_csv=True)
        assert result.status_code == 200
        return result.headers["x-accord-teams"], result.headers["x-accord-teams-omitted"]

    alice = world.caller("alice")
    names = [f"certificates-of-customer-{number:03}-production" for number in range(120)]
    some = names[:40]
    world.apply({f"teams/{name}.yaml": team(name, members=["alice"]) for name in some})
    assert header() == (",".join([*some, "web"]), "0")
    world.apply({f"teams/{name}.yaml": team(name, members=["alice"]) for name in names})
    assert header() == ("", "121")
    assert header(teams=f"{names[7]},web,office,nonsense,") == (f"{names[7]},web", "0")
    assert header(teams="office") == ("", "0")


def test_a_decision_for_a_proxy_is_counted(world: World) -> None:
    asked(world.caller("alice"), "/tls/x", "PUT")
    asked(world.caller("alice"), "/old/x", "DELETE")
    figures = world.metrics()
    assert 'accord_decisions_total{reason="permitted",verdict="allow"} 1.0' in figures
    assert 'accord_decisions_total{reason="issuer-disabled",verdict="deny"} 1.0' in figures
