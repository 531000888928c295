"""Verifying a certificate against the CA certificates that its issuer declares."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.certificates.reading import Certificate
from api.errors import Invalid
from reconciler.access.ca_certificates import read_ca_certificate


def verify(certificate: Certificate, issuer: str, declared: Sequence[str]) -> bool:
    """Whether one of the CA certificates that an issuer declares signed the certificate, or is it; False if none is declared.

    The names must match and the signature must be right (RFC 5280, section 6.1.3); neither the dates of the CA's certificate
    nor its revocation count. Raises Invalid if there are CA certificates, but none of them signed it.
    """
    if not declared:
        return False
    authorities = [read_ca_certificate(text) for text in declared]
    if any(authority.public_bytes(Encoding.DER) == certificate.der for authority in authorities):
        return True
    try:
        signed = x509.load_der_x509_certificate(certificate.der)
    except Exception:  # noqa: BLE001 - any error or warning of the parser is the fault of the bytes
        raise Invalid(
            f"`pem` cannot be verified, so it cannot be registered: `{issuer}` declares CA certificates, and this certificate"
            " departs from RFC 5280 so far that its signature cannot be checked"
        ) from None
    if any(_has_signed(authority, signed) for authority in authorities):
        return True
    raise Invalid(
        f"`pem` cannot be verified, so it cannot be registered: none of the CA certificates that `{issuer}` declares signed it; "
        f"its own issuer is `{certificate.issued_by}`. If that is right, declare its certificate in `caCertificates`"
    )


def _has_signed(authority: x509.Certificate, signed: x509.Certificate) -> bool:
    try:
        signed.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001 - another name, a wrong signature, or an algorithm that cannot be checked: not verified
        return False
    return True
