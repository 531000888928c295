"""The order of CA certificates that an issuer declares. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from api.certificates.reading import read_certificate
from api.errors import Invalid


def from_leaf_to_root(declared: Sequence[str]) -> list[str]:
    """CA certificates as PEM, each before its own issuer's; as they are declared if they are no single chain."""
    names = [_names(each) for each in declared]
    after: dict[str, list[int]] = {}
    for number, found in enumerate(names):
        if found is not None:
            after.setdefault(found[0], []).append(number)
    issuing = {found[1] for found in names if found is not None and found[0] != found[1]}
    first = [number for number, found in enumerate(names) if found is not None and found[0] not in issuing]
    if len(first) != 1 or None in names or any(len(each) > 1 for each in after.values()):
        return list(declared)
    order = [first[0]]
    while (following := _issuer_of(order[-1], names, after)) is not None and following not in order:
        order.append(following)
    return [declared[number] for number in order] if len(order) == len(declared) else list(declared)


def _issuer_of(number: int, names: Sequence[tuple[str, str] | None], after: dict[str, list[int]]) -> int | None:
    found = names[number]
    return None if found is None or found[0] == found[1] else next(iter(after.get(found[1], ())), None)


def subject(pem: str) -> str | None:
    """The subject of a certificate, as RFC 4514 writes it; None if it cannot be read."""
    found = _names(pem)
    return None if found is None else found[0]


@lru_cache(maxsize=1_000)
def _names(pem: str) -> tuple[str, str] | None:
    """Its subject and its issuer."""
    try:
        found = read_certificate(pem)
    except Invalid:
        return None
    return found.subject, found.issued_by
