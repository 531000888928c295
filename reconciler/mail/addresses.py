"""Addresses that mail can be sent to: ASCII, as every mail server accepts them (RFC 5321)."""

from __future__ import annotations

import re
import unicodedata

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_NAMED = re.compile(r"[^<>\x00-\x1f]*<([^<>]+)>\s*")


def is_address(text: str) -> bool:
    """Whether text is an address that every mail server accepts: ASCII, and nothing but the address."""
    return _ADDRESS.fullmatch(text) is not None and len(text) <= 254 and ".." not in text.partition("@")[2]


def mailbox(text: str | None) -> str | None:
    """Return the address that text such as `Jörg <joerg@exämple.org>` names, as mail servers take it; None if it names none.

    Its domain is encoded (RFC 5890). Before the `@` there can only be ASCII: few servers accept anything else.
    """
    named = _NAMED.fullmatch(text or "")
    local, at, domain = (named[1] if named else text or "").strip().rpartition("@")
    address = f"{local}{at}{_encoded(domain)}"
    return address if is_address(address) else None


def domain_of(address: str) -> str:
    """Return an address's domain in lower case."""
    return address.rpartition("@")[2].lower()


def _encoded(domain: str) -> str:
    """Return a domain in ASCII; empty if it cannot be, or if encoding makes another domain of it, as of `straße.example`."""
    if domain.isascii():
        return domain
    try:
        encoded = domain.encode("idna").decode("ascii")
        return encoded if encoded.encode().decode("idna") == unicodedata.normalize("NFC", domain).lower() else ""
    except UnicodeError:
        return ""
