"""A client as strict as those of the product that Accord succeeds, over a real connection.

Each answer has a declared shape. A property that is not declared fails, as it does in the Java client, whose JSON library refuses
unknown ones; so does a value of another type, as in the .NET client, whose strings are no numbers and whose flags are never null;
and so does whatever is not exactly 200. Windows PowerShell reads answers as Latin-1: they must be ASCII.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from waiting import LONG

NEWER, OLDER = "/certdog/api", "/api"
"""The bases in clients' settings."""
PRESENT = re.compile(r"(?i)already present in the system.*?\bid:\s*([^,\s\"\\]+)")
"""What a script finds a certificate's id with, in the message that refuses to import it again."""

_ID = re.compile(r"[0-9a-f]{24}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)")
_SERIAL = re.compile(r"0|[1-9a-f][0-9a-f]*")
_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}")

Check = Callable[[Any, str], None]


def _fail(where: str, expected: str, value: Any) -> None:
    raise AssertionError(f"{where}: expected {expected}, got {value!r}")


def kind(type_: type, name: str) -> Check:
    """A value of exactly this type: true is no number here."""

    def check(value: Any, where: str) -> None:
        if type(value) is not type_:
            _fail(where, name, value)

    return check


def matching(pattern: re.Pattern[str], name: str) -> Check:
    """A string that matches as a whole."""

    def check(value: Any, where: str) -> None:
        TEXT(value, where)
        if not pattern.fullmatch(value):
            _fail(where, name, value)

    return check


def number(value: Any, where: str) -> None:
    """A number with or without a fraction."""
    if type(value) not in (int, float):
        _fail(where, "a number", value)


def listed(each: Check) -> Check:
    """An array."""

    def check(value: Any, where: str) -> None:
        kind(list, "an array")(value, where)
        for place, item in enumerate(value):
            each(item, f"{where}[{place}]")

    return check


def nullable(inner: Check) -> Check:
    """Null or this."""

    def check(value: Any, where: str) -> None:
        if value is not None:
            inner(value, where)

    return check


def shape(needed: Mapping[str, Check], others: Mapping[str, Check] | None = None) -> Check:
    """An object with all `needed` properties, perhaps some of `others`, and no more."""
    known = {**needed, **(others or {})}

    def check(value: Any, where: str) -> None:
        kind(dict, "an object")(value, where)
        if unknown := value.keys() - known.keys():
            raise AssertionError(f"{where}: unrecognized properties {sorted(unknown)}")
        if missing := needed.keys() - value.keys():
            raise AssertionError(f"{where}: missing properties {sorted(missing)}")
        for name, item in value.items():
            known[name](item, f"{where}.{name}")

    return check


def anything(value: Any, where: str) -> None:
    """What clients never look at."""


TEXT, FLAG, WHOLE = kind(str, "a string"), kind(bool, "true or false"), kind(int, "a whole number")
ID, TIME = matching(_ID, "24 hex digits"), matching(_TIME, "an instant with its offset")
TEXTS, MAYBE_TEXT, MAYBE_TEXTS = listed(TEXT), nullable(TEXT), nullable(listed(TEXT))

LOGIN = shape({"username": TEXT, "token": TEXT})
TEAM = shape(
    {
        "id": ID,
        "name": TEXT,
        "description": MAYBE_TEXT,
        "internalGroup": TEXT,
        "adGroups": TEXTS,
        "authorisedCas": listed(ID),
        "adminUsernames": TEXTS,
        "dontSendEmailsOnIssue": FLAG,
        "dontSendReminderEmails": FLAG,
        "ipWhiteList": MAYBE_TEXT,
    }
)
ISSUER = shape(
    {"id": ID, "caName": TEXT, "caCerts": TEXTS, **dict.fromkeys(("caType", "caTypeName", "caSubjectDn"), MAYBE_TEXT)},
    {"dnRestrictionId": MAYBE_TEXT},
)
GENERATOR = shape({"id": ID, "name": TEXT}, dict.fromkeys(("signatureAlgorithm", "keySize", "ellipticCurveName"), MAYBE_TEXT))
EVENT = shape({"timestamp": TIME, "event": TEXT, "details": MAYBE_TEXT}, {"timestampStr": MAYBE_TEXT})
_ALSO_KNOWN: dict[str, Check] = {
    **dict.fromkeys(("caId", "localCaId", "csrId", "issuerCertId", "ownerUserId", "renewedByCertId", "renewsCertId"), MAYBE_TEXT),
    **dict.fromkeys(("signatureAlgorithm", "hashAlgorithm", "keySize", "eccCurve", "msTemplateName", "importTime"), MAYBE_TEXT),
    **dict.fromkeys(("enhancedKeyUsages", "keyUsages", "aias", "cdps", "policies"), MAYBE_TEXTS),
    **dict.fromkeys(("active", "isCa", "hasKeyData", "imported", "dnFromCsrWasReversed"), FLAG),
    "history": nullable(listed(EVENT)),
    "pemCert": TEXT,
    "status": TEXT,
}
_FOUND: dict[str, Check] = {
    "id": ID,
    "commonName": MAYBE_TEXT,
    "subjectDn": TEXT,
    "issuerDn": TEXT,
    "serialNumber": matching(_SERIAL, "lower-case hex without leading zeros"),
    "subjectAlternativeNames": TEXTS,
    "validFrom": TIME,
    "validTo": TIME,
    "validFromStr": TEXT,
    "validToStr": TEXT,
    "ownerUsername": MAYBE_TEXT,
    "teamId": nullable(ID),
    "renewed": FLAG,
    "revoked": FLAG,
    "extraDetails": MAYBE_TEXT,
    "extraEmails": MAYBE_TEXTS,
    "trackExpiry": FLAG,
    "daysToExpiry": number,
    "thumbprint": matching(_THUMBPRINT, "a SHA-1 in hex"),
}
CERTIFICATE = shape({**_FOUND, "pemCert": TEXT}, _ALSO_KNOWN)
FOUND = shape(_FOUND, _ALSO_KNOWN)
"""A certificate in a list: the PEM may be left out."""
ERROR = shape({"timestamp": TIME, "status": WHOLE, "error": TEXT, "message": TEXT, "path": TEXT})


class Answer(NamedTuple):
    """An answer's status, headers in lower case, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its JSON, read as Windows PowerShell reads it. Fails where a program could read it otherwise."""
        assert self.headers.get("content-type", "").partition(";")[0].strip() == "application/json", self
        assert self.body.isascii(), self.body
        return json.loads(self.body.decode("latin-1"), object_pairs_hook=_unambiguous)


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), f"a property stands twice: {[name for name, _ in pairs]}"
    return found


@dataclass
class CertdogClient:
    """A client of the running server on a port of the loopback address. It logs in, and keeps the token."""

    port: int
    base: str = NEWER
    token: str | None = None
    word: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request to a path below the base; its answer, whatever that is."""
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.token is not None:
            sent["Authorization"] = f"{self.word}{self.token}"
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)) as connection:
            connection.request(method, f"{self.base}/{path}", body, sent)
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def call(self, method: str, path: str, check: Check, value: Any = None) -> Any:
        """What a call answers. It must be exactly 200, and of the declared shape."""
        answer = self.send(method, path, None if value is None else json.dumps(value).encode())
        assert answer.status == 200, (method, path, answer)
        check(answer.json, path)
        return answer.json

    def refused(self, status: int, method: str, path: str, value: Any = None) -> str:
        """The message of a call that is refused with this status, in the shape of errors."""
        answer = self.send(method, path, None if value is None else json.dumps(value).encode())
        return self.error(answer, status, f"{self.base}/{path}")

    def senseless(self, method: str, path: str, value: Any = None) -> str:
        """The same of a request that makes no sense: whether 400, 413 or 422, no client asks."""
        answer = self.send(method, path, value if isinstance(value, bytes | None) else json.dumps(value).encode())
        assert answer.status in (400, 413, 422), answer
        return self.error(answer, answer.status, f"{self.base}/{path}")

    @staticmethod
    def error(answer: Answer, status: int, path: str) -> str:
        """The message of an answer that refuses, in the shape of errors."""
        assert answer.status == status, answer
        found = answer.json
        ERROR(found, "the error")
        assert found["status"] == status
        assert found["error"] == http.client.responses[status]
        assert unquote(found["path"]) == unquote(path.partition("?")[0]), found
        assert found["message"].strip()
        return str(found["message"])

    def login(self, username: str, password: str) -> dict[str, Any]:
        """Log in, and keep the token for all that follows."""
        found = self.call("POST", "login", LOGIN, {"username": username, "password": password})
        self.token = found["token"]
        return dict(found)

    def logout(self) -> None:
        """Any answer that is 200 will do."""
        answer = self.send("GET", "logouthere")
        assert answer.status == 200, answer

    def my_teams(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "currentuser/myteams", listed(TEAM)))

    def my_issuers(self) -> list[str]:
        return list(self.call("GET", "currentuser/myissuers", TEXTS))

    def generators(self) -> list[Any]:
        return list(self.call("GET", "admin/generators", listed(GENERATOR)))

    def issuers(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "admin/ca", listed(ISSUER)))

    def chain(self, name: str) -> list[str]:
        return list(self.call("GET", f"admin/ca/chainbyname/{quote(name)}", TEXTS))

    def certificates(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "certs", listed(FOUND)))

    def certificate(self, certificate_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"certs/{certificate_id}", CERTIFICATE))

    def search(self, **criteria: Any) -> list[dict[str, Any]]:
        return list(self.call("POST", "certs/search", listed(FOUND), criteria))

    def renew(self, certificate_id: str, renewed: bool = True) -> None:
        """Clients look at the status only."""
        self.call("PATCH", f"certs/{certificate_id}", anything, {"renewed": renewed})

    def revoke(self, **what: Any) -> None:
        """As the .NET client does: with null for what is not given. Clients look at the status only."""
        unset = dict.fromkeys(("certId", "serialNumber", "reason", "caName", "caId"))
        self.call("POST", "certs/revoke", anything, {**unset, **what})

    def add(self, data: str, **more: Any) -> dict[str, Any]:
        """Import a certificate."""
        sent = {"certData": data, "ownerUserId": "", "teamId": "", "extraInfo": "", **more}
        return dict(self.call("POST", "certs/import", CERTIFICATE, sent))

    def add_again(self, data: str, **more: Any) -> str:
        """Import one that is there; its id, as a script finds it in the message."""
        sent = {"certData": data, "ownerUserId": "", "teamId": "", "extraInfo": "", **more}
        found = PRESENT.search(self.refused(409, "POST", "certs/import", sent))
        assert found
        return found[1]


def exchange(port: int, request: bytes, body: bytes = b"", *, awaits_continue: bool = False) -> Answer:
    """Send bytes and read one answer. The body follows `100 Continue`, if that is awaited."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        return _exchange(connection, request, body, awaits_continue)


def exchange_and_wait(
    port: int, request: bytes, body: bytes = b"", *, awaits_continue: bool = False, seconds: float = 0.3
) -> tuple[Answer, bool]:
    """The same, and whether the server keeps the connection open for a while."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        answer = _exchange(connection, request, body, awaits_continue)
        connection.settimeout(seconds)
        try:
            return answer, connection.recv(1) != b""
        except TimeoutError:
            return answer, True


def _exchange(connection: socket.socket, request: bytes, body: bytes, awaits_continue: bool) -> Answer:
    connection.sendall(request)
    incoming = connection.makefile("rb")
    if awaits_continue:
        line = incoming.readline()
        assert line.split()[1:2] == [b"100"], line
        while incoming.readline().strip():
            pass
    connection.sendall(body)
    status = int(incoming.readline().split()[1])
    headers = {}
    while line := incoming.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    assert "transfer-encoding" not in headers, headers
    return Answer(
        status, headers, incoming.read(int(headers["content-length"])) if "content-length" in headers else incoming.read()
    )
