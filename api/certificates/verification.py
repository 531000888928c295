"""Verifying a certificate against the CA certificates that its issuer declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from cryptography import x509

from api.certificates.reading import Certificate
from api.errors import Invalid
from reconciler.access.ca_certificates import fingerprint, may_sign_others, read_ca_certificate
from reconciler.store.rows import read_texts

_ANY = 1_000_000
"""The path length of a CA certificate that says nothing of it."""


class _Authority(NamedTuple):
    """A CA certificate that is declared, or that a path leads to from a declared one."""

    certificate: x509.Certificate
    declared: str
    """The fingerprint of the declared one."""
    more: int
    """How many CA certificates may follow on a path."""


def verify(certificate: Certificate, issuer: str, declared: Sequence[str]) -> str | None:
    """The fingerprint of the CA certificate that verifies a certificate, out of those that its issuer declares; None if it
    declares none.

    It is the certificate itself, or signed it, or signed the first CA certificate of a path to it; those between are in the
    certificate's PEM. Names must match and signatures be right, and each of those between must permit what follows (RFC 5280,
    section 6.1); neither the dates of CA certificates nor their revocation count. Raises Invalid if there are declared ones, but
    none verifies it.
    """
    if not declared:
        return None
    authorities = [read_ca_certificate(text) for text in declared]
    if certificate.sha256 in map(fingerprint, authorities):
        return certificate.sha256
    signed = _loaded(certificate.der)
    if signed is None:
        raise Invalid(
            f"`pem` cannot be verified, so it cannot be registered: `{issuer}` declares CA certificates, and this certificate"
            " departs from RFC 5280 so far that its signature cannot be checked"
        )
    for authority in _authorities(authorities, certificate.chain):
        if _has_signed(authority.certificate, signed):
            return authority.declared
    raise Invalid(
        f"`pem` cannot be verified, so it cannot be registered: none of the CA certificates that `{issuer}` declares signed it,"
        f" and no chain in `pem` leads to it from one of them; its own issuer is `{certificate.issued_by}`. If that is right,"
        " declare its certificate in `caCertificates`, or send the chain as well"
    )


@lru_cache(maxsize=1_000)
def fingerprints(declared: str) -> frozenset[str]:
    """The fingerprints of the CA certificates in an issuer's column. One that cannot be read any more verifies nothing."""
    found = set()
    for text in read_texts(declared):
        try:
            found.add(fingerprint(read_ca_certificate(text)))
        except ValueError:
            continue
    return frozenset(found)


def _authorities(declared: Sequence[x509.Certificate], chain: Sequence[bytes]) -> Iterator[_Authority]:
    """The declared CA certificates, and those of the chain that they lead to.

    It goes from the declared ones downwards, so that only keys which these vouch for are ever used to check a signature, however
    many certificates somebody sends. Whatever permits the most comes first, so each is found once, on its best path.
    """
    waiting = [_Authority(each, fingerprint(each), _path_length(each)) for each in declared]
    between = [found for each in chain if (found := _loaded(each)) is not None and _may_be_between(found)]
    while waiting:
        authority = max(waiting, key=lambda each: each.more)
        waiting.remove(authority)
        yield authority
        if authority.more:
            following = [each for each in between if _has_signed(authority.certificate, each)]
            between = [each for each in between if each not in following]
            waiting += [_Authority(each, authority.declared, min(authority.more - 1, _path_length(each))) for each in following]


def _loaded(der: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(der)
    except Exception:  # noqa: BLE001 - any error or warning of the parser is the fault of the bytes
        return None


def _may_be_between(certificate: x509.Certificate) -> bool:
    """Whether a CA certificate of a chain may sign others, and does not restrict which: such a one must be declared itself."""
    try:
        restricts = any(
            isinstance(each.value, x509.NameConstraints) or (each.critical and isinstance(each.value, x509.UnrecognizedExtension))
            for each in certificate.extensions
        )
        return certificate.version is x509.Version.v3 and may_sign_others(certificate) and not restricts
    except Exception:  # noqa: BLE001 - the same
        return False


def _path_length(certificate: x509.Certificate) -> int:
    """How many CA certificates may follow this one on a path, as it says itself."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    except x509.ExtensionNotFound:  # of X.509 version 1
        return _ANY
    return _ANY if found is None else found


def _has_signed(authority: x509.Certificate, signed: x509.Certificate) -> bool:
    try:
        signed.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001 - another name, a wrong signature, or an algorithm that cannot be checked: not verified
        return False
    return True
