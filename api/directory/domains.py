"""The configured domains: which one a login name means, and what it is asked."""

from __future__ import annotations

import time
import unicodedata
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ldap3.core.exceptions import LDAPException
from ldap3.protocol.formatters.formatters import format_sid
from ldap3.protocol.sasl.sasl import validate_simple_password
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import parse_dn

from api.directory.controllers import Controllers, Session
from api.directory.entries import ATTRIBUTES, Entry, read_entry, read_sids
from api.directory.settings import DirectorySettings

LONGEST = 256
_PEOPLE = "(objectCategory=person)(objectClass=user)"
_POLICY_FOR = 300.0
"""Seconds for which a domain's lock-out policy is remembered."""


class LockOut(NamedTuple):
    """When the domain locks an account: after so many wrong passwords within a while; 0: never."""

    threshold: int
    window: timedelta


class Target(NamedTuple):
    """Whom a login name means: an account of a domain, by its sAMAccountName or its user principal name."""

    domain: Domain
    condition: str


class Domain:
    """One domain."""

    def __init__(self, settings: DirectorySettings) -> None:
        self.settings = settings
        self.controllers = Controllers(settings)
        self._policy: tuple[float, LockOut] | None = None

    def find(self, condition: str) -> Entry | None:
        """The one account that a condition means; None where there is none, or more than one. Raises DirectoryUnavailable."""

        def question(session: Session) -> Entry | None:
            found = session.search(self.settings.user_base, f"(&{_PEOPLE}{condition})", ATTRIBUTES, most=1)
            return read_entry(*found[0]) if found else None

        return self.controllers.ask(question)

    def read(self, guid: str) -> tuple[Entry, frozenset[str]] | None:
        """An account as it is now, and all the groups it is in; None where it is gone. Raises DirectoryUnavailable."""

        def question(session: Session) -> tuple[Entry, frozenset[str]] | None:
            found = session.search(self.settings.user_base, f"(&{_PEOPLE}{_is(guid)})", ATTRIBUTES, most=1)
            entry = read_entry(*found[0]) if found else None
            return None if entry is None else (entry, groups_of(session, entry.dn))

        return self.controllers.ask(question)

    def read_all(self, guids: Sequence[str]) -> dict[str, tuple[Entry, frozenset[str]]]:
        """Those of the accounts that are there, each as it is now. All of it, or DirectoryUnavailable."""

        def question(session: Session) -> dict[str, tuple[Entry, frozenset[str]]]:
            condition = f"(&{_PEOPLE}(|{''.join(_is(guid) for guid in guids)}))"
            entries = [read_entry(*each) for each in session.pages(self.settings.user_base, condition, ATTRIBUTES)]
            return {entry.guid: (entry, groups_of(session, entry.dn)) for entry in entries if entry is not None}

        return self.controllers.ask(question)

    def group_sid(self, text: str) -> str | None:
        """The SID of a group by its sAMAccountName or DN; None where there is none, or more. Raises DirectoryUnavailable."""
        if "=" in text and not _is_dn(text):
            return None

        def question(session: Session) -> str | None:
            if "=" in text:
                entry = session.read(text, ["objectSid", "objectClass"])
                found = [] if entry is None else [entry]
            else:
                condition = f"(&(objectClass=group)(sAMAccountName={escape_filter_chars(text)}))"
                found = session.search(self.settings.group_base, condition, ["objectSid", "objectClass"], most=1) or []
            if not found or b"group" not in found[0].attributes.get("objectclass", []):
                return None
            return str(format_sid(found[0].attributes["objectsid"][0]))

        return self.controllers.ask(question)

    def lock_out(self) -> LockOut:
        """The domain's policy. Raises DirectoryUnavailable."""
        if self._policy is None or time.monotonic() - self._policy[0] > _POLICY_FOR:
            self._policy = time.monotonic(), self.controllers.ask(_read_lock_out)
        return self._policy[1]


def _read_lock_out(session: Session) -> LockOut:
    base = ",".join(f"DC={part}" for part in session.settings.dns_name.split("."))
    found = session.read(base, ["lockoutThreshold", "lockOutObservationWindow"])
    attributes = {} if found is None else found.attributes
    threshold = int((attributes.get("lockoutthreshold") or [b"0"])[0])
    window = int((attributes.get("lockoutobservationwindow") or [b"0"])[0])
    return LockOut(threshold, timedelta(microseconds=abs(window) // 10))


def groups_of(session: Session, dn: str) -> frozenset[str]:
    """The SIDs of all groups that an account is in. Raises NotAnswered.

    `tokenGroups` holds nested groups and the primary group; where it may not be read, the matching rule in chain finds the
    nested ones.
    """
    found = session.read(dn, ["tokenGroups"])
    sids = None if found is None else read_sids(found.attributes)
    if sids is not None:
        return sids
    condition = f"(&(objectClass=group)(member:1.2.840.113556.1.4.1941:={escape_filter_chars(dn)}))"
    groups = session.pages(session.settings.group_base, condition, ["objectSid"])
    return frozenset(str(format_sid(group.attributes["objectsid"][0])) for group in groups)


def _is_dn(text: str) -> bool:
    try:
        return bool(parse_dn(text))
    except LDAPException:
        return False


def _is(guid: str) -> str:
    return "(objectGUID=" + "".join(f"\\{byte:02x}" for byte in uuid.UUID(guid).bytes_le) + ")"


class Domains:
    """All of them, in their order."""

    def __init__(self, settings: Iterable[DirectorySettings]) -> None:
        self.all = tuple(Domain(each) for each in settings)

    def __bool__(self) -> bool:
        return bool(self.all)

    def target(self, name: str) -> Target | None:
        """Whom a login name means; None where it can mean nobody in a directory.

        `DOMAIN\\name` is in the domain of that NetBIOS name, `name@domain` in that of the DNS name. A name alone is in the first
        configured domain, and never looked for in the others: whoever runs another domain could otherwise take it.
        """
        before, backslash, after = name.partition("\\")
        if backslash:
            return self._target(after, netbios_name=before)
        account, at, dns_name = name.rpartition("@")
        if at:
            return self._target(account, dns_name=dns_name, principal=name)
        return self._target(name)

    def _target(self, account: str, *, netbios_name: str = "", dns_name: str = "", principal: str = "") -> Target | None:
        for domain in self.all:
            if netbios_name and domain.settings.netbios_name.lower() != netbios_name.lower():
                continue
            if dns_name and domain.settings.dns_name != dns_name.lower():
                continue
            if not can_be_sent(account):
                return None
            condition = f"(sAMAccountName={escape_filter_chars(account)})"
            if principal:
                condition = f"(|(userPrincipalName={escape_filter_chars(principal)}){condition})"
            return Target(domain, condition)
        return None

    def of(self, domain_name: str) -> Domain | None:
        """A domain by its DNS name."""
        return next((each for each in self.all if each.settings.dns_name == domain_name), None)

    def account_name(self, domain: Domain, entry: Entry) -> str:
        """What an account is called here: in the first domain by its name, in the others with the domain behind it."""
        return entry.name if domain is self.all[0] else f"{entry.name}@{domain.settings.dns_name}"

    def group_sid(self, text: str) -> str | None:
        """The SID of a group as a team names it: a SID, a DN, `DOMAIN\\name`, or a name in the first domain."""
        if text.upper().startswith("S-1-"):
            return text.upper()
        domain = self.domain_of_group(text)
        if domain is None:
            return None
        return domain.group_sid(text if "=" in text else text.rpartition("\\")[2])

    def domain_of_group(self, text: str) -> Domain | None:
        """The domain whose group a team names, and whose accounts alone get the team by it: a controller of another could
        say of its own accounts that they are in it. A SID is taken for one of the first domain's."""
        if text.upper().startswith("S-1-"):
            return self.all[0]
        before, backslash, _ = text.partition("\\")
        for domain in self.all:
            base = ",".join(f"DC={part}" for part in domain.settings.dns_name.split("."))
            if "=" in text and not text.lower().replace(" ", "").endswith("," + base.lower()):
                continue
            if "=" not in text and backslash and domain.settings.netbios_name.lower() != before.lower():
                continue
            return domain
        return None

    def close(self) -> None:
        """Close what is open."""
        for domain in self.all:
            domain.controllers.close()


def can_be_sent(text: str) -> bool:
    """Whether a name or a password is one that a directory may be asked about: not blank (an empty password would bind as
    nobody, and succeed), no control characters, not endless.
    """
    if not text.strip() or len(text) > LONGEST:
        return False
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def can_be_password(text: str) -> bool:
    """Whether a password can be sent at all: as `can_be_sent`, and made of characters that SASLprep (RFC 4013) permits."""
    try:
        return can_be_sent(text) and bool(validate_simple_password(text))
    except LDAPException:
        return False


def is_near_lock_out(policy: LockOut, entry: Entry, own_failures: int, last_own: datetime | None, now: datetime) -> bool:
    """Whether one more wrong password could lock an account in its directory; `own_failures` are those that came through here."""
    if policy.threshold == 0:
        return False
    ours = own_failures if last_own is not None and last_own > now - policy.window else 0
    recent = entry.bad_password_at is not None and entry.bad_password_at > now - policy.window
    return max(ours, entry.bad_passwords if recent else 0) >= policy.threshold - 1
