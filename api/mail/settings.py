"""Where mail goes and how: the table `[smtp]`, the environment variables `ACCORD_SMTP_*`, and related settings."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from reconciler.access.instants import parse_duration
from reconciler.mail.addresses import is_address
from reconciler.mail.links import host_of
from reconciler.wording.nearest import did_you_mean

Security = Literal["starttls", "tls", "none"]
SMTP_DEFAULTS = {
    "host": "",
    "port": "",
    "security": "starttls",
    "username": "",
    "password": "",
    "password_file": "",
    "ca_file": "",
    "from": "",
    "helo": "",
    "timeout": "60s",
    "give_up": "3d",
}
"""The keys of `[smtp]`. Each is also an environment variable, such as `ACCORD_SMTP_HOST`."""
_PREFIX = "ACCORD_SMTP_"
_PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
_LONGEST = timedelta(minutes=4)
"""Sending a message must end, one way or the other, before its claim does: `claims.LEASE` is longer."""
_DOTTED = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z][A-Za-z0-9-]*")
_LITERAL = re.compile(r"\[(IPv6:)?[0-9A-Fa-f:.]{2,45}\]")
_LOCAL = re.compile(r"\.local(host|domain)\Z", re.IGNORECASE)
"""Names that every machine has, so that servers refuse them."""


class BadMail(Exception):
    """A mail setting cannot be used; the message says which one, and why."""


class SmtpServer(NamedTuple):
    """A mail server, and the account that we use there."""

    host: str
    port: int
    security: Security
    username: str
    password: str
    ca_file: str
    """Empty for the system's own authorities."""
    helo: str = "[127.0.0.1]"
    """How Accord introduces itself (RFC 5321, section 4.1.1.1): a name, or an address in brackets."""

    @property
    def shown(self) -> str:
        """The server, for people."""
        return f"{self.host}:{self.port}"


class MailSettings(NamedTuple):
    """How this deployment sends mail."""

    delivers: bool
    """Whether this process delivers mail, rather than leaving it to others."""
    server: SmtpServer | None
    maildir: Path
    """Where messages are written if there is no server."""
    sender: str
    timeout: float
    """Seconds that one message may take in total."""
    give_up: timedelta
    public_url: str
    """Where people reach Accord; empty if it is not set."""
    more_link_hosts: frozenset[str] = frozenset()
    """Hosts that links in mails may lead to, besides that of the public URL."""

    @property
    def link_hosts(self) -> frozenset[str]:
        """All hosts that links in any mail may lead to."""
        host = host_of(self.public_url)
        return self.more_link_hosts if host is None else self.more_link_hosts | {host}

    @property
    def shown(self) -> str:
        """Where mail goes, for people."""
        return f"the folder {self.maildir}" if self.server is None else f"the mail server {self.server.shown}"


def read_mail(
    file: Mapping[str, Any], environment: Mapping[str, str], *, mail: str, maildir: str, public_url: str, link_hosts: str
) -> MailSettings:
    """The settings in force: environment variables override the file's table, which overrides the defaults. Raises BadMail."""
    unknown = sorted(set(file) - set(SMTP_DEFAULTS))
    if unknown:
        meant = did_you_mean(unknown[0], SMTP_DEFAULTS) or f"; the settings are {', '.join(SMTP_DEFAULTS)}"
        raise BadMail(f"[smtp]: `{unknown[0]}` is not a setting{meant}")
    if "password" in file:
        raise BadMail("[smtp]: the password does not belong in this file; name a `password_file`, or set ACCORD_SMTP_PASSWORD")
    for key, value in file.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise BadMail(f"[smtp]: `{key}` must be text or a number")

    def setting(name: str) -> str:
        return str(environment.get(f"{_PREFIX}{name.upper()}") or file.get(name) or SMTP_DEFAULTS[name])

    if mail not in ("on", "off"):
        raise BadMail(f"ACCORD_MAIL must be on or off, not `{mail}`")
    if public_url and host_of(public_url) is None:
        raise BadMail(f"ACCORD_PUBLIC_URL must be an address such as `https://accord.example.org`, not `{public_url}`")
    hosts = [each.strip().lower() for each in link_hosts.split(",") if each.strip()]
    for host in hosts:
        if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", host):
            raise BadMail(f"ACCORD_LINK_HOSTS must be names of hosts, such as `wiki.example.org`, not `{host}`")
    timeout = _duration("timeout", setting("timeout"))
    if not timedelta(seconds=1) <= timeout <= _LONGEST:
        raise BadMail(f"ACCORD_SMTP_TIMEOUT must be from 1s to 4m, not `{setting('timeout')}`")
    sender = setting("from") or f"accord@{_own_name()}"
    _check_sender(sender)
    if setting("host") and not setting("from"):
        raise BadMail("ACCORD_SMTP_FROM is missing; set it to the sender of messages, such as `accord@example.org`")
    return MailSettings(
        delivers=mail == "on",
        server=_server(setting, _greeting(setting("helo"), host_of(public_url), sender)) if setting("host") else None,
        maildir=Path(maildir),
        sender=sender,
        timeout=timeout.total_seconds(),
        give_up=_duration("give_up", setting("give_up")),
        public_url=public_url,
        more_link_hosts=frozenset(hosts),
    )


def _greeting(helo: str, public_host: str | None, sender: str) -> str:
    """How to introduce ourselves: many servers refuse a name without a dot, which is what a container has. Raises BadMail.

    The next best names are those that are known to lead here: the public one, and the domain that mail comes from.
    """
    if helo and not (_DOTTED.fullmatch(helo) or _LITERAL.fullmatch(helo)):
        raise BadMail(f"ACCORD_SMTP_HELO must be a name such as `accord.example.org`, or `[192.0.2.1]`, not `{helo}`")
    names = (helo, socket.gethostname(), public_host or "", sender.rpartition("@")[2])
    usual = (name for name in names if _DOTTED.fullmatch(name) and not _LOCAL.search(name))
    return helo or next(usual, "[127.0.0.1]")


def _server(setting: Any, helo: str) -> SmtpServer:
    host, security = setting("host"), setting("security")
    if not (re.fullmatch(r"[A-Za-z0-9._-]{1,253}", host) or _is_ip_address(host)):
        raise BadMail(f"ACCORD_SMTP_HOST must be a name or an address alone, not `{host}`; set the port with ACCORD_SMTP_PORT")
    if security not in _PORTS:
        raise BadMail(f"ACCORD_SMTP_SECURITY must be one of {', '.join(_PORTS)}, not `{security}`")
    port = setting("port") or str(_PORTS[cast(Security, security)])
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise BadMail(f"ACCORD_SMTP_PORT must be a number from 1 to 65535, not `{port}`")
    if security == "none" and not _is_loopback(host):
        raise BadMail(
            "ACCORD_SMTP_SECURITY is `none`, but the mail server is not on this machine, so others could read passwords; use TLS"
        )
    username, password = setting("username"), setting("password")
    if setting("password_file") and not password:
        try:
            password = Path(setting("password_file")).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise BadMail(f"ACCORD_SMTP_PASSWORD_FILE names `{setting('password_file')}`, which cannot be read: {why}") from None
        if not password:
            raise BadMail(f"ACCORD_SMTP_PASSWORD_FILE names `{setting('password_file')}`, which is empty")
    if bool(username) is not bool(password):
        raise BadMail("ACCORD_SMTP_USERNAME and the password belong together; one of them is missing")
    if username and security == "none":
        raise BadMail("ACCORD_SMTP_USERNAME is set, but ACCORD_SMTP_SECURITY is `none`; passwords are only sent over TLS")
    if any(mark in username + password for mark in "\0\r\n"):
        raise BadMail("ACCORD_SMTP_USERNAME and the password must be one line of text each")
    if setting("ca_file"):
        try:
            ssl.create_default_context(cafile=setting("ca_file"))
        except OSError:
            message = f"ACCORD_SMTP_CA_FILE names `{setting('ca_file')}`, which holds no readable certificates"
            raise BadMail(message) from None
    return SmtpServer(
        host=host,
        port=int(port),
        security=cast(Security, security),
        username=username,
        password=password,
        ca_file=setting("ca_file"),
        helo=helo,
    )


def _is_loopback(host: str) -> bool:
    """Whether a connection stays on this machine. The only name that is trusted is `localhost`."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_ip_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _duration(name: str, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise BadMail(f"ACCORD_SMTP_{name.upper()}: {error}") from None


def _own_name() -> str:
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?", name) else "localhost"


def _check_sender(sender: str) -> None:
    if not is_address(sender):
        raise BadMail(f"ACCORD_SMTP_FROM must be an address such as `accord@example.org`, not `{sender}`")
