"""The CA certificates that an issuer declares, as PEM texts. Cryptography is imported late: most runs read none."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*", re.ASCII)


def read_ca_certificate(text: str) -> Certificate:
    """Read one CA certificate. Raises ValueError, which says what is wrong, unless it can sign other certificates."""
    from cryptography import x509

    if not _PEM.fullmatch(text):
        raise ValueError(
            "this must be one certificate as PEM: base64 between `-----BEGIN CERTIFICATE-----` and `-----END CERTIFICATE-----`, "
            "and nothing else"
        )
    try:
        found = x509.load_pem_x509_certificate(text.encode())
        shown = found.subject.rfc4514_string()
        found.public_key()
        may_sign = may_sign_others(found)
    except Exception:  # noqa: BLE001 - any error or warning of the parser is the fault of the bytes
        raise ValueError("this certificate cannot be read: it is damaged, or has a kind of key that is not supported") from None
    if not may_sign:
        raise ValueError(
            f"`{shown}` is not a CA certificate: it must have `CA:TRUE` in its basic constraints, and a key usage, if it has "
            "any, that includes signing certificates"
        )
    return found


def may_sign_others(certificate: Certificate) -> bool:
    """Whether a certificate is a CA's (RFC 5280, sections 4.2.1.3 and 4.2.1.9), or an old root of X.509 version 1."""
    from cryptography import x509

    if certificate.version is x509.Version.v1:
        return certificate.issuer == certificate.subject
    extensions = certificate.extensions
    try:
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid


def fingerprint(certificate: Certificate) -> str:
    """Return the SHA-256 of a certificate's DER, as hexadecimal digits."""
    from cryptography.hazmat.primitives.hashes import SHA256

    return certificate.fingerprint(SHA256()).hex()


def shown_ca_certificate(text: str) -> str:
    """Return a CA certificate for people to recognise: its subject, end and fingerprint."""
    try:
        found = read_ca_certificate(text)
    except ValueError:
        return text
    subject = found.subject.rfc4514_string()
    return f"{subject}, until {found.not_valid_after_utc:%Y-%m-%d}, sha256 {fingerprint(found)}"


def has_expired(text: str, now: datetime) -> bool:
    """Tell whether a CA certificate has expired; one that cannot be read has not."""
    try:
        return read_ca_certificate(text).not_valid_after_utc <= now
    except ValueError:
        return False
