"""Where a certificate belongs that was issued before it is registered, and whose bringer does not say so. Pure.

Its signature says which issuer's it is. Where nothing proves that, nobody guesses: it would be followed as an unrelated issuer's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from api.certificates.reading import Certificate
from api.certificates.verification import verify
from api.errors import Conflict, Forbidden, Invalid
from reconciler.access.state import AccessState, access_of, paths

_MOST_TOLD = 20
"""Names in an error."""


class Belonging(NamedTuple):
    """The issuer and the team of a certificate."""

    issuer: str
    team: str


def belonging(
    state: AccessState, owner: str, certificate: Certificate, *, issuers: Collection[str] | None, team: str | None, now: datetime
) -> Belonging:
    """Where a certificate belongs, out of what its owner may use now, through a certain team if one is given.

    `issuers`: those that it may be of; None: of whichever issuer it is verified to be. Raises Forbidden if the owner may use
    none, or Conflict, which says what to do, if it cannot be told.
    """
    ways = {
        issuer: through
        for issuer in sorted(access_of(state, owner, now))
        if (issuers is None or issuer in issuers) and (through := _through(state, owner, issuer, team, now))
    }
    if not ways:
        which = "this issuer" if issuers is not None else "any issuer"
        by = "" if team is None else f" through `{team}`"
        raise Forbidden(f"`{owner}` may not use {which}{by} now, or this token may not", reason="denied")
    found = _only_issuer(state, list(ways), certificate, named=issuers is not None)
    if len(ways[found]) > 1:
        raise Conflict(f"`{owner}` may use `{found}` through several teams: {_told(ways[found])}; give the `teamId` of one")
    return Belonging(found, ways[found][0])


def _through(state: AccessState, owner: str, issuer: str, team: str | None, now: datetime) -> list[str]:
    return [way.team for way in paths(state, owner, issuer) if way.holds_at(now) and team in (None, way.team)]


def _only_issuer(state: AccessState, issuers: Sequence[str], certificate: Certificate, *, named: bool) -> str:
    if named and len(issuers) == 1:
        return issuers[0]  # if it declares CA certificates, registering verifies
    verified = [each for each in issuers if _verifies(certificate, each, state.issuers[each].ca_certificates)]
    if len(verified) == 1:
        return verified[0]
    if verified:
        raise Conflict(f"several issuers declare what verifies this certificate: {_told(verified)}; name one in `caName`")
    raise Conflict(
        f"no CA certificate that {_told(issuers)} declare verifies this certificate, so it is not known whose it is; its own"
        f" issuer is `{certificate.issued_by}`. Declare that one's certificate in `caCertificates` of its issuer, or name the"
        " issuer in `caName`"
    )


def _verifies(certificate: Certificate, issuer: str, declared: Sequence[str]) -> bool:
    try:
        return verify(certificate, issuer, declared) is not None
    except Invalid:
        return False


def _told(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _MOST_TOLD else ""
    return ", ".join(f"`{each}`" for each in names[:_MOST_TOLD]) + more
