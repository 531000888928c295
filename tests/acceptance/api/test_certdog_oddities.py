"""What existing clients of the product that Accord succeeds do on the wire: old, terse and careless, but legal."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from certdog_client import LOGIN, NEWER, OLDER, CertdogClient, exchange, exchange_and_wait
from certdog_desk import ISSUER, LATIN_PASSWORD, PASSWORD, Desk, issued, pem, served
from client import World
from test_server import SERVERS
from waiting import LONG

TEXT_OF_LOGIN = json.dumps({"username": "fred", "password": PASSWORD}).encode()
LATIN_LOGIN = f'{{"username":"zoe","password":"{LATIN_PASSWORD}"}}'


@pytest.fixture(scope="module", params=SERVERS[:2], ids=["waitress", "granian"])
def desk(shared_world: World, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Desk]:
    with served(shared_world, tmp_path_factory.mktemp("server"), *request.param) as found:
        yield found


def head(method: str, path: str, *lines: str, version: str = "1.1") -> bytes:
    """The first line and the headers of a request."""
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: certdog.example.org", *lines, "", ""]).encode("latin-1")


def is_login(answer: object) -> None:
    LOGIN(answer, "the login")


def test_a_client_that_waits_for_100_continue_gets_it(desk: Desk) -> None:
    """As .NET's clients do with every body."""
    length = f"Content-Length: {len(TEXT_OF_LOGIN)}"
    request = head("POST", f"{NEWER}/login", "Content-Type: application/json", length, "Expect: 100-continue")
    answer, is_open = exchange_and_wait(desk.server.port, request, TEXT_OF_LOGIN, awaits_continue=True)
    assert answer.status == 200
    is_login(answer.json)
    assert is_open


def test_a_client_that_expects_100_continue_and_sends_at_once_is_answered(desk: Desk) -> None:
    """.NET sends the body after 350 milliseconds, whatever has come."""
    length = f"Content-Length: {len(TEXT_OF_LOGIN)}"
    request = head("POST", f"{NEWER}/login", "Content-Type: application/json", length, "expect: 100-Continue")
    found = _final(desk, request + TEXT_OF_LOGIN)
    assert b" 200 " in found.split(b"\r\n", 1)[0]


def _final(desk: Desk, request: bytes) -> bytes:
    """The answer that is no `100 Continue`, to a request that may get one before."""
    closing = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    found = desk.server.raw(closing, whole=False)
    return found.partition(b"\r\n\r\n")[2] if b" 100 " in found.split(b"\r\n", 1)[0] else found


def test_a_client_that_waits_for_100_continue_may_be_refused_at_once(desk: Desk) -> None:
    """RFC 9110, 10.1.1: a final status in place of 100, or 100 and then that. .NET reads either."""
    lines = ("Content-Type: application/json", f"Content-Length: {len(TEXT_OF_LOGIN)}", "Expect: 100-continue")
    request = head("POST", f"{NEWER}/certs/search", *lines)
    with socket.create_connection(("127.0.0.1", desk.server.port), timeout=LONG) as connection:
        connection.sendall(request)
        incoming = connection.makefile("rb")
        status = incoming.readline().split()[1]
        if status == b"100":
            assert incoming.readline() == b"\r\n"
            connection.sendall(TEXT_OF_LOGIN)
            status = incoming.readline().split()[1]
        assert status == b"401"


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_body_in_chunks(desk: Desk, size: int) -> None:
    request = head("POST", f"{NEWER}/login", "Content-Type: application/json", "Transfer-Encoding: chunked")
    answer, is_open = exchange_and_wait(desk.server.port, request, chunked(TEXT_OF_LOGIN, size))
    assert answer.status == 200, answer
    is_login(answer.json)
    assert is_open


@pytest.mark.parametrize(("lines", "stays"), [((), False), (("Connection: close",), False), (("Connection: Keep-Alive",), True)])
def test_http_1_0(desk: Desk, lines: tuple[str, ...], stays: bool) -> None:
    secret = desk.secret()
    request = head("GET", f"{OLDER}/currentuser/myissuers", f"Authorization: Bearer {secret}", *lines, version="1.0")
    answer, is_open = exchange_and_wait(desk.server.port, request)
    assert (answer.status, answer.json) == (200, [ISSUER, "vpn"])
    assert is_open <= stays  # a server may close it all the same


def test_http_1_0_with_a_body_and_no_host(desk: Desk) -> None:
    request = f"POST {NEWER}/login HTTP/1.0\r\nContent-Length: {len(TEXT_OF_LOGIN)}\r\n\r\n".encode()
    answer = exchange(desk.server.port, request, TEXT_OF_LOGIN)
    assert answer.status == 200, answer
    is_login(answer.json)


@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION", "Authorization"])
@pytest.mark.parametrize("word", ["Bearer ", "bearer ", "BEARER ", ""])
@pytest.mark.parametrize("kind", ["token", "session"])
def test_the_header_of_the_token(desk: Desk, name: str, word: str, kind: str) -> None:
    secret = desk.secret("fred", kind)
    answer = exchange(desk.server.port, head("GET", f"{NEWER}/currentuser/myissuers", f"{name}: {word}{secret}"))
    assert (answer.status, answer.json) == (200, [ISSUER, "vpn"])


@pytest.mark.parametrize("path", ["currentuser/myteams", "currentuser/myissuers", "admin/ca", "admin/generators", "certs"])
@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 0",),
        ("Content-Type: application/json",),
        ("Content-Type: application/json", "Content-Length: 0"),
        ("Content-Type: application/x-www-form-urlencoded", "Content-Length: 0"),
        ("Accept: text/html, */*; q=.2", "User-Agent: Mozilla/5.0 (Windows NT; en-GB) WindowsPowerShell/5.1"),
        ("Accept: text/plain",),
        ("Cookie: JSESSIONID=1; a=b", "Cache-Control: no-cache", "Pragma: no-cache"),
    ],
)
def test_headers_of_a_get_that_mean_nothing(desk: Desk, path: str, lines: tuple[str, ...]) -> None:
    secret = desk.secret()
    answer = exchange(desk.server.port, head("GET", f"{NEWER}/{path}", f"Authorization: Bearer {secret}", *lines))
    assert answer.status == 200, answer
    assert isinstance(answer.json, list)


@pytest.mark.parametrize(
    "query", ["?", "?System.Collections.Specialized.OrderedDictionary", "?a=1&a=2&%FF=%", "?_=1770000000000"]
)
def test_a_query_is_ignored(desk: Desk, query: str) -> None:
    """PowerShell makes a query of the body that a script gives to a GET."""
    fred = desk.client()
    for path in ("currentuser/myteams", "currentuser/myissuers", "admin/ca", "admin/generators", "certs", "logouthere"):
        answer = fred.send("GET", f"{path}{query}")
        assert answer.status == 200, (path, answer)
    stranger = desk.stranger()
    assert stranger.send("POST", f"login{query}", TEXT_OF_LOGIN).status == 200
    stranger.error(stranger.send("GET", f"certs{query}"), 401, f"{NEWER}/certs")
    fred.error(fred.send("GET", f"nothing{query}"), 404, f"{NEWER}/nothing")


MEDIA = [
    "application/json",
    "text/json",
    None,
    "application/x-www-form-urlencoded",
    "text/plain",
    "application/json;charset=UTF-8",
]


@pytest.mark.parametrize("media", [*MEDIA, "application/json; charset=utf-8", "APPLICATION/JSON", "*/*", "nonsense"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "with a byte order mark"])
def test_json_is_json_whatever_its_media_type(desk: Desk, media: str | None, mark: bytes) -> None:
    """Windows PowerShell says of a string that it is a form."""
    client = desk.stranger(headers={} if media is None else {"Content-Type": media})
    answer = client.send("POST", "login", mark + TEXT_OF_LOGIN)
    assert answer.status == 200, answer
    is_login(answer.json)
    fred = desk.client(headers=client.headers)
    assert fred.send("POST", "certs/search", mark + b'{"subjectDn": "x"}').status == 200


ENCODED = [(media, each) for media in MEDIA for each in ("utf-8", "utf-8-sig")]
ENCODED += [(media, "latin-1") for media in [*MEDIA[:-1], "application/json; charset=ISO-8859-1", "text/json;charset=iso-8859-1"]]


@pytest.mark.parametrize(("media", "encoding"), ENCODED)
def test_a_password_in_latin_1_or_utf_8(desk: Desk, media: str | None, encoding: str) -> None:
    client = desk.stranger(headers={} if media is None else {"Content-Type": media})
    answer = client.send("POST", "login", LATIN_LOGIN.encode(encoding))
    assert answer.status == 200, answer
    assert answer.json["username"] == "zoe"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_texts_in_latin_1_arrive_and_come_back_in_ascii(desk: Desk, encoding: str) -> None:
    fred = desk.client()
    team = next(each["id"] for each in fred.my_teams() if each["name"] == "web")
    body = {"certData": pem(issued()), "ownerUserId": "", "teamId": team, "extraInfo": "Résidence: Orléans"}
    answer = fred.send("POST", "certs/import", json.dumps(body, ensure_ascii=False).encode(encoding))
    assert answer.status == 200, answer
    assert answer.json["extraDetails"] == "Résidence: Orléans"
    assert b"R\\u00e9sidence" in answer.body


def test_a_team_in_latin_1_is_no_other_error(desk: Desk) -> None:
    body = '{"caName":"Certdog TLS","csr":"MIIC","teamName":"Équipe"}'.encode("latin-1")
    fred = desk.client()
    fred.error(fred.send("POST", "certs/requestp10", body), 501, f"{NEWER}/certs/requestp10")


def test_a_target_with_its_host_in_it(desk: Desk) -> None:
    """As clients behind a proxy send it (RFC 9112, 3.2.2)."""
    lines = (f"Authorization: Bearer {desk.secret()}", "Proxy-Connection: Keep-Alive")
    target = f"http://certdog.example.org{NEWER}/currentuser/myissuers"
    answer = exchange(desk.server.port, head("GET", target, *lines))
    assert (answer.status, answer.json) == (200, [ISSUER, "vpn"])


def test_two_requests_over_one_connection_at_once(desk: Desk) -> None:
    request = head("GET", f"{NEWER}/currentuser/myissuers", f"Authorization: Bearer {desk.secret()}")
    found = desk.server.raw(request + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), whole=False)
    assert found.count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize("method", ["get", "Get", "pOST", "post"])
def test_methods_have_capitals(desk: Desk, method: str) -> None:
    """RFC 9110, 9.1: another method is another one; whoever sends it is told so, and nothing is done."""
    secret = desk.secret()
    request = head(method, f"{NEWER}/currentuser/myissuers", f"Authorization: Bearer {secret}", "Content-Length: 0")
    answer = exchange(desk.server.port, request)
    assert answer.status in (200, 400, 405, 501), answer


def test_a_method_that_an_address_does_not_have_is_refused_in_the_shape_of_errors(desk: Desk) -> None:
    fred = desk.client()
    for method, path in (("POST", "currentuser/myteams"), ("DELETE", "certs"), ("GET", "login"), ("GET", "certs/search")):
        answer = fred.send(method, path)
        assert answer.status in (404, 405), answer
        fred.error(answer, answer.status, f"{NEWER}/{path}")


def test_a_head_logs_nobody_out(desk: Desk) -> None:
    client = desk.stranger()
    client.login("fred", PASSWORD)
    assert client.send("HEAD", "logouthere").status in (404, 405)
    assert client.my_issuers() == [ISSUER, "vpn"]


def test_connections_are_used_again_after_an_error(desk: Desk) -> None:
    secret = desk.secret()
    _, is_open = exchange_and_wait(desk.server.port, head("GET", f"{NEWER}/nothing", f"Authorization: Bearer {secret}"))
    assert is_open


@pytest.mark.parametrize("base", [NEWER, OLDER])
def test_what_the_server_itself_refuses_has_the_shape_of_errors(desk: Desk, base: str) -> None:
    """A body that is too large, which no resource sees."""
    fred = CertdogClient(desk.server.port, base=base, token=desk.secret())
    request = head("POST", f"{base}/certs/import", f"Authorization: Bearer {fred.token}", "Content-Length: 99999999")
    answer = exchange(desk.server.port, request)
    fred.error(answer, 413, f"{base}/certs/import")
