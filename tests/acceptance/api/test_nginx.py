"""docs/nginx.conf with a real nginx: it asks Accord before it lets a request through, and callers cannot trick it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from client import PASSWORD, World
from proxied import a_proxy, an_application, request, values
from scenario import team
from served import TOP, Server, free_port, serving

pytestmark = pytest.mark.slow
NGINX = shutil.which("nginx")
_AROUND = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log info;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{site}
}}
"""


class Site(NamedTuple):
    """nginx, Accord behind it, and the application."""

    world: World
    accord: Server
    accord_port: int
    application_port: int

    def get(self, path: str, secret: str | None = None, address: str = "127.0.0.1", *more: tuple[str, str]) -> tuple[int, Any]:
        """The status, and what the application got, if it got anything."""
        headers = [*more] if secret is None else [("Authorization", f"Bearer {secret}"), *more]
        status, body = request(self.application_port, "GET", path, headers, address)
        return status, json.loads(body) if status == 200 else None


@pytest.fixture(scope="module")
def site(shared_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(shared_world, tmp_path_factory.mktemp("site")) as found:
        yield found


@contextmanager
def a_site(world: World, folder: Path) -> Iterator[Site]:
    if NGINX is None:
        reason = "nginx is not installed (Debian: apt-get install nginx-light); docs/nginx.conf is not tested"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    world.apply({"teams/web.yaml": team("web", members=["alice"], issuers=["tls", "vpn"], permittedIPs=["127.0.0.5"])})
    ports = [free_port(), free_port()]
    with an_application() as application, serving(world.url, folder, ACCORD_TRUSTED_PROXIES="127.0.0.1") as accord:
        written = _configuration(accord.port, application, ports)
        (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, site=written))
        program = [NGINX, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]
        with a_proxy(program, ports, folder / "output.log"):
            yield Site(world, accord, *ports)


def _configuration(accord: int, application: int, ports: list[int]) -> str:
    """The documented configuration with this test's ports and without TLS."""
    text = (TOP / "docs" / "nginx.conf").read_text()
    for documented, here in (("127.0.0.1:8080", accord), ("127.0.0.1:9000", application)):
        text, count = re.subn(documented, f"127.0.0.1:{here}", text)
        assert count == 1
    left = iter(ports)
    text, count = re.subn(r"listen 443 ssl;", lambda _: f"listen 127.0.0.1:{next(left)};", text)
    assert count == 2
    return re.sub(r"^ *ssl_certificate.*\n", "", text, flags=re.MULTILINE)


def test_a_permitted_caller_passes_and_the_application_learns_its_name(site: Site) -> None:
    status, seen = site.get("/issuers/vpn/new?days=90", site.world.mint("alice").secret, "127.0.0.5")
    assert (status, seen["path"]) == (200, "/issuers/vpn/new?days=90")
    assert values(seen, "x-accord-user") == ["alice"]
    assert values(seen, "x-accord-teams") == ["web"]
    assert values(seen, "x-accord-issuer") == ["vpn"]
    assert values(seen, "authorization") == []


def test_callers_without_permission_or_credential_do_not_pass(site: Site) -> None:
    alice, nobody = site.world.mint("alice"), site.world.mint("nobody")
    assert site.get("/issuers/old/new", alice.secret, "127.0.0.5") == (403, None)
    assert site.get("/issuers/unheard-of/new", alice.secret, "127.0.0.5") == (403, None)
    assert site.get("/issuers/vpn/new", nobody.secret) == (403, None)
    assert site.get("/issuers/vpn/new") == (401, None)
    assert site.get("/issuers/vpn/new", "accord_nonsense") == (401, None)


def test_a_revoked_token_is_stopped_at_the_next_request(site: Site) -> None:
    alice = site.world.mint("alice")
    assert site.get("/issuers/vpn/new", alice.secret, "127.0.0.5")[0] == 200
    site.world.execute(f"UPDATE tokens SET revoked_at = '2020-01-01T00:00:00.000000Z' WHERE accessor = '{alice.accessor}'")
    assert site.get("/issuers/vpn/new", alice.secret, "127.0.0.5") == (401, None)


def test_the_address_rule_is_judged_by_the_address_that_nginx_sees(site: Site) -> None:
    alice = site.world.mint("alice")
    assert site.get("/issuers/vpn/new", alice.secret, "127.0.0.5")[0] == 200
    assert site.get("/issuers/vpn/new", alice.secret, "127.0.0.6") == (403, None)
    assert site.get("/issuers/vpn/new", alice.secret, "127.0.0.1") == (
        403,
        None,
    )  # not from this machine: it came through a proxy


@pytest.mark.parametrize(
    "forged",
    [
        ("X-Forwarded-For", "127.0.0.5"),
        ("Forwarded", "for=127.0.0.5"),
        ("X-Real-IP", "127.0.0.5"),
        ("X_Forwarded_For", "127.0.0.5"),
        ("X-Accord-Issuer", "vpn"),
    ],
    ids=lambda header: header[0],
)
def test_callers_cannot_forge_an_address_or_an_issuer(site: Site, forged: tuple[str, str]) -> None:
    alice = site.world.mint("alice")
    assert site.get("/issuers/vpn/new", alice.secret, "127.0.0.6", forged) == (403, None)
    assert site.get("/issuers/old/new", alice.secret, "127.0.0.5", forged) == (403, None)
    status, seen = site.get("/issuers/vpn/new", alice.secret, "127.0.0.5", forged, forged)
    assert status == 200
    assert values(seen, "x-forwarded-for") == ["127.0.0.5"]
    assert values(seen, "forwarded") == []
    assert values(seen, "x-accord-issuer") == ["vpn"]


def test_callers_cannot_forge_a_name(site: Site) -> None:
    forged = (("X-Accord-User", "root"), ("x-accord-user", "root"), ("X-Accord-Teams", "admins"), ("X_Accord_User", "root"))
    status, seen = site.get("/issuers/vpn/new", site.world.mint("alice").secret, "127.0.0.5", *forged)
    assert status == 200
    assert values(seen, "x-accord-user") == ["alice"]
    assert values(seen, "x-accord-teams") == ["web"]
    assert values(seen, "x_accord_user") == []
    assert site.get("/issuers/vpn/new", None, "127.0.0.5", *forged) == (401, None)


@pytest.mark.parametrize(
    ("path", "status", "got"),
    [
        ("/issuers/old/../vpn/new", 200, "/issuers/vpn/new"),
        ("/issuers/vpn/../old/new", 403, None),
        ("/issuers/vpn/%2e%2e/old/new", 403, None),
        ("/issuers/vpn/..%2fold/new", 403, None),
        ("//issuers//vpn/new", 200, "/issuers/vpn/new"),
        ("/issuers/vpn%26issuer=old/new", 404, None),
        ("/issuers/vpn%3Fissuer=old/new", 404, None),
        ("/issuers/vpn/a%0d%0aX-Accord-User:%20root", 404, None),
        ("/issuers/VPN/new", 404, None),
        ("/_accord", 404, None),
        ("/", 404, None),
    ],
)
def test_the_application_gets_the_path_that_was_requested(site: Site, path: str, status: int, got: str | None) -> None:
    found, seen = site.get(path, site.world.mint("alice").secret, "127.0.0.5")
    assert (found, seen and seen["path"]) == (status, got)


@pytest.mark.parametrize(
    "credential",
    [
        "Basic YWxpY2U6eA==",
        'Digest username="alice", realm="x", nonce="y", uri="/", response="z"',
        "AWS4-HMAC-SHA256 Credential=AKIA/eu/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=00",
        "Bearer gr\xc3\xbc\xc3\x9fe",
        "Negotiate " + "YII" * 2_400,
    ],
    ids=lambda credential: credential[:10],
)
def test_a_credential_of_another_kind_is_no_error_of_nginx(site: Site, credential: str) -> None:
    assert site.get("/issuers/vpn/new", None, "127.0.0.5", ("Authorization", credential)) == (401, None)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_member_of_many_teams_passes(world: World, tmp_path: Path) -> None:
    names = [f"certificates-of-customer-{number:04}-in-the-production-environment" for number in range(1_000)]
    with a_site(world, tmp_path) as site:
        world.apply({"teams/many.yaml": "\n---\n".join(json.dumps(team(name, members=["alice"])) for name in names)})
        alice = world.mint("alice").secret
        for _ in range(3):
            status, seen = site.get("/issuers/vpn/new", alice, "127.0.0.5", ("X-Accord-Teams", "admins"))
            assert (status, values(seen, "x-accord-user"), values(seen, "x-accord-teams-omitted")) == (200, ["alice"], ["1001"])
            assert values(seen, "x-accord-teams") in ([], [""])


def test_two_credentials_are_refused(site: Site) -> None:
    alice, root = site.world.mint("alice"), site.world.mint("root")
    status, _ = site.get("/issuers/vpn/new", alice.secret, "127.0.0.5", ("Authorization", f"Bearer {root.secret}"))
    assert status in (400, 401)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_nobody_passes_while_accord_is_down(world: World, tmp_path: Path) -> None:
    alice = world.mint("alice")
    with a_site(world, tmp_path) as site:
        assert site.get("/issuers/vpn/new", alice.secret, "127.0.0.5")[0] == 200
        assert site.accord.stop() == 0
        assert site.get("/issuers/vpn/new", alice.secret, "127.0.0.5") == (500, None)


def test_accord_itself_is_reached_through_nginx_and_sees_its_callers(site: Site) -> None:
    site.world.set_password("alice")
    body = json.dumps({"username": "alice", "password": PASSWORD}).encode()
    headers = [("Content-Type", "application/json"), ("X-Forwarded-For", "127.0.0.5"), ("Forwarded", "for=127.0.0.5")]
    assert request(site.accord_port, "POST", "/api/v1/sessions", headers, "127.0.0.6", body)[0] == 401
    status, answer = request(site.accord_port, "POST", "/api/v1/sessions", headers[:1], "127.0.0.5", body)
    assert status == 201
    secret = json.loads(answer)["token"]
    authorization = [("Authorization", f"Bearer {secret}"), *headers[1:]]
    status, answer = request(site.accord_port, "GET", "/api/v1/me", authorization, "127.0.0.5")
    assert (status, json.loads(answer)["address"]) == (200, "127.0.0.5")
    assert request(site.accord_port, "GET", "/api/v1/me", authorization, "127.0.0.6")[0] == 403
    assert request(site.accord_port, "GET", "/metrics", [])[0] == 404
