"""The principal of a request: account, teams, credential, source address; checked anew for every request."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from api.access import AccessKeeper, Account, CurrentAccess
from api.authentication import credentials
from api.authentication.credentials import Credential
from api.authentication.tokens import is_well_formed
from api.authentication.uses import Uses
from api.errors import Forbidden, Problem, Unauthenticated
from api.reader import Reader
from reconciler.access.decide import permits
from reconciler.access.permitted_ips import Address, matching
from reconciler.access.resources import Team
from reconciler.store.tables import instant_text


class Principal(NamedTuple):
    """An authenticated caller, at one instant, over one access state."""

    account: Account
    credential: Credential
    address: Address | None
    access: CurrentAccess
    now: datetime

    @property
    def name(self) -> str:
        """The account's name."""
        return self.account.name

    @property
    def teams(self) -> list[Team]:
        """The teams it is a member of now."""
        return self.access.teams(self.account.name, self.now)

    @property
    def is_administrator(self) -> bool:
        """Whether a team makes it an administrator."""
        return any(team.administrator for team in self.teams)


def secret_of(header: str | None) -> str:
    """The secret in an `Authorization` header: `Bearer SECRET` (RFC 6750), or the secret by itself. Raises a Problem."""
    if header is None:
        raise Unauthenticated("this needs a session or an API token: `Authorization: Bearer accord_…`")
    if "," in header:
        raise Problem("there is more than one `Authorization` header")
    scheme, _, rest = header.strip().partition(" ")
    secret = rest.strip() if scheme.lower() == "bearer" else header.strip()
    if not is_well_formed(secret):
        raise Unauthenticated("what the `Authorization` header holds is no session and no API token of Accord's: is it whole?")
    return secret


class Authenticator:
    """Finds out who is calling."""

    def __init__(self, reader: Reader, keeper: AccessKeeper, uses: Uses) -> None:
        self._reader = reader
        self._keeper = keeper
        self._uses = uses

    def authenticate(self, header: str | None, address: Address | None, now: datetime) -> Principal:
        """The principal of a request. Raises Unauthenticated, Forbidden, Problem or StoreError."""
        found = credentials.find(self._reader, secret_of(header))
        if found is None:
            raise Unauthenticated(_DEAD)
        access = self._keeper.at(found.stamp, found.name)
        reason = self.dead(found, access, now)
        if reason is not None:
            raise Unauthenticated(_DEAD)
        principal = Principal(access.accounts[found.name], found.credential, address, access, now)
        rules = found.credential.rules
        inside = rules is None or (address is not None and (address.is_local or matching(rules, address) is not None))
        if not inside or not permits(principal.teams, address)[0]:
            raise Forbidden("calls from this address are not permitted for this account", reason="address-not-permitted")
        self._uses.note(found.credential.id, found.credential.last_used_at, now, address and address.text)
        return principal

    def dead(self, found: credentials.Found, access: CurrentAccess, now: datetime) -> str | None:
        """Why a credential does not count at an instant; None where it does."""
        credential, account = found.credential, access.accounts.get(found.name)
        if account is None or account.id != found.user_id:
            return "unknown-account"  # deleted, or another of the same name, since it was read
        if not found.enabled or not access.state.accounts[found.name]:
            return "account-disabled"
        if credential.revoked_at is not None:
            return "revoked"
        if credential.expires_at <= instant_text(now):
            return "expired"
        idle_since = instant_text(now - access.policies.session_idle)
        return "idle" if credentials.is_idle(credential, self._uses.last(credential.id), idle_since) else None


_DEAD = "this session or API token does not count any more, or never did; log in again or use another token"
