"""Handing messages to a mail server. Whatever the server does, a message takes no longer than its time limit.

Replies of the server are not trusted: they are shortened and cleaned before anybody sees them. Once the server has been given a
secret that it could echo, they are no longer kept.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any

from api.authentication.generated import GENERATED
from api.mail.errors import Fault, Undelivered
from api.mail.settings import SmtpServer

_LINES, _LINE = 100, 1_000
"""The most lines of a reply, and the most bytes of a line (RFC 5321: 512)."""
_SHOWN = 160
_CONNECTING = 15.0
"""Seconds to connect to one address of a server."""
_LEAVING = 1.0
_GREETING = "does not greet us"
_TLS_PORT = 465
_UNKNOWN_ISSUER = (18, 19, 20, 21)
"""OpenSSL's codes for a certificate whose issuer is not trusted."""


class Smtp:
    """A mail server, and a connection to it that stays open while there are messages."""

    def __init__(self, server: SmtpServer, *, sender: str, timeout: float) -> None:
        self._server = server
        self._sender = sender
        self._timeout = timeout
        self._conversation: _Conversation | None = None

    def send(self, recipient: str, content: bytes, message_id: str, *, secret: bool) -> None:
        """Hand over one message; `secret` says that it holds a secret. Raises Undelivered."""
        deadline = time.monotonic() + self._timeout
        if self._conversation is not None:
            try:
                self._begin(self._conversation, deadline)
            except Undelivered:  # closed meanwhile, or has taken its most messages: not a failure yet
                self.close()
        conversation = self._conversation
        if conversation is None:
            conversation, _ = self._connect(deadline)
            self._begin(conversation, deadline)
        with self._limited(conversation, deadline, "connection"):
            conversation.hand_over(recipient, content, secret=secret)

    def connect(self) -> str:
        """Open a connection, secure it and log in. Returns how it is secured, in words. Raises Undelivered."""
        return self._connect(time.monotonic() + self._timeout)[1]

    def close(self) -> None:
        """Close the connection, if there is one."""
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation.leave()

    def cut(self) -> None:
        """Interrupt a delivery, from another thread."""
        conversation = self._conversation
        if conversation is not None:
            conversation.cut()

    def _connect(self, deadline: float) -> tuple[_Conversation, str]:
        conversation = self._conversation = _Conversation(self._server, deadline, self._timeout)
        with self._limited(conversation, deadline, "server"):
            return conversation, conversation.open()

    def _begin(self, conversation: _Conversation, deadline: float) -> None:
        with self._limited(conversation, deadline, "server"):
            conversation.expect(250, "does not accept messages from us", f"MAIL FROM:<{self._sender}>", fault="server")

    @contextmanager
    def _limited(self, conversation: _Conversation, deadline: float, fault: Fault) -> Iterator[None]:
        """Cut the connection at a deadline, which a server cannot extend by sending a byte now and then.

        Errors become Undelivered. The connection is used again only after a fault of the message itself.
        """
        watch = threading.Timer(max(0.0, deadline - time.monotonic()), conversation.expire)
        watch.daemon = True
        watch.start()
        try:
            yield
        except Exception as error:
            refusal = error if isinstance(error, _Refused) and not conversation.has_expired else None
            if refusal is None or refusal.fault not in ("temporary", "permanent") or not conversation.is_reset():
                self._conversation = None
                conversation.cut()
                conversation.close()
            if refusal is not None:
                raise Undelivered(f"the mail server {self._server.shown} {refusal}", refusal.fault) from None
            if not isinstance(error, OSError | ValueError | _Refused):
                raise
            why = f"did not finish within {self._timeout:g} seconds" if conversation.has_expired else _in_words(error)
            raise Undelivered(f"the mail server {self._server.shown} {why}{_advice(self._server, error)}", fault) from None
        finally:
            watch.cancel()


class _Refused(Exception):
    """The server refused something. The text continues a sentence that begins with the server."""

    def __init__(self, why: str, fault: Fault) -> None:
        super().__init__(why)
        self.fault = fault


class _Strange(OSError):
    """The other side does not behave like a mail server."""


class _Conversation(smtplib.SMTP):
    """One connection. Its replies are bounded, and another thread can cut it at any time."""

    def __init__(self, server: SmtpServer, deadline: float, timeout: float) -> None:
        super().__init__(local_hostname=server.helo, timeout=timeout)
        self._server = server
        self._deadline = deadline
        self._handle: socket.socket | None = None
        self._knows_secret = False
        self._secrets: tuple[str, ...] = ()
        self.has_expired = False

    def open(self) -> str:
        """Connect, secure the connection and log in. Returns how it is secured, in words."""
        code, text = self.connect(self._server.host, self._server.port)
        if code != 220:
            raise self._refusal("server", "refuses to talk to us", code, text)
        self._greet()
        if self._server.security == "starttls":
            if not self.has_extn("starttls"):
                raise _Refused(
                    "offers no STARTTLS, so nothing was sent; somebody on the way may have removed the offer;"
                    " if the port uses TLS from the start, set ACCORD_SMTP_SECURITY=tls",
                    "server",
                )
            self.expect(220, "refuses STARTTLS, so nothing was sent", "STARTTLS", fault="server")
            self._secure()
            self._greet()
        if self._server.username:
            self._log_in()
        if isinstance(self.sock, ssl.SSLSocket):
            return f"{self.sock.version()}, with a trusted certificate"
        return "without TLS, on this machine"

    def hand_over(self, recipient: str, content: bytes, *, secret: bool) -> None:
        """Send the recipient and the content of a message that was begun."""
        code, text = self.docmd(f"RCPT TO:<{recipient}>")
        if code not in (250, 251):
            raise self._refusal(_fault(code), "refuses the recipient", code, text)
        self.expect(354, "refuses the message", "DATA")
        self._knows_secret |= secret
        assert self.sock is not None
        self.sock.sendall(re.sub(rb"(?m)^\.", b"..", content) + (b"" if content.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        code, text = self.getreply()
        if code != 250:
            raise self._refusal(_fault(code), "refuses the message", code, text)

    def expect(self, wanted: int, otherwise: str, command: str, fault: Fault | None = None) -> None:
        """Send a command, which must be answered with this code. Raises _Refused."""
        code, text = self.docmd(command)
        if code != wanted:
            raise self._refusal(fault or _fault(code), otherwise, code, text)

    def is_reset(self) -> bool:
        """Reset the conversation after a message was begun. Returns whether another message can follow."""
        with suppress(OSError, ValueError):
            return self.docmd("RSET")[0] == 250
        return False

    def leave(self) -> None:
        """Say goodbye, without waiting long for the reply."""
        watch = threading.Timer(_LEAVING, self.cut)
        watch.daemon = True
        watch.start()
        with suppress(OSError, ValueError):
            self.docmd("QUIT")
        watch.cancel()
        self.cut()
        self.close()

    def expire(self) -> None:
        """Cut the connection, because its time is over."""
        self.has_expired = True
        self.cut()

    def cut(self) -> None:
        """Cut the connection, even if somebody waits for a reply. Any thread may call this, any number of times."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
            handle.close()

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply. Raises OSError if it is not a valid reply, or too long."""
        if self.file is None:
            assert self.sock is not None
            self.file = self.sock.makefile("rb")
        texts = []
        for _ in range(_LINES):
            line = self.file.readline(_LINE)
            if not line:
                raise _Strange("closed the connection")
            match = re.fullmatch(rb"([2-5][0-9][0-9])(-?)(.*)\n", line, re.DOTALL)
            if match is None:
                raise _Strange("does not reply as a mail server does")
            texts.append(match[3].strip())
            if not match[2]:
                return int(match[1]), b"\n".join(texts)
        raise _Strange("does not finish its reply")

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if self._server.security == "none":
            found = [each for each in found if ip_address(each[4][0]).is_loopback]
        last: OSError = _Strange("has no address on this machine, and Accord does not use other machines without TLS")
        for family, kind, protocol, _, address in found:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(min(left, _CONNECTING))
            try:
                connection.connect(address)
            except OSError as error:
                connection.close()
                last = error
                continue
            connection.settimeout(timeout)
            self._handle = connection.dup()
            if self.has_expired:
                raise TimeoutError
            if self._server.security == "tls":
                return self._context().wrap_socket(connection, server_hostname=host)
            return connection
        raise last

    def _secure(self) -> None:
        """Continue with TLS. Forget what was received before, since anybody could have sent it (RFC 3207, section 4.2)."""
        assert self.sock is not None and self.file is not None
        self.sock = self._context().wrap_socket(self.sock, server_hostname=self._server.host)
        self.file.close()
        self.file = None
        self.esmtp_features = {}
        self.ehlo_resp = self.helo_resp = None

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._server.ca_file or None)

    def _greet(self) -> None:
        code, text = self.ehlo()
        if code != 250:
            raise self._refusal("server", _GREETING, code, text)

    def _log_in(self) -> None:
        assert isinstance(self.sock, ssl.SSLSocket)  # the settings require it
        offered = self.esmtp_features.get("auth", "").upper().split()
        name, password = self._server.username.encode(), self._server.password.encode()
        plain = b64encode(b"\0" + name + b"\0" + password)
        self._secrets = tuple(each.decode() for each in (plain, b64encode(password), password))
        if "PLAIN" in offered:
            steps = [b"AUTH PLAIN " + plain]
        elif "LOGIN" in offered:
            steps = [b"AUTH LOGIN", b64encode(name), b64encode(password)]
        else:
            raise _Refused("offers neither AUTH PLAIN nor AUTH LOGIN, the ways to log in that Accord knows", "server")
        for step in steps:
            code, text = self.docmd(step.decode())
            if code not in (235, 334):
                break
        if code != 235:
            self._knows_secret = True  # its reply may echo the password in some form
            raise self._refusal("server", "rejects our user name and password", code, text)

    def _refusal(self, fault: Fault, what: str, code: int, text: bytes) -> _Refused:
        if code == 421:  # it is about to close the connection
            fault = "connection" if fault in ("temporary", "permanent") else fault
        return _Refused(f"{what}: {self._shown(code, text)}{self._about_name(what, text)}", fault)

    def _about_name(self, what: str, text: bytes) -> str:
        """Advice if a refusal is about the name that we gave; many servers refuse it only with the recipient."""
        if what != _GREETING and not re.search(rb"\b(?:helo|ehlo)\b", text, re.IGNORECASE):
            return ""
        return f"; Accord introduces itself as {self._server.helo}; set ACCORD_SMTP_HELO to a name that it accepts"

    def _shown(self, code: int, text: bytes) -> str:
        if self._knows_secret:
            enhanced = re.match(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9])", text)
            return f"{code} {enhanced[0].decode()}" if enhanced else str(code)
        said = _cleared(text.decode("ascii", "replace"), longest=None)
        for secret in filter(None, (_cleared(each, longest=None) for each in self._secrets)):
            said = said.replace(secret, "***")
        # it may echo passwords of earlier messages
        return f"{code} {GENERATED.sub('***', said)[:_SHOWN]}".strip()


def _fault(code: int) -> Fault:
    """The side at fault for a reply to a command about a message. For an unexpected code, that is the connection."""
    return {4: "temporary", 5: "permanent"}.get(code // 100, "connection")  # type: ignore[return-value]


def _in_words(error: Exception) -> str:  # noqa: PLR0911 - one fault per line
    """What went wrong with a connection. The text continues a sentence that begins with the server."""
    if isinstance(error, _Strange):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has an untrusted certificate: {_cleared(error.verify_message)}"
    if isinstance(error, ssl.SSLError):
        return f"speaks no TLS that Accord understands ({_cleared(error.reason or 'the connection ended')})"
    if isinstance(error, socket.gaierror):
        return "cannot be found; its name has no address"
    if isinstance(error, TimeoutError):
        return "does not answer"
    if isinstance(error, ConnectionRefusedError):
        return "refuses connections"
    return "closed the connection"


def _advice(server: SmtpServer, error: Exception) -> str:
    """Advice to append to what went wrong; empty if there is none."""
    if isinstance(error, socket.gaierror | ConnectionRefusedError):
        return ""
    if server.security == "starttls" and server.port == _TLS_PORT:
        return f"; port {_TLS_PORT} usually speaks TLS from the start; set ACCORD_SMTP_SECURITY=tls"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            "; if you trust its issuer, set ACCORD_SMTP_CA_FILE to a file with the issuer's certificate"
            if error.verify_code in _UNKNOWN_ISSUER
            else ""
        )
    if server.security == "tls" and isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "; if the port begins without TLS, set ACCORD_SMTP_SECURITY=starttls"
    return ""


def _cleared(text: str, longest: int | None = _SHOWN) -> str:
    """A short line of printable ASCII."""
    visible = "".join(each if " " <= each <= "~" else " " for each in text)
    return " ".join(visible.split())[:longest]
