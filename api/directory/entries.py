"""What a directory says of an account, as plain values; pure."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ldap3.protocol.formatters.formatters import format_sid, format_uuid_le

from reconciler.mail.addresses import mailbox

ATTRIBUTES = [
    "objectGUID", "sAMAccountName", "displayName", "mail", "userAccountControl", "accountExpires", "pwdLastSet",
    "msDS-User-Account-Control-Computed",
]  # fmt: skip
_DISABLED, _LOCKED, _PASSWORD_EXPIRED = 0x2, 0x10, 0x800000
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_NEVER = (0, 2**63 - 1)
_FORBIDDEN = frozenset('"/\\[]:;|=,*?<>@')
WRONG, REFUSED = "wrong-password", "refused-by-directory"
_REFUSALS = {
    0x525: "unknown-account",
    0x52E: WRONG,
    0x530: "outside-hours-in-directory",
    0x531: "workstation-not-permitted-in-directory",
    0x532: "password-expired-in-directory",
    0x533: "disabled-in-directory",
    0x701: "expired-in-directory",
    0x773: "must-change-password-in-directory",
    0x775: "locked-in-directory",
}
"""What Active Directory's sub-codes mean: the Win32 error codes (MS-ERREF, 2.2) at the end of the message of code 49. It gives
most of them only to the right password."""
Attributes = dict[str, list[bytes]]
"""As a controller sent them, by lower-case name."""


class Entry(NamedTuple):
    """An account in its directory. Anything uncertain counts against it."""

    guid: str
    name: str
    """Its sAMAccountName in lower case."""
    dn: str
    full_name: str | None
    mail: str
    """An address that mail can be sent to; empty if the directory has none."""
    disabled: bool
    expires_at: datetime | None
    locked: bool
    must_change_password: bool

    def ended(self, now: datetime) -> str | None:
        """Why the account has no access at all, even with existing sessions; None if it has access."""
        if self.disabled:
            return "disabled-in-directory"
        return "expired-in-directory" if self.expires_at is not None and self.expires_at <= now else None

    def refusal(self, now: datetime) -> str | None:
        """Why the account may not log in; None if it may."""
        if self.locked:
            return "locked-in-directory"
        return self.ended(now) or ("must-change-password-in-directory" if self.must_change_password else None)


class Account(NamedTuple):
    """An account, and the SIDs of all groups that it is in."""

    entry: Entry
    sids: frozenset[str]


def refusal_of(message: str) -> str:
    """Why a bind was refused, by the message of its invalid credentials. Without a sub-code the password was wrong (RFC 4511)."""
    found = re.search(r"\bdata ([0-9a-fA-F]{1,8})\b", message)
    return _REFUSALS.get(int(found[1], 16), REFUSED) if found else WRONG


def read_entry(dn: str, attributes: Attributes) -> Entry | None:
    """An entry from its attributes; None if they are incomplete or not those of an account."""
    guid, name = read_guid(attributes), _first(attributes, "sAMAccountName")
    control, computed = (
        read_number(attributes, "userAccountControl"),
        read_number(attributes, "msDS-User-Account-Control-Computed"),
    )
    expires, changed = read_number(attributes, "accountExpires"), read_number(attributes, "pwdLastSet")
    if not dn or not guid or not name or control is None or computed is None or expires is None or changed is None:
        return None
    return Entry(
        guid,
        name.lower() if all(each.isascii() or not each.lower().isascii() for each in name) else name,
        dn,
        read_text(attributes, "displayName") or None,
        mailbox(read_text(attributes, "mail")) or "",
        bool(control & _DISABLED),
        read_instant(expires),
        bool(computed & _LOCKED),
        changed == 0 or bool(computed & _PASSWORD_EXPIRED),
    )


def is_account_name(name: str) -> bool:
    """Whether an account's name in its directory can be its name here, in lower case.

    What Active Directory's own tools refuse cannot: some of it has a meaning in paths, in lists, in the audit log, or before a
    domain. Neither can characters that are not seen, letters that this Python does not know (a database may know their lower
    case), and a letter that looks different and is ASCII in lower case (the Kelvin sign): with it, a name would be another's.
    """
    if not name.strip(".") or name != name.strip() or name != name.lower() or not _FORBIDDEN.isdisjoint(name):
        return False
    return all(character == " " or unicodedata.category(character)[0] not in "CZ" for character in name)


def read_guid(attributes: Attributes) -> str | None:
    """An entry's `objectGUID`."""
    found = attributes.get("objectguid")
    return str(format_uuid_le(found[0])).strip("{}").lower() if found else None


def read_sids(attributes: Attributes, name: str) -> frozenset[str]:
    """The SIDs in an attribute; none if it is missing."""
    return frozenset(str(format_sid(sid)) for sid in attributes.get(name.lower(), ()))


def read_text(attributes: Attributes, name: str) -> str:
    """An attribute's first value; empty if there is none."""
    return _first(attributes, name).strip()


def _first(attributes: Attributes, name: str) -> str:
    values = attributes.get(name.lower()) or [b""]
    return values[0].decode("utf-8", "replace")


def read_number(attributes: Attributes, name: str) -> int | None:
    """An attribute's number; None if it is missing or no number."""
    found = read_text(attributes, name)
    return int(found) if re.fullmatch(r"-?[0-9]{1,20}", found) else None


def read_instant(filetime: int) -> datetime | None:
    """The instant a number of 100 ns after 1601; None for never, and for dates beyond the calendar."""
    if filetime in _NEVER:
        return None
    try:
        return _EPOCH + timedelta(microseconds=filetime // 10)
    except OverflowError:
        return None if filetime > 0 else _EPOCH
