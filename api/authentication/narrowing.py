"""Narrowing: a token may be good for fewer issuers, and from fewer addresses, than its account."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

import orjson

from reconciler.access.permitted_ips import Address, Rule, parse_rule, permitting


class Narrowing(NamedTuple):
    """What a credential is narrowed to; None: not narrowed in this respect."""

    issuers: frozenset[str] | None = None
    rules: tuple[Rule, ...] | None = None

    @property
    def is_narrowed(self) -> bool:
        """Whether the credential permits less than its account."""
        return self.issuers is not None or self.rules is not None

    def permits_issuer(self, issuer: str) -> bool:
        """Whether the credential may be used for an issuer."""
        return self.issuers is None or issuer in self.issuers

    def permits_address(self, address: Address | None) -> bool:
        """Whether the credential may be used from an address. An unknown one satisfies no rule."""
        return self.rules is None or permitting(self.rules, address) is not None


NOT_NARROWED = Narrowing()


@lru_cache(maxsize=8192)
def read_narrowing(issuers: str | None, permitted_ips: str | None) -> Narrowing:
    """The narrowing out of its two columns. Every request needs it, so what many tokens share is parsed once."""
    if issuers is None and permitted_ips is None:
        return NOT_NARROWED
    return Narrowing(
        None if issuers is None else frozenset(orjson.loads(issuers)),
        None if permitted_ips is None else tuple(map(parse_rule, orjson.loads(permitted_ips))),
    )


def narrowing_column(texts: Collection[str] | None) -> str | None:
    """What is stored of issuers or of permitted IPs: they are shown as they were asked for."""
    return None if texts is None else orjson.dumps(sorted(set(texts))).decode()
