"""Handing messages to a mail server. Whatever it answers, or does not, a message takes no longer than it may.

What the server says is a stranger's text: it is cut short and cleared before anybody sees it, and none of it is kept once the
server has been given a secret that it could say back.
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
"""An answer has at most so many lines, of so many bytes (RFC 5321: 512)."""
_SHOWN = 160
_CONNECTING = 15.0
"""Seconds for one of the addresses that a server's name has."""
_LEAVING = 1.0
_TLS_PORT = 465
_UNKNOWN_ISSUER = (18, 19, 20, 21)
"""OpenSSL's codes for a certificate whose issuer is not among those that are trusted."""


class Smtp:
    """A mail server, and the connection that is open to it for as long as there are messages."""

    def __init__(self, server: SmtpServer, *, sender: str, timeout: float) -> None:
        self._server = server
        self._sender = sender
        self._timeout = timeout
        self._conversation: _Conversation | None = None

    def send(self, recipient: str, content: bytes, message_id: str, *, secret: bool) -> None:
        """Hand over one message; `secret`: it holds one. Raises Undelivered."""
        deadline = time.monotonic() + self._timeout
        if self._conversation is not None:
            try:
                self._begin(self._conversation, deadline)
            except Undelivered:  # it was closed meanwhile, or has taken as many as one connection may: that is no failure yet
                self.close()
        conversation = self._conversation
        if conversation is None:
            conversation, _ = self._connect(deadline)
            self._begin(conversation, deadline)
        with self._limited(conversation, deadline, "connection"):
            conversation.hand_over(recipient, content, secret=secret)

    def connect(self) -> str:
        """Open a connection, secure it and log in; how it is secured, in words. Raises Undelivered."""
        return self._connect(time.monotonic() + self._timeout)[1]

    def close(self) -> None:
        """Take leave of the server, where there is a connection."""
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation.leave()

    def cut(self) -> None:
        """End what is under way, from another thread."""
        conversation = self._conversation
        if conversation is not None:
            conversation.cut()

    def _connect(self, deadline: float) -> tuple[_Conversation, str]:
        conversation = self._conversation = _Conversation(self._server, deadline, self._timeout)
        with self._limited(conversation, deadline, "server"):
            return conversation, conversation.open()

    def _begin(self, conversation: _Conversation, deadline: float) -> None:
        with self._limited(conversation, deadline, "server"):
            conversation.expect(250, "does not take messages from us", f"MAIL FROM:<{self._sender}>", fault="server")

    @contextmanager
    def _limited(self, conversation: _Conversation, deadline: float, fault: Fault) -> Iterator[None]:
        """A time limit that a server cannot stretch by sending a byte now and then: at its end the connection is cut.

        Errors become Undelivered. After a fault that is not the message's own the connection is not used again.
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
    """The server does not do what it was asked to; the words follow on its name."""

    def __init__(self, why: str, fault: Fault) -> None:
        super().__init__(why)
        self.fault = fault


class _Strange(OSError):
    """What is there does not speak as a mail server does."""


class _Conversation(smtplib.SMTP):
    """One connection. Its answers are bounded, and it can be cut from another thread, whatever it is doing."""

    def __init__(self, server: SmtpServer, deadline: float, timeout: float) -> None:
        super().__init__(local_hostname=_own_name(), timeout=timeout)
        self._server = server
        self._deadline = deadline
        self._handle: socket.socket | None = None
        self._knows_secret = False
        self._secrets: tuple[str, ...] = ()
        self.has_expired = False

    def open(self) -> str:
        """Connect, secure, log in; how it is secured, in words."""
        code, text = self.connect(self._server.host, self._server.port)
        if code != 220:
            raise self._refusal("server", "does not want to talk", code, text)
        self._greet()
        if self._server.security == "starttls":
            if not self.has_extn("starttls"):
                raise _Refused(
                    "offers no STARTTLS, so nothing was sent: somebody on the way may have taken it out;"
                    " where the port speaks TLS from the start, set ACCORD_SMTP_SECURITY=tls",
                    "server",
                )
            self.expect(220, "refuses STARTTLS, so nothing was sent", "STARTTLS", fault="server")
            self._secure()
            self._greet()
        if self._server.username:
            self._log_in()
        if isinstance(self.sock, ssl.SSLSocket):
            return f"{self.sock.version()}, its certificate is good"
        return "without TLS, on this machine"

    def hand_over(self, recipient: str, content: bytes, *, secret: bool) -> None:
        """The message that was begun."""
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
        """Say a command, which must be answered with a code. Raises _Refused."""
        code, text = self.docmd(command)
        if code != wanted:
            raise self._refusal(fault or _fault(code), otherwise, code, text)

    def is_reset(self) -> bool:
        """Make the server forget the message that was begun; whether it did, so that another may follow."""
        with suppress(OSError, ValueError):
            return self.docmd("RSET")[0] == 250
        return False

    def leave(self) -> None:
        """Say goodbye, and do not wait long for an answer."""
        watch = threading.Timer(_LEAVING, self.cut)
        watch.daemon = True
        watch.start()
        with suppress(OSError, ValueError):
            self.docmd("QUIT")
        watch.cancel()
        self.cut()
        self.close()

    def expire(self) -> None:
        """The time is over."""
        self.has_expired = True
        self.cut()

    def cut(self) -> None:
        """End the connection; who waits for an answer gets none. From any thread, and as often as one likes."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
            handle.close()

    def getreply(self) -> tuple[int, bytes]:
        """One answer. Raises OSError where it is none, or none ends."""
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
                raise _Strange("does not answer as a mail server does")
            texts.append(match[3].strip())
            if not match[2]:
                return int(match[1]), b"\n".join(texts)
        raise _Strange("does not come to the end of its answer")

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if self._server.security == "none":
            found = [each for each in found if ip_address(each[4][0]).is_loopback]
        last: OSError = _Strange("has no address on this machine, and is not to be asked without TLS elsewhere")
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
        """Go on in TLS. What was said before counts for nothing: anybody could have said it (RFC 3207, section 4.2)."""
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
            raise self._refusal("server", "does not greet us", code, text)

    def _log_in(self) -> None:
        assert isinstance(self.sock, ssl.SSLSocket)  # the settings permit nothing else
        offered = self.esmtp_features.get("auth", "").upper().split()
        name, password = self._server.username.encode(), self._server.password.encode()
        plain = b64encode(b"\0" + name + b"\0" + password)
        self._secrets = tuple(each.decode() for each in (plain, b64encode(password), password))
        if "PLAIN" in offered:
            steps = [b"AUTH PLAIN " + plain]
        elif "LOGIN" in offered:
            steps = [b"AUTH LOGIN", b64encode(name), b64encode(password)]
        else:
            raise _Refused("offers no way to log in that Accord knows (AUTH PLAIN or LOGIN)", "server")
        for step in steps:
            code, text = self.docmd(step.decode())
            if code not in (235, 334):
                break
        if code != 235:
            self._knows_secret = True  # its answer may say the password back, in whatever form
            raise self._refusal("server", "does not accept our user name and password", code, text)

    def _refusal(self, fault: Fault, what: str, code: int, text: bytes) -> _Refused:
        if code == 421:  # it is about to close the connection, whatever was asked
            fault = "connection" if fault in ("temporary", "permanent") else fault
        return _Refused(f"{what}: {self._shown(code, text)}", fault)

    def _shown(self, code: int, text: bytes) -> str:
        if self._knows_secret:
            enhanced = re.match(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9])", text)
            return f"{code} {enhanced[0].decode()}" if enhanced else str(code)
        said = _cleared(text.decode("ascii", "replace"), longest=None)
        for secret in filter(None, (_cleared(each, longest=None) for each in self._secrets)):
            said = said.replace(secret, "***")
        # it may have kept those of earlier messages
        return f"{code} {GENERATED.sub('***', said)[:_SHOWN]}".strip()


def _fault(code: int) -> Fault:
    """Whose fault an answer to a command about a message is. An answer that belongs elsewhere is the conversation's."""
    return {4: "temporary", 5: "permanent"}.get(code // 100, "connection")  # type: ignore[return-value]


def _in_words(error: Exception) -> str:  # noqa: PLR0911 - a fault a line
    """What went wrong with a connection, to follow on the server's name."""
    if isinstance(error, _Strange):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not trusted: {_cleared(error.verify_message)}"
    if isinstance(error, ssl.SSLError):
        return f"speaks no TLS that Accord understands ({_cleared(error.reason or 'it ended')})"
    if isinstance(error, socket.gaierror):
        return "cannot be found: its name has no address"
    if isinstance(error, TimeoutError):
        return "does not answer"
    if isinstance(error, ConnectionRefusedError):
        return "refuses connections"
    return "closed the connection"


def _advice(server: SmtpServer, error: Exception) -> str:
    """What may help, to follow on what went wrong; empty where nobody could know."""
    if isinstance(error, socket.gaierror | ConnectionRefusedError):
        return ""
    if server.security == "starttls" and server.port == _TLS_PORT:
        return f"; port {_TLS_PORT} mostly speaks TLS from the start: set ACCORD_SMTP_SECURITY=tls"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "; ACCORD_SMTP_CA_FILE names who may have issued it" if error.verify_code in _UNKNOWN_ISSUER else ""
    if server.security == "tls" and isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "; where the port begins without TLS, set ACCORD_SMTP_SECURITY=starttls"
    return ""


def _cleared(text: str, longest: int | None = _SHOWN) -> str:
    """One line in ASCII, and a short one, that a terminal only shows."""
    visible = "".join(each if " " <= each <= "~" else " " for each in text)
    return " ".join(visible.split())[:longest]


def _own_name() -> str:
    """How we introduce ourselves (RFC 5321, 4.1.3): a name where this machine has one, else an address."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name) else "[127.0.0.1]"
