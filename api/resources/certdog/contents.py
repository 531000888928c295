"""What a certificate itself says, as existing clients read it. What cannot be read is null or empty, never an error. Pure."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from api.certificates import ber

Read = TypeVar("Read")
_USAGES = {
    "digital_signature": "Digital Signature",
    "content_commitment": "Non Repudiation",
    "key_encipherment": "Key Encipherment",
    "data_encipherment": "Data Encipherment",
    "key_agreement": "Key Agreement",
    "key_cert_sign": "Key Cert Sign",
    "crl_sign": "CRL Sign",
}
_ENHANCED = {
    ExtendedKeyUsageOID.SERVER_AUTH: "Server Authentication",
    ExtendedKeyUsageOID.CLIENT_AUTH: "Client Authentication",
    ExtendedKeyUsageOID.CODE_SIGNING: "Code Signing",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "Email Protection",
    ExtendedKeyUsageOID.TIME_STAMPING: "Time Stamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSP Signing",
    ExtendedKeyUsageOID.SMARTCARD_LOGON: "Smart Card Logon",
}
_TEMPLATE_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2")
_USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_SIZED = rsa.RSAPublicKey | dsa.DSAPublicKey | ec.EllipticCurvePublicKey
_TEXTS = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x1E: "utf-16-be"}
"""Encodings of strings by their tag."""


def contents(pem: str) -> dict[str, Any]:
    """The properties of a certificate's detail that only the certificate itself has."""
    der = _tried(lambda: b64decode("".join(pem.split("-----")[2].split())), b"")
    found = _tried(lambda: x509.load_der_x509_certificate(der), None)
    return {"thumbprint": hashlib.sha1(der, usedforsecurity=False).hexdigest() if der else None, **_read(found)}


def _read(found: Any) -> dict[str, Any]:
    """The same of a parsed certificate, or of None, of which nothing can be read."""
    extensions: dict[Any, Any] = _tried(lambda: {each.oid: each.value for each in found.extensions}, {})
    key = _tried(lambda: found.public_key(), None)  # noqa: PLW0108 - there may be no certificate

    def extension(kind: Any) -> Any:
        return extensions.get(kind.oid, ())

    return {
        "signatureAlgorithm": _tried(lambda: _signature(found), None),
        "hashAlgorithm": _tried(lambda: _hash(found.signature_hash_algorithm.name), None),
        "keyUsages": _tried(lambda: _usages(extensions[x509.KeyUsage.oid]), list[str]()),
        "enhancedKeyUsages": _each(lambda each: _ENHANCED.get(each, each.dotted_string), extension(x509.ExtendedKeyUsage)),
        "subjectAlternativeNames": _each(_alternative, extension(x509.SubjectAlternativeName)),
        "isCa": _tried(lambda: bool(extensions[x509.BasicConstraints.oid].ca), False),
        "aias": _each(lambda each: each.access_location.value, extension(x509.AuthorityInformationAccess)),
        "cdps": _each(lambda each: each.value, _locations(extension(x509.CRLDistributionPoints))),
        "policies": _each(lambda each: each.policy_identifier.dotted_string, extension(x509.CertificatePolicies)),
        "keySize": str(key.key_size) if isinstance(key, _SIZED) else None,
        "eccCurve": key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else None,
        "msTemplateName": _tried(lambda: _template(extensions), None),
    }


def _tried(read: Callable[[], Read], otherwise: Read) -> Read:
    try:
        return read()
    except Exception:  # noqa: BLE001 - any error of the parser is the fault of the bytes
        return otherwise


def _each(read: Callable[[Any], Any], items: Iterable[Any]) -> list[str]:
    """The texts of those that can be read."""
    return [text for each in items if isinstance(text := _tried(lambda: read(each), None), str)]  # noqa: B023 - called at once


def _locations(points: Iterable[x509.DistributionPoint]) -> Iterable[x509.GeneralName]:
    return (name for point in points for name in point.full_name or ())


def _signature(found: x509.Certificate) -> str | None:
    name = found.signature_algorithm_oid._name
    if "RSA" in name:
        return "RSA"
    return "ECDSA" if name.startswith("ecdsa") else "DSA" if name.startswith("dsa") else name.capitalize()


def _hash(name: str) -> str:
    """SHA-256 of sha256."""
    return name.upper().replace("SHA", "SHA-", 1) if name.startswith("sha") and "-" not in name else name.upper()


def _usages(usage: x509.KeyUsage) -> list[str]:
    found = [text for name, text in _USAGES.items() if getattr(usage, name)]
    if usage.key_agreement:  # only then do the others mean anything
        found += ["Encipher Only"] * usage.encipher_only + ["Decipher Only"] * usage.decipher_only
    return found


_PREFIXES = {x509.DNSName: "DNS", x509.IPAddress: "IP", x509.RFC822Name: "EMAIL", x509.UniformResourceIdentifier: "URI"}


def _alternative(name: x509.GeneralName) -> str | None:
    """An alternative name in the form in which these clients ask for one."""
    if isinstance(name, x509.DirectoryName):
        return f"DIRNAME:{name.value.rfc4514_string()}"
    if isinstance(name, x509.OtherName):
        return f"UPN:{_text(name.value)}" if name.type_id == _USER_PRINCIPAL_NAME else None
    prefix = _PREFIXES.get(type(name))
    return None if prefix is None else f"{prefix}:{name.value}"


def _text(encoded: bytes) -> str:
    """A string out of its DER. Raises ValueError or KeyError."""
    found = ber.element(encoded)
    return found.content.decode(_TEXTS[found.tag])


def _template(extensions: dict[Any, Any]) -> str | None:
    """Microsoft's template by its name, or else by its number."""
    named = extensions.get(_TEMPLATE_NAME)
    if named is not None:
        return _text(named.value)
    found = extensions.get(x509.MSCertificateTemplate.oid)
    return None if found is None else str(found.template_id.dotted_string)
