"""Who is believed about whence a request comes, on each server: connections, headers and environment variables."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import pytest
from client import OFFICE, World
from served import Answer, Server, command, free_port, serving
from waiting import LONG, until

from api.http.headers import READ
from api.serving.waitress import CONNECTIONS

pytestmark = pytest.mark.slow
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])
ON_EACH_SERVER = pytest.mark.parametrize("options", [(), ("--server", "granian")], ids=["waitress", "granian"])
PROXY = {"ACCORD_TRUSTED_PROXIES": "127.0.0.1"}


class Unix(http.client.HTTPConnection):
    """A connection over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=LONG)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LONG)
        self.sock.connect(str(self._path))


def over(path: Path, method: str, target: str, secret: str, body: object = None, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(Unix(path)) as connection:
        text = None if body is None else json.dumps(body)
        connection.request(
            method, target, text, {"Authorization": f"Bearer {secret}", "Content-Type": "application/json", **sent}
        )
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())


class Site(NamedTuple):
    """A server that trusts a proxy on 127.0.0.1, with a local socket, shared by several tests."""

    world: World
    server: Server
    local: Path

    def ask(self, *headers: tuple[str, str], secret: str | None = None, path: str = "/api/v1/me") -> Answer:
        """Ask as the proxy, with exactly these headers."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        bearer = f"Authorization: Bearer {secret}\r\n" if secret else ""
        raw = self.server.raw(
            f"GET {path} HTTP/1.1\r\nHost: accord\r\n{bearer}{lines}Connection: close\r\n\r\n".encode(), whole=False
        )
        head, _, body = raw.partition(b"\r\n\r\n")
        found = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        return Answer(int(head.split()[1]), found, body)


@pytest.fixture(scope="module", params=[(), ("--server", "granian")], ids=["waitress", "granian"])
def site(shared_world: World, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    polluted = {
        "HTTP_AUTHORIZATION": f"Bearer {shared_world.mint('root').secret}",
        "HTTP_X_FORWARDED_FOR": OFFICE,
        "HTTP_FORWARDED": f"for={OFFICE}",
        "HTTP_X_ACCORD_ISSUER": "tls",
        "HTTP_X_REQUEST_ID": "of-the-environment",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "7",
        "HTTP_ACCEPT": "text/html",
        "HTTP_ACCEPT_ENCODING": "gzip",
        "HTTP_COOKIE": f"accord={shared_world.mint('root', 'session', carrier='cookie').secret}",
        "HTTP_HOST": "evil.example",
        "HTTP_ORIGIN": "https://evil.example",
        "HTTP_SEC_FETCH_SITE": "cross-site",
    }
    assert set(polluted) == READ
    options = {**PROXY, **polluted, "ACCORD_LOCAL_SOCKET": str(folder / "local.sock")}
    with serving(shared_world.url, folder, *request.param, **options) as server:
        yield Site(shared_world, server, folder / "local.sock")


def test_a_caller_over_the_local_socket_is_local(site: Site) -> None:
    bob = site.world.mint("bob", permitted_ips=["10.20.7.0/24"]).secret
    assert over(site.local, "GET", "/api/v1/me", bob).json["address"] == "local"
    decided = over(site.local, "POST", "/api/v1/decisions", bob, {"issuer": "tls"})
    assert (decided.status, decided.json["allow"], decided.json["rule"]) == (200, True, "local")


def test_only_the_account_that_serves_can_open_the_local_socket(site: Site) -> None:
    assert stat.S_IMODE(site.local.stat().st_mode) == 0o600


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
def test_a_proxy_on_the_local_socket_is_refused(site: Site, header: str) -> None:
    refused = over(site.local, "GET", "/api/v1/me", site.world.mint("bob").secret, **{header: "10.20.1.7"})
    assert refused.status == 400
    assert "only for programs on this machine" in refused.json["detail"]


def test_a_proxy_that_tells_no_address_leaves_it_unknown_and_the_log_says_so(site: Site) -> None:
    alice, bob = site.world.mint("alice").secret, site.world.mint("bob").secret
    assert site.ask(secret=alice).json["address"] is None
    assert site.ask(("Forwarded", "for=127.0.0.1"), secret=alice).json["address"] is None
    for _ in range(3):
        assert site.ask(secret=bob).status == 403
    said = [line for line in site.server.log.read_text().splitlines() if "by way of 127.0.0.1" in line]
    assert len(said) == 1
    assert "WARNING" in said[0]


def test_a_proxy_that_tells_an_address_is_believed(site: Site) -> None:
    bob = site.world.mint("bob").secret
    assert site.ask(("Forwarded", f"for={OFFICE}"), secret=bob).json["address"] == OFFICE
    assert site.ask(("Forwarded", "for=203.0.113.7"), secret=bob).status == 403


def test_no_environment_variable_is_a_header(site: Site) -> None:
    assert site.ask().status == 401
    alice = site.world.mint("alice").secret
    assert site.ask(secret=alice).json["address"] is None
    assert site.ask(secret=alice, path="/api/v1/auth").status == 200  # and not for an issuer
    assert site.ask(secret=alice).headers["x-request-id"] != "of-the-environment"
    assert site.server.call("POST", "/api/v1/sessions").status == 415


def spellings(key: str) -> list[str]:
    """Names that a server could take for a header, but for its own."""
    parts = key.removeprefix("HTTP_").title().split("_")
    return [
        parts[0] + "".join(glue + part for glue, part in zip(glues, parts[1:], strict=True)) for glues in _glues(len(parts) - 1)
    ]


def _glues(count: int) -> list[str]:
    found = [""]
    for _ in range(count):
        found = [before + glue for before in found for glue in "-_"]
    return found[1:]


HARM = {
    "HTTP_X_FORWARDED_FOR": OFFICE,
    "HTTP_X_ACCORD_ISSUER": "tls",
    "HTTP_X_REQUEST_ID": "of-the-client",
    "HTTP_TRANSFER_ENCODING": "chunked",
    "CONTENT_LENGTH": "2000",
    "CONTENT_TYPE": "text/plain",
    "HTTP_ACCEPT_ENCODING": "gzip",
    "HTTP_SEC_FETCH_SITE": "same-origin",
}


def test_every_header_with_a_hyphen_is_tried() -> None:
    assert set(HARM) == {key for key in READ if "_" in key.removeprefix("HTTP_")}


@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("key", "name"), [(key, name) for key in sorted(HARM) for name in spellings(key)])
def test_no_name_with_an_underscore_counts_as_a_header(site: Site, key: str, name: str, is_first: bool) -> None:
    bob, alice = site.world.mint("bob").secret, site.world.mint("alice").secret
    forged = (name, HARM[key])
    for said in ((("Forwarded", "for=203.0.113.7"),), (("X-Forwarded-For", "203.0.113.7"),), ()):
        assert site.ask(*((forged, *said) if is_first else (*said, forged)), secret=bob).status in (400, 403)
    issuer = ("X-Accord-Issuer", "old")  # of the proxy; the client's must not take its place
    assert site.ask(*((forged, issuer) if is_first else (issuer, forged)), secret=alice, path="/api/v1/auth").status == 403
    assert site.ask(forged, secret=alice).headers.get("x-request-id") != "of-the-client"
    assert site.ask(forged, secret=alice).status in (200, 403)


@ON_SQLITE
@ON_EACH_SERVER
def test_a_local_socket_is_served_by_one_process_and_left_behind_by_none(
    world: World, options: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "local.sock"
    with closing(socket.socket(socket.AF_UNIX)) as killed:
        killed.bind(str(path))  # and never removed
    alice = world.mint("alice").secret
    with serving(world.url, tmp_path, *options, ACCORD_LOCAL_SOCKET=str(path)) as server:
        until(lambda: over(path, "GET", "/api/v1/me", alice).status == 200, "the local socket")
        if not options:
            again = command("serve", "--listen", f"127.0.0.1:{free_port()}", url=world.url, ACCORD_LOCAL_SOCKET=str(path))
            assert (again.returncode, again.stderr.count("\n")) == (1, 1)
            assert "served by another process" in again.stderr
        assert server.stop() == 0
    assert not path.exists()
    path.write_text("something else")
    if not options:
        refused = command("serve", "--listen", f"127.0.0.1:{free_port()}", url=world.url, ACCORD_LOCAL_SOCKET=str(path))
        assert "not a socket" in refused.stderr
        assert path.read_text() == "something else"


@ON_SQLITE
@ON_EACH_SERVER
def test_nothing_of_the_current_folder_is_imported(world: World, options: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("api", "reconciler", "falcon", "orjson", "colorama", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("import os\nos._exit(7)\n")
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        with serving(world.url, tmp_path, *options, PYTHONSAFEPATH="1") as server:
            assert server.call("GET", "/readyz").status == 200
    finally:
        os.chdir(before)


@ON_SQLITE
@ON_EACH_SERVER
def test_every_address_of_either_version_is_listened_on(world: World, options: tuple[str, ...], tmp_path: Path) -> None:
    if not socket.has_dualstack_ipv6():
        assert os.environ.get("CI") != "true"
        pytest.skip("this machine has no IPv6")
    with serving(world.url, tmp_path, *options, host="[::]") as server:
        alice = world.mint("alice", permitted_ips=["127.0.0.1"]).secret
        assert server.call("GET", "/api/v1/me", alice).json["address"] == "127.0.0.1"  # rather than ::ffff:127.0.0.1
        with closing(http.client.HTTPConnection("::1", server.port, timeout=LONG)) as connection:
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200


@ON_SQLITE
def test_one_client_cannot_take_all_connections(world: World, tmp_path: Path) -> None:
    secret = world.mint("alice").secret
    with ExitStack() as stack:
        server = stack.enter_context(serving(world.url, tmp_path, descriptors=4096))
        other = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LONG, source_address=("127.0.0.2", 0))
        stack.callback(other.close)
        other.request("GET", "/healthz")
        assert other.getresponse().read()
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=LONG))
        other.request("GET", "/healthz")  # on the connection that it had, and on a new one
        assert other.getresponse().status == 200
        again = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LONG, source_address=("127.0.0.2", 0))
        stack.callback(again.close)
        again.request("GET", "/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
        assert again.getresponse().status == 200
        assert server.call("GET", "/api/v1/me", secret).status == 200  # its own new connection takes the place of its oldest


# Granian refuses without a body, and its words cannot be changed
@pytest.mark.parametrize("site", [()], ids=["waitress"], indirect=True)
@pytest.mark.parametrize(
    ("request_text", "status", "name"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: accord\r\nX-Large: " + b"z" * 20_000 + b"\r\n\r\n", 431, "headers-too-large"),
        (b"POST /api/v1/sessions HTTP/1.1\r\nHost: accord\r\nContent-Length: 9000000\r\n\r\n", 413, "too-large"),
        (b"GET /healthz HTTP/1.1\r\nHost: accord\r\nno colon\r\n\r\n", 400, "bad-request"),
        (b"GET /healthz HTTP/1.1\r\nHost: accord\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not-implemented"),
        (b"GET /healthz HTTP/1.9\r\nHost: accord\r\n\r\n", 400, "bad-request"),
    ],
    ids=["431", "413", "400", "501", "HTTP/1.9"],
)
def test_what_the_server_itself_refuses_is_a_problem(site: Site, request_text: bytes, status: int, name: str) -> None:
    answer = site.server.raw(request_text, whole=False)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert b"content-type: application/problem+json" in head.lower()
    problem = json.loads(body)
    assert (problem["status"], problem["type"]) == (status, f"urn:accord:problem:{name}")


def test_a_body_over_the_limit_is_a_problem(site: Site) -> None:
    body = b'{"username": "alice", "password": "' + b"z" * 70_000 + b'"}'
    head = (
        b"POST /api/v1/sessions HTTP/1.1\r\nHost: accord\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(body)
    )
    answer = site.server.raw(head + body)
    assert b" 413 " in answer.partition(b"\r\n")[0]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == "urn:accord:problem:too-large"


@pytest.mark.parametrize("version", ["1.0", "1.2", "1.9", "2.0", "0.9"])
@pytest.mark.parametrize("connection", ["keep-alive", "close", "Keep-Alive, TE"])
def test_chunks_that_a_version_does_not_know_are_no_second_request(site: Site, version: str, connection: str) -> None:
    head = f"POST /healthz HTTP/{version}\r\nHost: accord\r\nConnection: {connection}\r\nTransfer-Encoding: chunked\r\n\r\n"
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: accord\r\nConnection: close\r\n\r\n"
    answers = site.server.raw(head.encode() + smuggled, whole=False)
    assert len(re.findall(rb"HTTP/1\.[01] \d+", answers)) <= 1
