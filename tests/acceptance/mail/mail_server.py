"""A real SMTP server whose behaviour tests can set, a scripted one for behaviour that no real one has, and certificates."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from faulty_proxy import Listener
from waiting import LONG

USERNAME, PASSWORD = "accord", "the mail server's password, ü"


class Authority:
    """Issues good and bad certificates."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Test CA")
        self.file = folder / "ca.pem"
        certificate = self._made(self._name, self._key.public_key(), -1, 90)
        certificate = certificate.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file.write_bytes(certificate.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def _made(self, name: x509.Name, key: Any, begins: int, ends: int) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        number = x509.random_serial_number()
        return x509.CertificateBuilder(self._name, name, key, number, now + timedelta(begins), now + timedelta(ends))

    def context(self, host: str = "127.0.0.1", days: int = 90) -> ssl.SSLContext:
        """A server's side of TLS, with a certificate for a host; with negative days it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        made = self._made(_named(host), key.public_key(), -100, days)
        made = made.add_extension(x509.SubjectAlternativeName([name]), critical=False)
        file = self._folder / f"{host}-{days}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(made.sign(self._key, SHA256()).public_bytes(Encoding.PEM) + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Received(NamedTuple):
    """A message that a server received."""

    recipient: str
    content: bytes
    secured: bool
    login: str | None
    peer: Any
    """The connection's."""

    @property
    def parsed(self) -> EmailMessage:
        found = email.message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        return found


def parts(message: EmailMessage) -> tuple[str, str]:
    """Text and HTML."""
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None and html is not None
    return plain.get_content(), html.get_content()


class MailServer:
    """aiosmtpd, which keeps the messages it receives and can be told to answer differently."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, login: bool = True) -> None:
        self.received: list[Received] = []
        self.answers: dict[str, str | Callable[[str], str | None]] = {}
        """By command: MAIL, RCPT, DATA (after the message)."""
        self.drops: int = 0
        """How many connections to drop once their message has arrived."""
        self.logins = 0
        self.holds = False
        self.holding = 0
        self.port = _free_port()
        secured = {"ssl_context": tls} if tls else {"tls_context": starttls, "require_starttls": True} if starttls else {}
        asks = (
            {"authenticator": self._authenticate, "auth_required": tls is None, "auth_require_tls": tls is None} if login else {}
        )
        self._controller = Controller(self, "127.0.0.1", self.port, **secured, **asks)

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins += 1
        assert isinstance(data, LoginPassword)
        good = (data.login.decode(), data.password.decode()) == (USERNAME, PASSWORD)
        return AuthResult(success=good, handled=False, auth_data=data.login.decode())

    def _answer(self, command: str, about: str) -> str | None:
        answer = self.answers.get(command)
        return answer(about) if callable(answer) else answer

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:
        answer = self._answer("MAIL", address)
        if answer is None:
            envelope.mail_from = address
        return answer or "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:
        answer = self._answer("RCPT", address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.holding += 1
        while self.holds:
            await asyncio.sleep(0.01)
        self.holding -= 1
        answer = self._answer("DATA", envelope.rcpt_tos[0])
        if answer is not None:
            return answer
        if self.drops:
            self.drops -= 1
            server.transport.abort()
            return "250 OK"
        login = session.auth_data if session.authenticated else None
        received = Received(envelope.rcpt_tos[0], envelope.content, session.ssl is not None, login, session.peer)
        self.received.append(received)
        return "250 OK"


@contextmanager
def serving_mail(**how: Any) -> Iterator[MailServer]:
    server = MailServer(**how)
    server.start()
    try:
        yield server
    finally:
        server.stop()


Script = Callable[[socket.socket], None]


class ScriptedServer(Listener):
    """A server that runs a script for each connection."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connections = self.ended = 0
        self.heard: list[bytes] = []
        super().__init__()

    def serve(self, client: socket.socket) -> None:
        self.connections += 1
        with suppress(OSError), client:
            client.settimeout(LONG)
            self._script(client)
        self.ended += 1


def talk(answers: dict[str, bytes], *, greeting: bytes = b"220 hi\r\n", heard: list[bytes] | None = None) -> Script:
    """A script that greets, and answers each command by its first word, or with 250."""

    def script(client: socket.socket) -> None:
        client.sendall(greeting)
        file, in_data = client.makefile("rb"), False
        for line in file:
            if heard is not None:
                heard.append(line)
            if in_data:
                if line == b".\r\n":
                    in_data = False
                    client.sendall(answers.get("BODY", b"250 OK\r\n"))
                continue
            word = line.split()[0].decode("latin-1").upper() if line.split() else ""
            if word == "DATA" and "DATA" not in answers:
                in_data = True
                client.sendall(b"354 go on\r\n")
                continue
            client.sendall(answers.get(word, b"250 OK\r\n"))

    return script


def trickle(text: bytes, seconds: float) -> Script:
    """A script that sends a text byte by byte, forever."""

    def script(client: socket.socket) -> None:
        while True:
            for each in text:
                client.sendall(bytes([each]))
                time.sleep(seconds)

    return script


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
