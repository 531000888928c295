"""What is wrong between here and a domain's controllers, each with what to do about it."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ldap3.utils.conv import escape_filter_chars

from api.directory.controllers import Session
from api.directory.domains import Domain
from api.directory.settings import Controller

_SOON = timedelta(days=30)
_CLOCK = timedelta(minutes=5)
"""How far clocks may be apart: Kerberos' own limit, and a sign that expiries are judged wrongly."""
_SLOW = 0.25


class Finding(NamedTuple):
    """One thing that was looked at."""

    controller: str
    check: str
    ok: bool
    detail: str
    advice: str = ""


def examine(domain: Domain, now: datetime) -> list[Finding]:
    """Look at every controller of a domain. It raises nothing: what goes wrong is a finding."""
    found: list[Finding] = []
    for controller in domain.settings.controllers:
        found += _reachable(domain, controller, now)
    for controller, answer, seconds in domain.controllers.each(lambda session: list(_ask(session, now))):
        if isinstance(answer, Exception):
            advice = "check the service account's name and secret, and that it may log in"
            found.append(Finding(controller.shown, "service account", False, str(answer), advice))
            continue
        found.append(Finding(controller.shown, "service account", True, "it logs in"))
        found += [Finding(controller.shown, *each) for each in answer]
        slow = "" if seconds < _SLOW else "put a nearer controller first"
        found.append(Finding(controller.shown, "latency", not slow, f"{seconds * 1000:.0f} ms for all of this", slow))
    return found


def _reachable(domain: Domain, controller: Controller, now: datetime) -> Iterator[Finding]:
    advice = "check the address, the firewall, and that the controller runs"
    try:
        raw = socket.create_connection((controller.host, controller.port), timeout=domain.settings.try_time)
    except OSError as error:
        yield Finding(controller.shown, "reachable", False, error.strerror or type(error).__name__, advice)
        return
    with raw:
        yield Finding(controller.shown, "reachable", True, f"port {controller.port} accepts connections")
        if not controller.tls:
            return  # StartTLS is looked at by logging in
        context = ssl.create_default_context(cafile=domain.settings.ca_file)
        try:
            with context.wrap_socket(raw, server_hostname=controller.host) as secured:
                certificate = secured.getpeercert() or {}
        except ssl.SSLCertVerificationError as error:
            advice = (
                "name the CA that issued the controller's certificate in `ca_file`, and the controller as its certificate does"
            )
            yield Finding(controller.shown, "certificate", False, error.verify_message, advice)
            return
        except OSError as error:
            yield Finding(
                controller.shown, "certificate", False, f"no TLS: {type(error).__name__}", "give the controller a certificate"
            )
            return
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    soon = ends - now < _SOON
    yield Finding(controller.shown, "certificate", not soon, f"valid until {ends:%Y-%m-%d}", "renew it" if soon else "")


def _ask(session: Session, now: datetime) -> Iterator[tuple[str, bool, str, str]]:
    began = time.time()
    root = session.read("", ["currentTime", "defaultNamingContext"])
    told = (root.attributes.get("currenttime") or [b""])[0].decode("ascii", "replace") if root else ""
    with suppress(ValueError):
        apart = abs(datetime.strptime(told, "%Y%m%d%H%M%S.0Z").replace(tzinfo=UTC) - datetime.fromtimestamp(began, UTC))
        far = apart > _CLOCK
        yield "clock", not far, f"{apart.total_seconds():.0f} s apart", "set the clocks by NTP" if far else ""
    for name, base in (("user base", session.settings.user_base), ("group base", session.settings.group_base)):
        there = session.read(base, ["objectClass"]) is not None
        yield name, there, base, "" if there else f"correct `{name.replace(' ', '_')}`, or let the service account read it"
    own = _own_entry(session)
    if own is None:
        yield (
            "tokenGroups",
            False,
            "the service account's own entry is not below `user_base`",
            "name it by its user principal name",
        )
        return
    entry = session.read(own, ["tokenGroups"])
    readable = entry is not None and "tokengroups" in entry.attributes
    advice = (
        "" if readable else "put it into `Windows Authorization Access Group`; until then nested groups are searched for, slowly"
    )
    yield "tokenGroups", readable, "readable" if readable else "not readable", advice


def _own_entry(session: Session) -> str | None:
    """The DN of the service account, which is configured as a DN, as `name@domain` or as `DOMAIN\\name`."""
    account = session.settings.service_account
    if "=" in account:
        return account
    name = account.rpartition("\\")[2].partition("@")[0]
    condition = f"(|(userPrincipalName={escape_filter_chars(account)})(sAMAccountName={escape_filter_chars(name)}))"
    found = session.search(session.settings.user_base, condition, ["objectSid"], most=1)
    return found[0].dn if found else None


def find_groups(domain: Domain, text: str) -> list[tuple[str, str]]:
    """Groups whose name has a text in it: name and DN, by name. Raises DirectoryUnavailable."""

    def question(session: Session) -> list[tuple[str, str]]:
        condition = f"(&(objectClass=group)(sAMAccountName=*{escape_filter_chars(text)}*))"
        found = session.pages(session.settings.group_base, condition, ["sAMAccountName"])
        names = [((each.attributes.get("samaccountname") or [b""])[0].decode("utf-8", "replace"), each.dn) for each in found]
        return sorted(names)

    return domain.controllers.ask(question)
