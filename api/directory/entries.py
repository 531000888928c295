"""What a directory says of an account, as plain values; pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ldap3.protocol.formatters.formatters import format_sid, format_uuid_le

ATTRIBUTES = [
    "objectGUID", "objectSid", "sAMAccountName", "displayName", "mail", "userAccountControl", "accountExpires", "pwdLastSet",
    "msDS-User-Account-Control-Computed", "badPwdCount", "badPasswordTime",
]  # fmt: skip
_DISABLED, _LOCKED, _PASSWORD_EXPIRED = 0x2, 0x10, 0x800000
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_NEVER = (0, 2**63 - 1)


class Entry(NamedTuple):
    """An account in its directory. What is not known for certain counts against it."""

    guid: str
    sid: str
    name: str
    """Its sAMAccountName in lower case."""
    dn: str
    full_name: str | None
    mail: str
    disabled: bool
    expires_at: datetime | None
    locked: bool
    must_change_password: bool
    bad_passwords: int
    bad_password_at: datetime | None

    def ended(self, now: datetime) -> str | None:
        """Why the account has no access at all, whatever it had before; None where it has."""
        if self.disabled:
            return "disabled-in-directory"
        return "expired-in-directory" if self.expires_at is not None and self.expires_at <= now else None

    def refusal(self, now: datetime) -> str | None:
        """Why the account may not log in; None where it may."""
        if self.locked:
            return "locked-in-directory"
        return self.ended(now) or ("must-change-password-in-directory" if self.must_change_password else None)


def read_entry(dn: str, attributes: dict[str, list[bytes]]) -> Entry | None:
    """An entry out of the attributes as a controller sent them; None where they are not those of an account, or not all there."""

    def text(name: str) -> str:
        values = attributes.get(name.lower()) or [b""]
        return values[0].decode("utf-8", "replace").strip()

    def number(name: str) -> int | None:
        found = text(name)
        return int(found) if found.lstrip("-").isdigit() else None

    guid, sid, control, computed = (
        attributes.get("objectguid"),
        attributes.get("objectsid"),
        number("userAccountControl"),
        number("msDS-User-Account-Control-Computed"),
    )
    name = text("sAMAccountName").lower()
    if not guid or not sid or not name or control is None or computed is None:
        return None
    expires, changed = number("accountExpires"), number("pwdLastSet")
    return Entry(
        str(format_uuid_le(guid[0])).strip("{}").lower(),
        str(format_sid(sid[0])),
        name,
        dn,
        text("displayName") or None,
        text("mail"),
        bool(control & _DISABLED),
        None if expires is None or expires in _NEVER else _instant(expires),
        bool(computed & _LOCKED),
        changed == 0 or bool(computed & _PASSWORD_EXPIRED),
        number("badPwdCount") or 0,
        _instant(number("badPasswordTime") or 0),
    )


def read_sids(attributes: dict[str, list[bytes]]) -> frozenset[str] | None:
    """The groups in `tokenGroups`; None where they were not told."""
    found = attributes.get("tokengroups")
    return None if found is None else frozenset(str(format_sid(sid)) for sid in found)


def _instant(filetime: int) -> datetime | None:
    """A number of 100 ns since 1601; None for never, and for what no calendar holds."""
    if filetime in _NEVER:
        return None
    try:
        return _EPOCH + timedelta(microseconds=filetime // 10)
    except OverflowError:
        return None
