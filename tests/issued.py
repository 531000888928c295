"""Certificates for tests, as an issuer would make them, and as none should."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_serials = itertools.count(0x1000)


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    subject: str | None = "www.example.org",
    *,
    serial: int | None = None,
    begins: datetime | None = None,
    lives: timedelta = timedelta(days=90),
    names: Sequence[x509.GeneralName] = (),
    ca: bool = False,
    path_length: int | None = 0,
    extension: x509.ExtensionType | None = None,
    issuer: str = "Example CA",
    key: ec.EllipticCurvePrivateKey | None = None,
    own_key: ec.EllipticCurvePrivateKey | None = None,
) -> x509.Certificate:
    """One of a subject (None: none), with a serial number of its own unless one is given, signed by a key or the usual one."""
    attributes = [] if subject is None else [x509.NameAttribute(NameOID.COMMON_NAME, subject)]
    by = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    begins = begins or datetime.now(UTC) - timedelta(hours=1)
    number = next(_serials) if serial is None else serial
    made = x509.CertificateBuilder(by, x509.Name(attributes), (own_key or _key()).public_key(), number, begins, begins + lives)
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if ca:
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    if extension is not None:
        made = made.add_extension(extension, critical=False)
    return made.sign(_key() if key is None else key, SHA256())


def der(*arguments: object, **options: object) -> bytes:
    """The same as DER."""
    return certificate(*arguments, **options).public_bytes(Encoding.DER)  # type: ignore[arg-type]


def pem(*arguments: object, **options: object) -> str:
    """The same as PEM."""
    return certificate(*arguments, **options).public_bytes(Encoding.PEM).decode()  # type: ignore[arg-type]
