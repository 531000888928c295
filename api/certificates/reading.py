"""Reading a certificate from untrusted PEM. The result is safe to show, to log and to mail.

What OpenSSL reads can be registered: the fingerprint, the serial number and the dates are enough for a reminder. What else cannot
be read is left out, or shown byte by byte, and `left_out` says so.
"""

from __future__ import annotations

import base64
import hashlib
import re
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from itertools import islice
from typing import NamedTuple

from api.certificates.ber import (
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    UTC_TIME,
    Element,
    Malformed,
    element,
    object_identifier,
)
from api.errors import Invalid
from reconciler.wording.text import count

MOST_NAMES = 1_000
LONGEST_NAME = 2_000
"""Characters of a subject, of an issuer or of an alternative name."""
MOST_BLOCKS = 20
"""Certificates of one PEM: a chain has a few."""
LONGEST_SERIAL = 1_000
"""Bytes. RFC 5280 allows 20, but not every issuer complies."""
MOST_SAID = 20
"""Entries of `left_out`: a hostile certificate could have a million faults."""
_BLOCK = re.compile(r"-----BEGIN (X509 |TRUSTED |)CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END \1CERTIFICATE-----")
_BEGIN = re.compile(r"-----BEGIN (?:X509 |TRUSTED |)CERTIFICATE-----")


class Certificate(NamedTuple):
    """What Accord knows about a certificate."""

    serial: str
    """Hexadecimal digits, lower case, without leading zeros; with a minus sign if it is negative."""
    issued_by: str
    """Its own issuer, as RFC 4514 writes it."""
    subject: str
    """The same; empty if the certificate has no subject."""
    names: tuple[str, ...]
    """Alternative names: DNS names, IP addresses, email addresses, URIs, user principal names, and directory names as RFC 4514
    writes them."""
    not_before: datetime
    not_after: datetime
    der: bytes
    """The certificate alone."""
    left_out: tuple[str, ...] = ()
    """What of the PEM could not be read, or was not registered, in words."""
    chain: tuple[bytes, ...] = ()
    """The DER of the other certificates of the PEM."""

    @property
    def sha256(self) -> str:
        """The fingerprint."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def pem(self) -> str:
        """The certificate alone, without any text around it."""
        lines = textwrap.wrap(base64.b64encode(self.der).decode(), 64)
        return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


class _Raw(NamedTuple):
    """The parts of a certificate (RFC 5280, section 4.1) that are read."""

    whole: Element
    serial: Element
    issuer: Element
    validity: Element
    subject: Element
    rest: tuple[Element, ...]

    def extensions(self, identifier: str) -> Iterator[Element]:
        """The values of the extensions of one kind. Raises Malformed."""
        for part in self.rest:
            for extensions in part.inside() if part.tag == 0xA3 else ():
                for each in extensions.inside(SEQUENCE):
                    kind, *_, value = each.parts(2)
                    if value.tag == OCTET_STRING and object_identifier(kind.content) == identifier:
                        yield element(value.content)

    @property
    def is_ca(self) -> bool:
        """Whether the certificate says that it is an authority's."""
        try:
            return any(part.tag == 1 and any(part.content) for each in self.extensions("2.5.29.19") for part in each.inside())
        except Malformed:
            return False


def read_certificate(text: str) -> Certificate:
    """The certificate in a PEM; if its chain is there as well, the one that issued none of the others. Raises Invalid."""
    found = {raw.whole.whole: raw for raw in map(_raw, _blocks(text))}
    chosen = _chosen(list(found.values()))
    others = [raw for raw in found.values() if raw is not chosen]
    left_out: list[str] = []
    if others:
        subjects = "; ".join(_name(each.subject, "", []) or "no subject" for each in others)
        left_out.append(f"{count(len(others), 'other certificate')} of the PEM: {subjects}"[:LONGEST_NAME])
    not_before, not_after = _dates(chosen.validity)
    found_names = _names(chosen, left_out)
    certificate = Certificate(
        _serial(chosen.serial),
        _name(chosen.issuer, "the issuer", left_out),
        _name(chosen.subject, "the subject", left_out),
        found_names,
        not_before,
        not_after,
        chosen.whole.whole,
    )
    if len(left_out) > MOST_SAID:
        left_out[MOST_SAID:] = [f"{len(left_out) - MOST_SAID:,} more"]
    return certificate._replace(left_out=tuple(left_out), chain=tuple(each.whole.whole for each in others))


def _blocks(text: str) -> list[bytes]:
    """The DER of each certificate; a trusted one has more behind it. Raises Invalid."""
    if "PRIVATE KEY-----" in text:
        raise Invalid("`pem` holds a private key, which must stay secret. Accord has not kept it; send only the certificate")
    blocks = _BLOCK.findall(text)
    if len(blocks) > MOST_BLOCKS:
        raise Invalid(f"`pem` holds {len(blocks):,} certificates; at most {MOST_BLOCKS}, the one to register and its chain")
    if not blocks or len(blocks) != len(_BEGIN.findall(text)):
        raise Invalid(
            "`pem` must hold a certificate: base64 between `-----BEGIN CERTIFICATE-----` and `-----END CERTIFICATE-----`"
        )
    try:
        return [base64.b64decode("".join(block.split()), validate=True) for _, block in blocks]
    except ValueError:
        raise Invalid("`pem` is damaged: the text between its first and last line is not base64") from None


def _raw(data: bytes) -> _Raw:
    try:
        whole = element(data)
        body, *_ = whole.parts(3)
        parts = body.parts(6)
        if parts[0].tag == 0xA0:  # the version
            del parts[0]
        serial, _, issuer, validity, subject, _, *rest = parts
    except ValueError:
        raise Invalid(
            "`pem` holds no readable certificate: it is damaged, or something else than a certificate of X.509"
        ) from None
    return _Raw(whole, serial, issuer, validity, subject, tuple(rest))


def _chosen(found: Sequence[_Raw]) -> _Raw:
    """The only one that issued none of the others; the only one of these that is no authority's. Raises Invalid."""
    last = [one for one in found if not any(one.subject.content == other.issuer.content for other in found if other is not one)]
    ends = last if len(last) == 1 else [one for one in last if not one.is_ca]
    if len(ends) != 1:
        raise Invalid(
            f"`pem` holds {len(found)} certificates, and it is not clear which one is meant; register each by itself,"
            " alone or with the certificates of its issuers"
        )
    return ends[0]


def _serial(found: Element) -> str:
    if found.tag != INTEGER or not found.content:
        raise Invalid("`pem` cannot be registered: its serial number is not a number")
    if len(found.content) > LONGEST_SERIAL:
        raise Invalid(f"`pem` cannot be registered: its serial number has more than {LONGEST_SERIAL:,} bytes")
    return f"{int.from_bytes(found.content, signed=True):x}"


_TIME = r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:[.,]\d+)?(?:Z|([+-])(\d\d)(\d\d))"
"""RFC 5280 wants seconds and Z, but older issuers left out the seconds, or wrote an offset."""
_TIMES = {UTC_TIME: re.compile(r"(\d\d)" + _TIME, re.ASCII), GENERALIZED_TIME: re.compile(r"(\d{4})" + _TIME, re.ASCII)}


def _dates(validity: Element) -> tuple[datetime, datetime]:
    try:
        begins, ends = map(_instant, validity.parts(2))
    except (ValueError, OverflowError, KeyError):
        raise Invalid("`pem` cannot be registered: the dates between which it is valid cannot be read") from None
    return begins, ends


def _instant(found: Element) -> datetime:
    """An instant. Raises ValueError, OverflowError, or KeyError if it is another kind of value."""
    parts = _TIMES[found.tag].fullmatch(found.content.decode("ascii"))
    if parts is None:
        raise ValueError("not an instant")
    year, month, day, hour, minute, second = (int(part or 0) for part in parts.groups()[:6])
    if found.tag == UTC_TIME:
        year += 2000 if year < 50 else 1900  # RFC 5280, section 4.1.2.5.1
    sign, hours, minutes = parts.groups()[6:]
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    zone = timezone(-offset if sign == "-" else offset)
    return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)


_TYPES = {
    "2.5.4.3": "CN",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.6": "C",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
}
"""RFC 4514, section 3."""
_ENCODINGS = {0x0C: "utf-8", 0x12: "utf-8", 0x13: "utf-8", 0x16: "utf-8", 0x1A: "utf-8"}
"""Of strings by their tag; issuers put UTF-8 into those of ASCII as well."""
_ENCODINGS |= {0x14: "latin-1", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
"""T.61 is Latin-1 in practice."""


def _name(found: Element, of: str, left_out: list[str]) -> str:
    """A subject or an issuer, as RFC 4514 writes it."""
    try:
        return _shortened(_parts(found, of, left_out), of, left_out)
    except Malformed:
        left_out.append(f"{of}, which is damaged")
        return ""


def _parts(found: Element, of: str, left_out: list[str]) -> str:
    parts = ["+".join(_attribute(each, of, left_out) for each in part.inside()) for part in found.inside(SEQUENCE)]
    return ",".join(reversed(parts))


def _attribute(found: Element, of: str, left_out: list[str]) -> str:
    kind, value, *_ = found.parts(2)
    identifier = object_identifier(kind.content)
    name = _TYPES.get(identifier, identifier)
    encoding = _ENCODINGS.get(value.tag)
    if encoding is None:
        return f"{name}=#{value.whole.hex()}"
    return f"{name}={visible(_escaped(_decoded(value.content, encoding, f'{name} of {of}', left_out)))}"


def _decoded(content: bytes, encoding: str, what: str, left_out: list[str]) -> str:
    """Text; of bytes that are none, `visible` shows each as RFC 4514 does."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        left_out.append(f"{what} is not text of its kind; other bytes than UTF-8 are shown as two digits each")
        return content.decode("utf-8", "surrogateescape")


def _escaped(text: str) -> str:
    r"""Text with the characters escaped that have a meaning in RFC 4514 (section 2.4)."""
    text = re.sub(r'[\\"+,;<>]', r"\\\g<0>", text)
    if text.startswith(("#", " ")):
        text = "\\" + text
    return f"{text[:-1]}\\ " if text.endswith(" ") and text != "\\ " else text


def _names(raw: _Raw, left_out: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    try:
        for place, name in enumerate(islice(_alternatives(raw), MOST_NAMES), 1):
            what = f"alternative name {place}"
            try:
                text = _alternative(name, what, left_out)
                if text is None:
                    left_out.append(f"{what}, {_kind(name)}")
                else:
                    found.append(_shortened(text, what, left_out))
            except ValueError:
                left_out.append(f"{what}, which is damaged")
        beyond = sum(1 for _ in _alternatives(raw)) - MOST_NAMES
        if beyond > 0:
            left_out.append(f"{count(beyond, 'alternative name')} after the first {MOST_NAMES:,}")
    except Malformed:
        left_out.append("the alternative names, or what follows in them: the extensions are damaged")
    return tuple(found)


_USER_PRINCIPAL_NAME = "1.3.6.1.4.1.311.20.2.3"
_KINDS = {0x88: "a registered ID", 0xA3: "an X.400 address", 0xA4: "a directory name without parts", 0xA5: "an EDI party's name"}
"""Alternative names (RFC 5280, section 4.2.1.6) by their tag, for those that are left out."""


def _alternative(name: Element, what: str, left_out: list[str]) -> str | None:
    """An alternative name as text; None if it is of a kind that is not read. Raises ValueError if it is damaged."""
    if name.tag in (0x81, 0x82, 0x86):  # an email address, a DNS name, a URI
        return visible(_decoded(name.content, "utf-8", what, left_out))
    if name.tag == 0x87 and len(name.content) in (4, 16):
        return str(ip_address(name.content))
    if name.tag == 0xA4:
        return _parts(element(name.content), what, left_out) or None
    if name.tag == 0xA0:
        kind, value = _other_name(name)
        if kind == _USER_PRINCIPAL_NAME and value.tag in _ENCODINGS:
            return visible(_decoded(value.content, _ENCODINGS[value.tag], what, left_out))
    return None


def _other_name(name: Element) -> tuple[str, Element]:
    kind, wrapped, *_ = name.inside()
    return object_identifier(kind.content), element(wrapped.content)


def _kind(name: Element) -> str:
    """What an alternative name is that is not read."""
    if name.tag == 0x87:
        return f"an IP address of {len(name.content)} bytes"
    return f"of the kind {_other_name(name)[0]}" if name.tag == 0xA0 else _KINDS.get(name.tag, "of an unknown kind")


def _alternatives(raw: _Raw) -> Iterator[Element]:
    for value in raw.extensions("2.5.29.17"):
        yield from value.inside(SEQUENCE)


def _shortened(text: str, what: str, left_out: list[str]) -> str:
    if len(text) <= LONGEST_NAME:
        return text
    left_out.append(f"what of {what} goes beyond {LONGEST_NAME:,} characters")
    return f"{text[: LONGEST_NAME - 1]}…"


def visible(text: str) -> str:
    r"""Text in which characters that control terminals, mails or logs are escaped byte by byte, as in RFC 4514 (`\0A`)."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else "".join(f"\\{byte:02X}" for byte in each.encode("utf-8", "surrogateescape"))
        for each in text
    )
