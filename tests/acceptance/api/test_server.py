"""`accord-api serve` as a process: starting, stopping, what it refuses, and who can slow down whom."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from client import PASSWORD, World
from postgresql_server import PostgresqlServer
from scenario import everything
from served import Answer, Server, command, free_port, serving
from waiting import LONG, until

from reconciler.store.engine import open_database

pytestmark = pytest.mark.slow
SERVERS: list[tuple[str, ...]] = [(), ("--server", "granian"), ("--server", "granian", "--workers", "2")]
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])
ON_EACH_SERVER = pytest.mark.parametrize("options", SERVERS[:2], ids=["waitress", "granian"])


@pytest.fixture
def options() -> tuple[str, ...]:
    return ()


@pytest.fixture
def server(world: World, options: tuple[str, ...], tmp_path: Path) -> Iterator[Server]:
    with serving(world.url, tmp_path, *options) as found:
        yield found


@pytest.fixture(scope="module", params=SERVERS[:2], ids=["waitress", "granian"])
def shared(shared_world: World, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Shared]:
    with serving(shared_world.url, tmp_path_factory.mktemp("server"), *request.param) as found:
        yield Shared(shared_world, found, "granian" in request.param)


class Shared(NamedTuple):
    """A server shared by several tests."""

    world: World
    server: Server
    is_granian: bool


def log_in(server: Server, name: str = "alice", password: str = PASSWORD) -> Answer:
    return server.call("POST", "/api/v1/sessions", body={"username": name, "password": password})


@ON_SQLITE
def test_a_decision_never_waits_behind_slower_requests(world: World, server: Server) -> None:
    world.set_password("alice")
    secret = log_in(server).json["token"]
    with open_database(world.url) as database:
        with database.writing():  # minting a token waits for this, in every thread there is
            minted = [server.begin("POST", "/api/v1/me/tokens", secret, {"name": f"t{n}", "validFor": "1d"}) for n in range(12)]
            assert server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"}).json["allow"]
            assert server.call("GET", "/api/v1/auth?issuer=tls", secret).status == 200
            assert not any(each.is_answered() for each in minted)
        assert [each.answer().status for each in minted] == [201] * 12


@pytest.mark.parametrize("options", SERVERS, ids=["waitress", "granian", "granian with two workers"])
def test_a_server_starts_becomes_ready_and_decides(world: World, server: Server) -> None:
    world.set_password("alice")
    assert server.call("GET", "/readyz").json == {"status": "ready"}
    secret = log_in(server).json["token"]
    decided = server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"})
    assert (decided.status, decided.json["allow"]) == (200, True)
    for _ in range(20):  # whichever worker answers
        assert server.call("GET", "/api/v1/auth?issuer=vpn", secret).headers["x-accord-user"] == "alice"
    assert server.call("DELETE", "/api/v1/sessions/current", secret).status == 204
    for _ in range(20):
        assert server.call("GET", "/api/v1/me", secret).status == 401
    assert b'accord_logins_total{outcome="succeeded"} 1.0' in server.metrics()
    assert server.stop() == 0


@ON_SQLITE
@pytest.mark.parametrize("options", SERVERS, ids=["waitress", "granian", "granian with two workers"])
def test_metrics_have_a_listener_of_their_own(world: World, options: tuple[str, ...], tmp_path: Path) -> None:
    port = free_port()
    listening = {"ACCORD_METRICS_LISTEN": f"127.0.0.1:{port}", "ACCORD_METRICS_TOKEN": None}
    with serving(world.url, tmp_path, *options, **listening) as server:
        scraped = Server(server.process, server.log, port)
        until(scraped.accepts, "the listener for metrics")
        answer = scraped.call("GET", "/metrics")
        assert answer.status == 200 and b"accord_generation" in answer.body
        for path in ("/", "/healthz", "/api/v1/me", "/metrics/", "/metrics/../healthz"):
            assert scraped.call("GET", path).status == 404, path
        for path in ("/metrics", "//metrics"):
            assert server.call("GET", path).status == 404, path
        assert server.call("GET", "/metrics", accord_metrics_listener="True").status == 404
        assert server.stop() == 0


@ON_SQLITE
@ON_EACH_SERVER
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_an_accepted_request_is_finished_before_the_server_stops(world: World, server: Server, number: signal.Signals) -> None:
    world.set_password("alice")
    with open_database(world.url) as database:
        with database.writing():  # whoever logs in waits for this
            waiting = server.begin("POST", "/api/v1/sessions", None, {"username": "alice", "password": PASSWORD})
            server.process.send_signal(number)
            until(lambda: not server.accepts(), "the end of accepting")
            assert server.process.poll() is None
            assert not waiting.is_answered()
        assert waiting.answer().status == 201
    assert server.process.wait(timeout=LONG) == 0


@ON_SQLITE
def test_waiting_uses_are_written_when_the_server_stops(world: World, server: Server) -> None:
    token = world.mint("alice")
    assert server.call("GET", "/api/v1/me", token.secret).status == 200
    assert server.stop() == 0
    (listed,) = json.loads(command("token", "list", "alice", "--format", "json", url=world.url).stdout)
    assert (listed["id"], listed["lastUsedAddress"]) == (token.accessor, "127.0.0.1")


@ON_SQLITE
def test_half_open_and_trickling_connections_slow_nobody_down(world: World, tmp_path: Path) -> None:
    secret = world.mint("alice").secret
    stop = threading.Event()
    with ExitStack() as stack:
        server = stack.enter_context(serving(world.url, tmp_path, descriptors=256))  # it helps itself to more
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(500)]
        for each in slow[:250]:
            each.sendall(b"POST /api/v1/decisions HTTP/1.1\r\nHost: accord\r\nContent-Length: 1000\r\n")
        trickling = threading.Thread(target=trickle, args=(slow[250:], stop))
        trickling.start()
        try:
            for _ in range(20):
                assert server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"}).json["allow"] is True
            assert sum(map(is_open, slow)) > 400, "decisions came only when the slow ones had gone"
        finally:
            stop.set()
            trickling.join()
        assert server.stop() == 0


@ON_SQLITE
@ON_EACH_SERVER
def test_strangers_who_never_send_their_bodies_leave_threads_for_decisions(world: World, server: Server) -> None:
    world.set_password("alice")
    secret = world.mint("alice").secret
    head = b"POST /api/v1/sessions HTTP/1.1\r\nHost: accord\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with ExitStack() as stack:
        strangers = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(100)]
        for each in strangers:
            each.sendall(head)
        for _ in range(5):
            assert server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"}).json["allow"] is True
            assert server.call("GET", "/api/v1/auth", secret).status == 200
        assert any(map(is_open, strangers)), "decisions came only when the strangers had gone"
        assert log_in(server).status in (201, 503)
    until(lambda: log_in(server).status == 201, "a login when they have gone")


def is_open(connection: socket.socket) -> bool:
    """Whether the server has neither answered nor hung up."""
    try:
        connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def trickle(connections: list[socket.socket], stop: threading.Event) -> None:
    """A byte of an endless request on each connection every now and then."""
    text = b"GET /healthz HTTP/1.1\r\nX-Slow: " + b"z" * 10_000
    for position in range(len(text)):
        for each in connections:
            with suppress(OSError):  # the server has had enough of it, as it should
                each.sendall(text[position : position + 1])
        if stop.wait(0.25):
            return


def status_of(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    return int(found[1]) if found else 0


def test_ambiguous_requests_are_refused(shared: Shared) -> None:
    world, server, is_granian = shared
    token = f"Authorization: Bearer {world.mint('alice').secret}\r\n".encode()
    root = f"Authorization: Bearer {world.mint('root').secret}\r\n".encode()
    body = b'{"issuer": "tls"}'

    def post(headers: bytes, sent: bytes, path: bytes = b"/api/v1/decisions") -> int:
        head = b"POST " + path + b" HTTP/1.1\r\nHost: accord\r\nContent-Type: application/json\r\n" + headers
        return status_of(server.raw(head + b"\r\n" + sent))

    def length(sent: bytes) -> bytes:
        return b"Content-Length: %d\r\n" % len(sent)

    chunked = b"Transfer-Encoding: chunked\r\n"
    in_chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    assert post(token + length(body), body) == 200
    assert post(token + chunked, in_chunks) == 200
    for both in (length(body) + chunked, chunked + length(body)):
        if is_granian:  # it takes the chunks alone, and hangs up, as RFC 9112, section 6.3, permits: nothing can follow
            head = b"POST /api/v1/decisions HTTP/1.1\r\nHost: accord\r\nContent-Type: application/json\r\n" + token + both
            answers = server.raw(head + b"\r\n" + in_chunks + b"GET /healthz HTTP/1.1\r\nHost: accord\r\n\r\n", whole=False)
            assert answers.count(b"HTTP/1.1 ") == 1
            assert b"connection: close" in answers
        else:
            assert post(token + both, in_chunks) == 400
    assert post(token + length(body) + length(body + b" "), body) == 400
    if not is_granian:  # which takes the last coding for all, as RFC 9112, section 6.1, says
        for codings in (b"chunked, chunked", b"identity, chunked", b"chunked\r\nTransfer-Encoding: chunked"):
            assert post(token + b"Transfer-Encoding: " + codings + b"\r\n", in_chunks) in (400, 501), codings
        assert post(token + b"Host: elsewhere\r\n" + length(body), body) == 400
    assert post(token + root + length(body), body) in (400, 401)
    assert post(token + token + length(body), body) in (400, 401)
    assert post(token + b"X-Folded: a\r\n Transfer-Encoding: chunked\r\n" + length(body), body) == 400
    for sent in (
        b'{"issuer": "tl\\u0000s"}',
        b'{"issuer": "tl\\ud800s"}',
        b'{"issuer": "tl\xffs"}',
        b'{"issuer": "tl\xed\xa0\x80s"}',
    ):
        assert post(token + length(sent), sent) in (400, 422), sent
    assert post(token + length(body), body, b"/api/v1/decisions%00") in (400, 404)
    assert post(token + length(body), body, b"/api/v1/decisions?x=%00") in (400, 422)
    assert post(token + b"X-Nul: a\0b\r\n" + length(body), body) in (200, 400)  # no header is read as text but ours
    assert server.call("GET", "/readyz").status == 200


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "DELETE", "OPTIONS"])
def test_an_unread_body_is_not_taken_for_another_request(shared: Shared, method: str) -> None:
    world, server, _ = shared
    token = f"Authorization: Bearer {world.mint('alice').secret}\r\n".encode()
    inner = b"DELETE /api/v1/sessions/current HTTP/1.1\r\nHost: accord\r\n" + token + b"\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: accord\r\nConnection: close\r\n\r\n"
    head = f"{method} /api/v1/auth/issuers/tls/x HTTP/1.1\r\nHost: accord\r\n".encode()
    for framed in (
        b"Content-Length: %d\r\n\r\n%s" % (len(inner), inner),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner),
    ):
        for credential in (token, b""):
            answers = server.raw(head + credential + framed + last, whole=False)
            first, *others = re.findall(rb"HTTP/1\.1 (\d+)", answers)
            assert int(first) == (200 if credential else 401)
            assert others in ([], [b"200"]), "the last request's, where the connection was not closed before it"
    assert status_of(server.raw(head + token + b"\r\n")) == 200


def test_a_truncated_request_does_nothing(shared: Shared) -> None:
    world, server, _ = shared
    session = world.mint("alice", "session").secret
    body = b'{"name": "cut off", "validFor": "1d"}'
    head = b"POST /api/v1/me/tokens HTTP/1.1\r\nHost: accord\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=LONG) as connection:
        authorization = f"Authorization: Bearer {session}\r\n".encode()
        connection.sendall(head + authorization + b"Content-Length: %d\r\n\r\n" % (len(body) + 10) + body)
        connection.shutdown(socket.SHUT_WR)
        assert status_of(connection.recv(65536)) in (0, 400)
    assert "cut off" not in [each["name"] for each in server.call("GET", "/api/v1/me/tokens", session).json]


def test_oversized_requests_are_refused_and_the_server_survives(shared: Shared) -> None:
    world, server, _ = shared
    secret = world.mint("alice").secret
    large = {"requests": [{"issuer": "x" * 60}] * 1000, "more": "y" * 300_000}
    assert refused(server, "/api/v1/decisions", secret, large) in (413, None)
    assert refused(server, "/api/v1/me/tokens", secret, {"name": "z" * 70_000}) in (413, None)
    head = b"GET /healthz HTTP/1.1\r\nHost: accord\r\nX-Large: " + b"z" * 1_000_000 + b"\r\n\r\n"
    with suppress(OSError):  # it may be hung up on while it is still talking
        assert status_of(server.raw(head)) in (0, 400, 413, 431)
    many = b"GET /healthz HTTP/1.1\r\nHost: accord\r\n" + b"".join(b"X-%d: z\r\n" % each for each in range(20_000)) + b"\r\n"
    with suppress(OSError):
        assert status_of(server.raw(many)) in (0, 400, 413, 431)
    assert server.call("GET", "/readyz").status == 200


def refused(server: Server, path: str, secret: str, body: Any) -> int | None:
    """The status; None if the server hung up before the body was sent."""
    try:
        return server.call("POST", path, secret, body).status
    except OSError:
        return None


@ON_EACH_SERVER
def test_neither_logs_nor_the_database_hold_a_secret(world: World, options: tuple[str, ...], tmp_path: Path) -> None:
    wrong, changed = "a wrong but long passphrase", "another rather long passphrase"
    with serving(world.url, tmp_path, *options, "--verbose", "--log-format", "json") as server:
        set_it = command("user", "set-password", "alice", url=world.url, given=f"{PASSWORD}\n")
        session = log_in(server).json["token"]
        log_in(server, password=wrong)
        log_in(server, name=f"alice {wrong}")
        change = {"currentPassword": PASSWORD, "newPassword": changed}
        session = server.call("PUT", "/api/v1/me/password", session, change).json["token"]
        minted = server.call("POST", "/api/v1/me/tokens", session, {"name": "pipeline", "validFor": "1d"}).json["token"]
        server.call("GET", f"/api/v1/me?token={minted}", minted)
        server.call("GET", f"/api/v1/me/{minted}", minted)
        server.call("GET", "/api/v1/users", minted + "x")
        server.call("POST", "/certdog/api/login", body={"username": "alice", "password": changed})
        server.raw(f"GET /api/v1/me HTTP/1.1\r\nAuthorization: {minted}\r\nX-Bad\r\n\r\n".encode())
        assert server.stop() == 0
    lines = server.log.read_text().splitlines()
    logged = [json.loads(line) for line in lines]
    assert all({"at", "level", "logger", "message"} <= set(each) for each in logged)
    assert any(each["message"].startswith("POST /api/v1/sessions 201") for each in logged) or "--server" in options
    kept = repr(everything(world.accord))
    for secret in (PASSWORD, wrong, changed, session, minted):
        for place in ("\n".join(lines), kept, set_it.stdout + set_it.stderr):
            assert secret not in place


@ON_SQLITE
@ON_EACH_SERVER
def test_a_port_in_use_is_one_clear_error(world: World, options: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("serve", "--listen", f"127.0.0.1:{port}", *options, url=world.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"accord-api: .*[Aa]ddress already in use.*{port}.*\n", done.stderr)


@ON_EACH_SERVER
def test_a_database_without_tables_is_one_clear_error(options: tuple[str, ...], tmp_path: Path) -> None:
    done = command("serve", "--listen", f"127.0.0.1:{free_port()}", *options, url=f"sqlite:///{tmp_path}/none.db")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"accord-api: the database sqlite:///{tmp_path}/none.db has no tables yet; create them with `accord db upgrade`\n"
    )


@ON_SQLITE
def test_a_database_that_goes_away_is_503_and_comes_back(world: World, server: Server, tmp_path: Path) -> None:
    secret = world.mint("alice").secret
    assert server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"}).json["allow"] is True
    world.execute("ALTER TABLE tokens RENAME TO elsewhere")
    gone = server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"})
    assert (gone.status, gone.json["type"], gone.headers["retry-after"]) == (503, "urn:accord:problem:unavailable", "1")
    assert server.call("GET", "/healthz").status == 200
    world.execute("ALTER TABLE elsewhere RENAME TO tokens")
    assert server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"}).json["allow"] is True


@pytest.mark.postgresql
@pytest.mark.parametrize("database_kind", ["postgresql"])
@ON_EACH_SERVER
def test_a_postgresql_server_that_goes_away_is_503_and_comes_back(
    world: World, server: Server, postgresql_server: PostgresqlServer
) -> None:
    secret = world.mint("alice").secret
    assert server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"}).json["allow"] is True
    postgresql_server.execute("CHECKPOINT")  # it stops as in a crash, and forgets what is on no disk yet
    postgresql_server.stop()
    try:
        for _ in range(3):
            gone = server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"})
            assert (gone.status, gone.json["type"]) == (503, "urn:accord:problem:unavailable")
            assert log_in(server).status == 503
            assert server.call("GET", "/readyz").status == 503
            assert server.call("GET", "/healthz").status == 200
    finally:
        postgresql_server.start()
    assert server.call("POST", "/api/v1/decisions", secret, {"issuer": "tls"}).json["allow"] is True
    assert server.call("GET", "/readyz").status == 200
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


@ON_SQLITE
def test_a_port_that_the_server_chose_is_logged(world: World, tmp_path: Path) -> None:
    with serving(world.url, tmp_path) as server:
        assert f"listening on http://127.0.0.1:{server.port}" in server.log.read_text()
