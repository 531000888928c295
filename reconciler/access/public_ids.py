"""The identifiers by which existing clients know users, teams and issuers: 24 hexadecimal digits, as the predecessor's were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count

from reconciler.access.resources import Kind

IDENTIFIED: tuple[Kind, ...] = ("User", "Team", "Issuer")
"""The kinds that have identifiers."""
_DIGITS = 24


def derived_ids(kind: Kind, name: str) -> Iterator[str]:
    """Yield the identifiers that a new resource may get, the usual one first: the others are for when that is another's."""
    for number in count(1):
        text = f"{kind}:{name}" if number == 1 else f"{kind}:{name}:{number}"
        yield hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
