"""The configured domains: which one a login name belongs to, and what it is asked."""

from __future__ import annotations

import logging
import math
import secrets
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import parse_dn

from api.directory.controllers import Controllers, Found, NotAnswered, Session
from api.directory.entries import (
    ATTRIBUTES,
    Account,
    Attributes,
    Entry,
    is_account_name,
    read_entry,
    read_guid,
    read_instant,
    read_number,
    read_sids,
    read_text,
)
from api.directory.lockout import NOBODY, STRICTEST, DirectoryCount, Policy
from api.directory.settings import DirectorySettings

_log = logging.getLogger("accord.api")
LONGEST = 256
_PEOPLE = "(objectCategory=person)(objectClass=user)"
_COUNTS = ["badPwdCount", "badPasswordTime", "msDS-ResultantPSO", "pwdLastSet"]
_POLICY_FOR = 300.0
"""Seconds for which a lockout policy is remembered."""
_LONGEST_WINDOW = timedelta(days=100)
"""The domain's own limit is 99,999 minutes."""
NOBODY_CONDITION = f"(sAMAccountName={secrets.token_hex(16)})"
NOBODYS_PASSWORD = secrets.token_urlsafe(16)


class Target(NamedTuple):
    """The account that a login name means, by its sAMAccountName or its user principal name."""

    domain: Domain
    condition: str


class Domain:
    """One domain."""

    def __init__(self, settings: DirectorySettings) -> None:
        self.settings = settings
        self.controllers = Controllers(settings)
        self._policies: dict[str, tuple[float, Policy]] = {}
        """By the DN that holds each policy: the domain itself, or a password settings object."""

    def find(self, condition: str) -> tuple[Entry, DirectoryCount]:
        """The one account that matches a condition, and how close it is to being locked; nobody if none or several match.

        Raises DirectoryUnavailable.
        """

        def question(session: Session) -> tuple[Entry, DirectoryCount]:
            wanted = list(dict.fromkeys((*ATTRIBUTES, *_COUNTS)))
            found = session.search(self.settings.user_base, f"(&{_PEOPLE}{condition})", wanted, most=1)
            entry = read_entry(*found[0]) if found else None
            if not found or entry is None:
                return self._nobody(), DirectoryCount(self._policy(session, ""), 0, None)
            return entry, self._count(session, found[0].attributes)

        return self.controllers.ask(question)

    def _nobody(self) -> Entry:
        """What stands for an account where there is none. Its name cannot belong to an account."""
        return Entry(NOBODY, "", f"CN={uuid.uuid4().hex},{self.settings.user_base}", None, "", True, None, False, False)

    def bind_as_nobody(self) -> None:
        """Take the time of a bind, where no password may be sent. Raises DirectoryUnavailable."""
        self.controllers.refuses(self._nobody().dn, NOBODYS_PASSWORD)

    def read(self, guid: str) -> Account | None:
        """An account as it is now; None if it is gone. Raises DirectoryUnavailable."""

        def question(session: Session) -> Account | None:
            found = session.search(self.settings.user_base, f"(&{_PEOPLE}{_is(guid)})", ATTRIBUTES, most=1)
            account = _account(session, found[0]) if found else None
            if found is None or (found and account is None):
                raise NotAnswered("it does not show all of an account")
            if guid == NOBODY:
                session.read(self._nobody().dn, ["tokenGroups"])
            return account

        return self.controllers.ask(question)

    def read_all(self, guids: Sequence[str]) -> dict[str, Account | None]:
        """The accounts that exist, each as it is now; None for an account that is not shown completely.

        It takes no place from logins, so that logins cannot block it. Raises DirectoryUnavailable unless all were read.
        """

        def question(session: Session) -> dict[str, Account | None]:
            condition = f"(&{_PEOPLE}(|{''.join(_is(guid) for guid in guids)}))"
            found = {read_guid(each.attributes): each for each in session.pages(self.settings.user_base, condition, ATTRIBUTES)}
            if None in found:
                raise NotAnswered("it does not show the GUID of an account")
            return {str(guid): _account(session, each) for guid, each in found.items()}

        return self.controllers.ask(question, in_background=True)

    def group_sid(self, text: str) -> str | None:
        """The SID of a group by its sAMAccountName or DN; None if none or several match. Raises DirectoryUnavailable."""
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
            return next(iter(read_sids(found[0].attributes, "objectSid")), None)

        return self.controllers.ask(question)

    def lockout(self, dn: str) -> DirectoryCount:
        """How close an account is to being locked there now. Raises DirectoryUnavailable."""

        def question(session: Session) -> DirectoryCount:
            found = session.read(dn, _COUNTS)
            if found is None:
                raise NotAnswered("an account was moved")
            return self._count(session, found.attributes)

        return self.controllers.ask(question)

    def _count(self, session: Session, attributes: Attributes) -> DirectoryCount:
        policy = self._policy(session, read_text(attributes, "msDS-ResultantPSO"))
        last, changed = (read_instant(read_number(attributes, name) or 0) for name in ("badPasswordTime", "pwdLastSet"))
        return DirectoryCount(policy, read_number(attributes, "badPwdCount") or 0, last, changed)

    def _policy(self, session: Session, settings_object: str) -> Policy:
        """The policy of the domain, or of a password settings object."""
        read_at, policy = self._policies.get(settings_object, (-math.inf, STRICTEST))
        if time.monotonic() - read_at > _POLICY_FOR:
            policy = _read_policy(session, settings_object) if settings_object else _read_policy(session, self.settings.base, "")
            self._policies[settings_object] = time.monotonic(), policy
        return policy


def _account(session: Session, found: Found) -> Account | None:
    entry = read_entry(*found)
    return None if entry is None else Account(entry, groups_of(session, found.dn))


def _read_policy(session: Session, dn: str, prefix: str = "msDS-") -> Policy:
    names = [f"{prefix}LockoutThreshold", f"{prefix}LockoutObservationWindow"]
    found = session.read(dn, names)
    threshold, window = (read_number(found.attributes if found else {}, name) for name in names)
    if threshold is None or window is None:
        _log.warning("%s cannot be read, so accounts it applies to may send at most one wrong password a day", dn)
        return STRICTEST
    return Policy(threshold, min(timedelta(microseconds=abs(window) // 10), _LONGEST_WINDOW))


def groups_of(session: Session, dn: str) -> frozenset[str]:
    """The SIDs of all groups that an account is in. Raises NotAnswered.

    `tokenGroups` holds nested groups and the primary group. If it cannot be read, the matching rule in chain finds the nested
    groups.
    """
    found = session.read(dn, ["tokenGroups"])
    if found is None:
        raise NotAnswered("an account was moved")
    sids = read_sids(found.attributes, "tokenGroups")
    if sids:
        return sids
    condition = f"(&(objectClass=group)(member:1.2.840.113556.1.4.1941:={escape_filter_chars(dn)}))"
    groups = session.pages(session.settings.group_base, condition, ["objectSid"])
    return frozenset(sid for group in groups for sid in read_sids(group.attributes, "objectSid"))


def _is_dn(text: str) -> bool:
    try:
        return bool(parse_dn(text))
    except LDAPException:
        return False


def _is(guid: str) -> str:
    return "(objectGUID=" + "".join(f"\\{byte:02x}" for byte in uuid.UUID(guid).bytes_le) + ")"


class Domains:
    """All domains, in the configured order."""

    def __init__(self, settings: Iterable[DirectorySettings]) -> None:
        self.all = tuple(Domain(each) for each in settings)

    def __bool__(self) -> bool:
        return bool(self.all)

    def target(self, name: str) -> Target | None:
        """The account that a login name means; None if it cannot mean any directory account.

        `DOMAIN\\name` belongs to the domain with that NetBIOS name, `name@domain` to the one with that DNS name. A bare name
        belongs to the first configured domain. The others are never searched for it, or their administrators could take it.
        `name@suffix` is a user principal name of the domain that lists the suffix, and if none does, of the first.
        """
        before, backslash, after = name.partition("\\")
        account, at, suffix = name.rpartition("@")
        domain: Domain | None
        if backslash:
            domain, account = self._where(lambda each: each.netbios_name.lower() == before.lower()), after
        elif at:
            domain = self._where(lambda each: each.dns_name == suffix.lower())
        else:
            domain, account = self.all[0], name
        if not can_be_sent(account):
            return None
        condition = f"(sAMAccountName={escape_filter_chars(account)})"
        if at and not backslash:
            principal = f"(userPrincipalName={escape_filter_chars(name)})"
            if domain is None:
                return Target(self._where(lambda each: suffix.lower() in each.upn_suffixes) or self.all[0], principal)
            condition = f"(|{principal}{condition})"
        return None if domain is None else Target(domain, condition)

    def serve(self, name: str) -> bool:
        """Whether a login name is written with one of the domains: `DOMAIN\\name`, `name@domain`, or a suffix that one lists."""
        before, backslash, _ = name.partition("\\")
        if backslash:
            return self._where(lambda each: each.netbios_name.lower() == before.lower()) is not None
        suffix = name.rpartition("@")[2].lower()
        return "@" in name and self._where(lambda each: suffix in (each.dns_name, *each.upn_suffixes)) is not None

    def guid_of(self, name: str) -> str | None:
        """The GUID of the account that a login name means; None if there is none. Raises DirectoryUnavailable."""
        target = self.target(name) if self.all else None
        if target is None:
            return None
        entry, _ = target.domain.find(target.condition)
        return None if entry.guid == NOBODY else entry.guid

    def _where(self, fits: Callable[[DirectorySettings], bool]) -> Domain | None:
        return next((each for each in self.all if fits(each.settings)), None)

    def of(self, domain_name: str) -> Domain | None:
        """A domain by its DNS name."""
        return next((each for each in self.all if each.settings.dns_name == domain_name), None)

    def account_name(self, domain: Domain, entry: Entry) -> str:
        """The name of an account here: in the first domain its own, in the others followed by the domain.

        Empty, which is no valid name, if its name cannot be used here.
        """
        if not is_account_name(entry.name):
            return ""
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
        """The domain of a group that a team names. Only accounts of this domain get the team through it: a controller of another
        domain could claim that its own accounts are members. A SID counts as one of the first domain."""
        if text.upper().startswith("S-1-"):
            return self.all[0]
        before, backslash, _ = text.partition("\\")
        for domain in self.all:
            if "=" in text and not text.lower().replace(" ", "").endswith("," + domain.settings.base.lower()):
                continue
            if "=" not in text and backslash and domain.settings.netbios_name.lower() != before.lower():
                continue
            return domain
        return None

    def close(self) -> None:
        """Close all connections."""
        for domain in self.all:
            domain.controllers.close()


def can_be_sent(text: str) -> bool:
    """Whether a name may be sent to a directory: not blank, no control characters, not too long."""
    if not text.strip() or len(text) > LONGEST:
        return False
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
