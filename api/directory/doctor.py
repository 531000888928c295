"""Examining a domain's controllers: what is wrong, and what to do about it."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ldap3.utils.conv import escape_filter_chars

from api.directory.controllers import NotAnswered, Session
from api.directory.domains import Domain
from api.directory.entries import ATTRIBUTES, read_entry, read_sids, read_text
from api.directory.settings import Controller

_SOON = timedelta(days=30)
_CLOCK = timedelta(minutes=5)
"""How far apart clocks may be: Kerberos' own limit. Beyond it, expiry times are judged wrongly."""
_SLOW = 0.25
_SOMEBODY = "(&(objectCategory=person)(objectClass=user)(!(adminCount=1))(!(isCriticalSystemObject=TRUE)))"
"""Ordinary accounts: less can often be read of administrators."""
_START_TLS = b"0\x1d\x02\x01\x01w\x18\x80\x161.3.6.1.4.1.1466.20037"
"""The request (RFC 4511, section 4.14), and what an answer contains if it agrees: result code 0."""
_SUCCESS = b"\x0a\x01\x00"
_UNKNOWN_CA = "name the CA that issued the controller's certificate in `ca_file`"
_OTHER_HOST = "use the name in its certificate in `controllers`, or give it a certificate with this name"
_ADVICE = {
    9: "its certificate is not valid yet: set the clocks by NTP",
    10: "its certificate has expired: renew it on the controller",
    62: _OTHER_HOST,
    64: _OTHER_HOST,
}
"""By OpenSSL's verification error code."""


class Finding(NamedTuple):
    """The result of one check."""

    controller: str
    check: str
    ok: bool
    detail: str
    advice: str = ""


def examine(domain: Domain, now: datetime) -> list[Finding]:
    """Examine every controller of a domain. It raises nothing: every failure is a finding."""
    return [finding for controller in domain.settings.controllers for finding in _examine(domain, controller, now)]


def _examine(domain: Domain, controller: Controller, now: datetime) -> Iterator[Finding]:
    try:
        raw = socket.create_connection((controller.host, controller.port), timeout=domain.settings.try_time)
    except OSError as error:
        advice = "check the address, the firewall, and that the controller is running"
        yield Finding(controller.shown, "reachable", False, error.strerror or type(error).__name__, advice)
        return
    yield Finding(controller.shown, "reachable", True, f"port {controller.port} accepts connections")
    with raw:
        try:
            ends = _secure(raw, controller, domain.settings.ca_file)
        except ssl.SSLCertVerificationError as error:
            advice = _ADVICE.get(error.verify_code, _UNKNOWN_CA)
            yield Finding(controller.shown, "certificate", False, error.verify_message, advice)
            return
        except OSError as error:
            advice = "give the controller a certificate, and check that it answers"
            yield Finding(controller.shown, "certificate", False, f"no TLS: {error}", advice)
            return
    soon = ends - now < _SOON
    yield Finding(controller.shown, "certificate", not soon, f"valid until {ends:%Y-%m-%d}", "renew it" if soon else "")
    began = time.monotonic()
    try:
        answers = domain.controllers.ask_one(controller, lambda session: list(_ask(session)))
    except NotAnswered as error:
        advice = "check the service account's name and secret, and that it may log in"
        yield Finding(controller.shown, "service account", False, str(error), advice)
        return
    seconds = time.monotonic() - began
    yield Finding(controller.shown, "service account", True, "it logs in")
    for answer in answers:
        yield Finding(controller.shown, *answer)
    slow = "" if seconds < _SLOW else "put a nearer controller first"
    yield Finding(controller.shown, "latency", not slow, f"{seconds * 1000:.0f} ms for all of this", slow)


def _secure(raw: socket.socket, controller: Controller, ca_file: str) -> datetime:
    """When a controller's certificate expires, verified the way logins verify it. Raises OSError."""
    if not controller.tls:
        raw.sendall(_START_TLS)
        if _SUCCESS not in raw.recv(4096):
            raise OSError("it refuses StartTLS")
    context = ssl.create_default_context(cafile=ca_file)
    with context.wrap_socket(raw, server_hostname=controller.host) as secured:
        certificate = secured.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


Answer = tuple[str, bool, str, str]


def _ask(session: Session) -> Iterator[Answer]:
    """What the service account can read: for each check its name, whether it passed, what was found and what to do."""
    began = datetime.now(UTC)
    root = session.read("", ["currentTime", "configurationNamingContext"])
    attributes = root.attributes if root else {}
    with suppress(ValueError):
        theirs = datetime.strptime(read_text(attributes, "currentTime"), "%Y%m%d%H%M%S.0Z").replace(tzinfo=UTC)
        far = abs(theirs - began) > _CLOCK
        yield "clock", not far, f"{abs(theirs - began).total_seconds():.0f} s apart", "set the clocks by NTP" if far else ""
    yield from _limits(session, read_text(attributes, "configurationNamingContext"))
    for name, base in (("user base", session.settings.user_base), ("group base", session.settings.group_base)):
        there = session.read(base, ["objectClass"]) is not None
        yield name, there, base, "" if there else f"correct `{name.replace(' ', '_')}`, or let the service account read it"
    yield from _rights(session)


def _limits(session: Session, configuration: str) -> Iterator[Answer]:
    policy = "CN=Default Query Policy,CN=Query-Policies,CN=Directory Service,CN=Windows NT,CN=Services"
    found = session.read(f"{policy},{configuration}", ["lDAPAdminLimits"]) if configuration else None
    limits = dict(re.findall(rb"(\w+)=(\d+)", b" ".join(found.attributes.get("ldapadminlimits", [])))) if found else {}
    entries, seconds = int(limits.get(b"MaxPageSize", 1000)), int(limits.get(b"MaxQueryDuration", 120))
    low = entries < session.settings.results or seconds < session.settings.try_time
    advice = f"set `results` to at most {entries}, and `try_time` to at most {seconds}" if low else ""
    yield "limits", not low, f"{entries} entries a page, {seconds} s a search", advice


def _rights(session: Session) -> Iterator[Answer]:
    """What the service account may read of an account; there is always at least its own."""
    somebody = session.any(session.settings.user_base, _SOMEBODY, ["objectClass"])
    entry = somebody and session.read(somebody.dn, [*ATTRIBUTES, "tokenGroups"])
    advice = f"correct `user_base`, and let it read {', '.join(ATTRIBUTES)} of accounts; until then nobody can log in"
    yield _right("accounts", entry is not None and read_entry(*entry) is not None, advice)
    advice = "add it to `Windows Authorization Access Group`; until then nested groups need slow searches"
    yield _right("tokenGroups", entry is not None and bool(read_sids(entry.attributes, "tokenGroups")), advice)
    container = f"CN=Password Settings Container,CN=System,{session.settings.base}"
    found = session.read(container, ["objectClass"])
    advice = f"let it read `{container}` and its contents; until then accounts with their own settings may fail once a day"
    yield _right("password settings", found is not None and bool(found.attributes.get("objectclass")), advice)


def _right(check: str, readable: bool, advice: str) -> Answer:
    return check, readable, "readable" if readable else "not readable", "" if readable else advice


def find_groups(domain: Domain, text: str) -> list[tuple[str, str]]:
    """Groups whose name contains text: name and DN, sorted by name. Raises DirectoryUnavailable."""

    def question(session: Session) -> list[tuple[str, str]]:
        condition = f"(&(objectClass=group)(sAMAccountName=*{escape_filter_chars(text)}*))"
        found = session.pages(session.settings.group_base, condition, ["sAMAccountName"])
        return sorted((read_text(each.attributes, "sAMAccountName"), each.dn) for each in found)

    return domain.controllers.ask(question)
