"""Reading a certificate from untrusted PEM. The result is safe to show, to log and to mail."""

from __future__ import annotations

import base64
import hashlib
import re
import textwrap
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from cryptography import x509

from api.errors import Invalid

MOST_NAMES = 1_000
LONGEST_NAME = 2_000
"""Characters of a subject or of an alternative name."""
LONGEST_SERIAL = 64
"""Hexadecimal digits. RFC 5280 allows 40, but not every issuer complies."""
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")


class Certificate(NamedTuple):
    """What Accord knows about a certificate."""

    serial: str
    """Hexadecimal digits, lower case, without leading zeros."""
    sha256: str
    """Of the DER."""
    subject: str
    """As RFC 4514 writes it; empty if the certificate has no subject."""
    names: tuple[str, ...]
    """Alternative names: DNS names, IP addresses, email addresses, URIs."""
    not_before: datetime
    not_after: datetime
    pem: str
    """The certificate alone, without any text around it."""


def read_certificate(text: str) -> Certificate:
    """The one certificate in a PEM. Raises Invalid."""
    der = _only_block(text)
    try:
        parsed = x509.load_der_x509_certificate(der)
        names = tuple(map(visible, _alternative_names(parsed)))
        serial, subject = parsed.serial_number, visible(parsed.subject.rfc4514_string())
        begins, ends = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    except Exception:  # noqa: BLE001 - any error or warning of the parser is the fault of the bytes
        raise Invalid("`pem` holds no readable certificate; it is damaged or does not follow RFC 5280") from None
    objection = _objection(serial, subject, names, begins, ends)
    if objection is not None:
        raise Invalid(f"`pem` cannot be registered: {objection}")
    pem = "\n".join(
        ["-----BEGIN CERTIFICATE-----", *textwrap.wrap(base64.b64encode(der).decode(), 64), "-----END CERTIFICATE-----", ""]
    )
    return Certificate(f"{serial:x}", hashlib.sha256(der).hexdigest(), subject, names, begins, ends, pem)


def _only_block(text: str) -> bytes:
    """The DER of the certificate. Raises Invalid unless there is exactly one."""
    if "PRIVATE KEY-----" in text:
        raise Invalid("`pem` holds a private key, which must stay secret. Accord has not kept it; send only the certificate")
    blocks = _BLOCK.findall(text)
    begun = text.count("-----BEGIN ")
    if len(blocks) > 1 and begun == len(blocks):
        raise Invalid(f"`pem` holds {len(blocks)} certificates; send only the certificate itself, without its issuers'")
    if begun != 1 or len(blocks) != 1:
        raise Invalid("`pem` must hold one certificate, from `-----BEGIN CERTIFICATE-----` to `-----END CERTIFICATE-----`")
    try:
        return base64.b64decode("".join(blocks[0].split()), validate=True)
    except ValueError:
        raise Invalid("`pem` is damaged: the text between its first and last line is not base64") from None


def _objection(serial: int, subject: str, names: tuple[str, ...], begins: datetime, ends: datetime) -> str | None:
    if serial <= 0:
        return "its serial number is not positive"
    if len(f"{serial:x}") > LONGEST_SERIAL:
        return f"its serial number has more than {LONGEST_SERIAL} hexadecimal digits"
    if ends < begins:
        return "it ends before it begins"
    if len(names) > MOST_NAMES:
        return f"it has more than {MOST_NAMES:,} alternative names"
    if max(map(len, (subject, *names))) > LONGEST_NAME:
        return f"its subject, or one of its names, has more than {LONGEST_NAME:,} characters"
    return None


def _alternative_names(parsed: x509.Certificate) -> Iterator[str]:
    try:
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in found:
        if isinstance(name, x509.DNSName | x509.RFC822Name | x509.UniformResourceIdentifier | x509.IPAddress):
            yield str(name.value)


def visible(text: str) -> str:
    r"""Text in which characters that control terminals, mails or logs are escaped byte by byte, as in RFC 4514 (`\0A`)."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else "".join(f"\\{byte:02X}" for byte in each.encode()) for each in text)
