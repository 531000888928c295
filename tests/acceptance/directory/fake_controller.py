"""A controller that misbehaves as Samba never would. It speaks LDAP as bytes over TLS, and knows a few accounts and groups."""

from __future__ import annotations

import socket
import ssl
import subprocess
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from faulty_proxy import Listener

PASSWORD = "Passw0rd-User1"
REALM = "corp.example.org"
_BIND, _SEARCH, _EXTENDED = 0x60, 0x63, 0x77
_PAGED = b"1.2.840.113556.1.4.319"


class Certificate(NamedTuple):
    """The identity that a controller claims."""

    chain: Path
    key: Path


class Authority:
    """Issues certificates, good ones and bad ones."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.file = folder / "ca.pem"
        self._openssl(
            "req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "90", "-subj", "/CN=Test CA", *_USAGE
        )

    def issue(self, name: str = "IP:127.0.0.1", days: int = 90) -> Certificate:
        """A certificate for a name; with a negative number of days it has already expired."""
        stem = uuid.uuid4().hex
        (self._folder / f"{stem}.ext").write_text(f"subjectAltName={name}\nextendedKeyUsage=serverAuth\n")
        self._openssl("req", *_KEY, "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj", "/CN=controller")
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days), "-extfile", f"{stem}.ext"]
        self._openssl("x509", "-req", "-in", f"{stem}.csr", *signing, "-out", f"{stem}.pem")
        return Certificate(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_USAGE = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def sid(number: int) -> bytes:
    """A SID of the domain."""
    return bytes.fromhex("010500000000000515000000" + "01000000" * 3) + number.to_bytes(4, "little")


class Fault(NamedTuple):
    """How the controller ends an operation: with a result code, referrals, or no more bytes."""

    code: int = 0
    referral: str = ""
    cut: bool = False


class Search(NamedTuple):
    """A search; its filter is within `data`."""

    base: str
    scope: int
    wanted: list[str]
    data: bytes


class StartTls(list[bytes]):
    """The answer to StartTLS, the only extended operation that is used."""


class FakeController(Listener):
    """One controller, on a port of its own."""

    def __init__(self, ca_file: Path, certificate: Certificate, *, tls: bool = True, realm: str = REALM) -> None:
        self.ca_file = ca_file
        self.realm = realm
        self.base = ",".join(f"DC={part}" for part in realm.split("."))
        self.entries: dict[str, dict[str, list[bytes]]] = {
            self.base: {"lockoutThreshold": [b"0"], "lockoutObservationWindow": [b"0"]}
        }
        """By DN."""
        self.range: int | None = None
        """How many values of an attribute it sends at a time."""
        self.search_fault: Fault | None = None
        """For searches by GUID; searches by name always succeed."""
        self.page: int | None = None
        """Entries a page; a fault is then on the second."""
        self.bind_fault: Fault | None = None
        self.continuation = ""
        """Where it refers to for more of the directory."""
        self.binds: list[str] = []
        """Who tried to bind."""
        self.passwords: list[bytes] = []
        """With what."""
        self.diagnosis = "80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error, data 52e, v4563"
        """Its message about refused credentials."""
        self._tls = tls
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.chain, certificate.key)
        super().__init__()
        self.url = f"{'ldaps' if tls else 'ldap'}://127.0.0.1:{self.port}"

    def add_account(self, name: str, *groups: bytes, **attributes: bytes) -> str:
        """Add an account with the common password; its DN."""
        dn = f"CN={name},CN=Users,{self.base}"
        self.entries[dn] = {
            "objectGUID": [uuid.uuid4().bytes_le],
            "sAMAccountName": [name.encode()],
            "userAccountControl": [b"512"],
            "msDS-User-Account-Control-Computed": [b"0"],
            "accountExpires": [b"0"],
            "pwdLastSet": [b"134000000000000000"],
            "badPwdCount": [b"0"],
            "tokenGroups": [sid(513), *groups],
            **{key.replace("_", "-"): [value] for key, value in attributes.items()},
        }
        return dn

    def add_group(self, name: str, number: int) -> str:
        """Add a group; its DN."""
        dn = f"CN={name},CN=Users,{self.base}"
        self.entries[dn] = {"sAMAccountName": [name.encode()], "objectClass": [b"group"], "objectSid": [sid(number)]}
        return dn

    def serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self._tls:
                client = self._context.wrap_socket(client, server_side=True)
            while (answers := self._answers(_receive(client))) is not None:
                for answer in answers:
                    client.sendall(answer)
                if isinstance(answers, StartTls):
                    client = self._context.wrap_socket(client, server_side=True)
        except (OSError, EOFError):
            pass  # the client has had enough, or thinks nothing of our certificate
        finally:
            client.close()

    def _answers(self, data: bytes) -> Iterable[bytes] | None:
        (_, message), *_ = _parts(data)
        (_, number), (kind, request), *controls = _parts(message)
        if kind == _EXTENDED:
            return StartTls([_message(number, _tlv(0x78, _result(0)))])
        if kind == _BIND:
            _, (_, name), (_, password) = _parts(request)
            return [_message(number, _tlv(0x61, self._bind(name.decode(), password)))]
        if kind == _SEARCH:
            (_, base), (_, scope), *_, (_, wanted) = _parts(request)
            search = Search(base.decode(), scope[0], [name.decode() for _, name in _parts(wanted)], request)
            offset = _offset(controls[0][1]) if controls else 0
            return (_message(number, *answer) for answer in self._search(search, offset))
        return None

    def _bind(self, name: str, password: bytes) -> bytes:
        self.binds.append(name)
        self.passwords.append(password)
        if self.bind_fault is not None and not name.startswith("svc"):
            return _result(self.bind_fault.code, self.bind_fault.referral)
        return _result(0) if password == PASSWORD.encode() else _result(49, message=self.diagnosis)

    def _search(self, search: Search, offset: int) -> Iterator[tuple[bytes, ...]]:
        found = [dn for dn in self.entries if self._matches(dn, search)]
        end = offset + (self.page or len(found))
        fault = self.search_fault if _BY_GUID in search.data and bool(offset) is bool(self.page) else None
        for dn in found[offset : end if fault is None else offset + 1]:
            yield (_tlv(0x64, self._entry(dn, search.wanted)),)
        if self.continuation:
            yield (_tlv(0x73, _octets(self.continuation.encode())),)
        if fault is None:
            cookie = str(end).encode() if end < len(found) else b""
            value = _tlv(0x30, _tlv(0x02, b"\0"), _octets(cookie))
            control = _tlv(0xA0, _tlv(0x30, _octets(_PAGED), _octets(value)))
            yield _tlv(0x65, _result(0 if found or search.scope else 32)), control
        elif fault.cut:
            raise EOFError
        else:
            yield (_tlv(0x65, _result(fault.code, fault.referral)),)

    def _matches(self, dn: str, search: Search) -> bool:
        """Whether a search matches an entry: as its base, or by the bytes of its filter."""
        if search.scope == 0:
            return dn == search.base
        if _ANYBODY in search.data:
            return "objectGUID" in self.entries[dn]
        guids, names = (self.entries[dn].get(name, [b"nobody is called so"]) for name in ("objectGUID", "sAMAccountName"))
        return _BY_GUID + guids[0] in search.data or _octets(b"sAMAccountName") + _octets(names[0]) in search.data

    def _entry(self, dn: str, wanted: list[str]) -> bytes:
        given = []
        for asked in wanted:
            name, _, span = asked.partition(";range=")
            values = next((found for key, found in self.entries[dn].items() if key.lower() == name.lower()), [])
            start = int(span.partition("-")[0] or 0)
            if self.range is not None and len(values) > self.range:
                end = start + self.range
                name, values = f"{name};range={start}-{end - 1 if end < len(values) else '*'}", values[start:end]
            if values:
                given.append(_tlv(0x30, _octets(name.encode()), _tlv(0x31, *(_octets(value) for value in values))))
        return _octets(dn.encode()) + _tlv(0x30, *given)


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each value, in bytes that hold nothing else."""
    found = []
    while data:
        size, start = data[1], 2
        if size >= 0x80:
            start += size - 0x80
            size = int.from_bytes(data[2:start], "big")
        found.append((data[0], data[start : start + size]))
        data = data[start + size :]
    return found


def _offset(controls: bytes) -> int:
    """Where a page begins, by its cookie."""
    for _, control in _parts(controls):
        (_, kind), *_, (_, value) = _parts(control)
        if kind == _PAGED:
            _, (_, cookie) = _parts(_parts(value)[0][1])
            return int(cookie or b"0")
    return 0


def _receive(client: socket.socket) -> bytes:
    head = _exactly(client, 2)
    if head[1] < 0x80:
        return head + _exactly(client, head[1])
    length = _exactly(client, head[1] - 0x80)
    return head + length + _exactly(client, int.from_bytes(length, "big"))


def _exactly(client: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = client.recv(count - len(found))
        if not part:
            raise EOFError
        found += part
    return found


def _message(number: bytes, *content: bytes) -> bytes:
    return _tlv(0x30, _tlv(0x02, number), *content)


def _result(code: int, referral: str = "", message: str = "") -> bytes:
    return (
        _tlv(0x0A, bytes([code]))
        + _octets(b"")
        + _octets(message.encode())
        + (_tlv(0xA3, _octets(referral.encode())) if referral else b"")
    )


def _octets(value: bytes) -> bytes:
    return _tlv(0x04, value)


def _tlv(tag: int, *content: bytes) -> bytes:
    value = b"".join(content)
    length = len(value).to_bytes(4, "big")
    return bytes([tag]) + (bytes([len(value)]) if len(value) < 0x80 else b"\x84" + length) + value


_BY_GUID = _octets(b"objectGUID") + b"\x04\x10"
_ANYBODY = _octets(b"adminCount")
