"""The principal of a request: account, teams, credential and address, checked at every request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from api.authentication import credentials
from api.authentication.credentials import Credential
from api.authentication.tokens import Carrier, is_well_formed
from api.authentication.uses import INTERVAL, Uses
from api.errors import Forbidden, Unauthenticated
from api.state.clock import is_from_the_future
from api.state.freshness import Freshness
from api.state.reader import Reader
from api.state.snapshots import AccessKeeper, AccessSnapshot, Account
from reconciler.access.decide import permits
from reconciler.access.permitted_ips import Address
from reconciler.access.resources import Team
from reconciler.store.engine import Connection, Database
from reconciler.store.tables import read_instant


class Principal(NamedTuple):
    """An authenticated caller, at one instant, seen through one access snapshot."""

    account: Account
    credential: Credential
    address: Address | None
    access: AccessSnapshot
    now: datetime
    teams: list[Team]
    """The teams it is a member of now."""

    @property
    def name(self) -> str:
        """The account's name."""
        return self.account.name

    @property
    def is_administrator(self) -> bool:
        """Whether a team makes it an administrator. A narrowed credential never is."""
        return not self.credential.narrowing.is_narrowed and any(team.administrator for team in self.teams)


def secret_of(header: str | None) -> str:
    """The secret in an `Authorization` header: `Bearer SECRET` (RFC 6750), or the secret by itself.

    Raises Unauthenticated for everything else: another scheme, or two headers, which arrive joined by a comma.
    """
    if header is None:
        raise Unauthenticated("this needs a session or an API token: `Authorization: Bearer accord_…`")
    scheme, _, rest = header.strip().partition(" ")
    secret = rest.strip() if scheme.lower() == "bearer" else header.strip()
    if not is_well_formed(secret):
        raise Unauthenticated("the Authorization header holds no valid Accord token; was it cut off?")
    return secret


class Authenticator:
    """Finds out who is calling."""

    def __init__(self, reader: Reader, keeper: AccessKeeper, uses: Uses, freshness: Freshness) -> None:
        self._reader = reader
        self._keeper = keeper
        self._uses = uses
        self._freshness = freshness

    @property
    def database(self) -> Database:
        """The database that callers are looked up in."""
        return self._reader.database

    def authenticate(self, header: str | None, address: Address | None) -> Principal:
        """The principal of a request, at this moment. Raises Unauthenticated, Forbidden, Problem or StoreError."""
        return self._authenticated(secret_of(header), "header", address)

    def authenticate_cookie(self, secret: str, address: Address | None) -> Principal:
        """The principal of a request that the console's cookie came with. Raises as `authenticate` does."""
        if not is_well_formed(secret):
            raise Unauthenticated(_DEAD)
        return self._authenticated(secret, "cookie", address)

    def _authenticated(self, secret: str, carrier: Carrier, address: Address | None) -> Principal:
        principal = self._judged(lambda: credentials.find(self._reader, secret, carrier), address)
        self._note_use(principal)
        return principal

    def again(self, connection: Connection, principal: Principal, *names: str) -> Principal:
        """The same caller as it stands in a transaction that has written nothing yet, with other accounts at hand.

        Raises Unauthenticated, Forbidden or StoreError.
        """
        with self._reader.within(connection):
            return self._again(principal, *names)

    def beside(self, principal: Principal, *names: str) -> Principal:
        """The same caller with other accounts at hand, all as they stand at one moment.

        Raises Unauthenticated, Forbidden or StoreError.
        """
        access = self._keeper.at(principal.access.stamp, principal.name, *names)
        if access.stamp == principal.access.stamp:
            return principal._replace(access=access)
        return self._again(principal, *names)

    def _again(self, principal: Principal, *names: str) -> Principal:
        accessor = principal.credential.accessor
        found = self._judged(lambda: credentials.find_again(self._reader, accessor), principal.address, *names)
        if found.account.id != principal.account.id:
            raise Unauthenticated(_DEAD)
        return found

    def at_one_moment(
        self, find: Callable[[], credentials.Found | None], *names: str
    ) -> tuple[credentials.Found, AccessSnapshot] | None:
        """A credential, and the access state of the moment at which it was found; None if there is none. Raises StoreError.

        A moment later, another account may have its account's name, and in SQLite its number as well.
        """
        while (found := find()) is not None:
            access = self._keeper.at(found.stamp, found.name, *names)
            if access.stamp == found.stamp:
                return found, access
        return None

    def _judged(self, find: Callable[[], credentials.Found | None], address: Address | None, *names: str) -> Principal:
        of_one_moment = self.at_one_moment(find, *names)
        if of_one_moment is None:
            raise Unauthenticated(_DEAD)
        found, access = of_one_moment
        now = datetime.now(UTC)  # after all reads, since they may wait
        fault = self.fault(found, access, now)
        if fault is not None:
            raise Unauthenticated(_DEAD).of(found.name, fault)
        credential, teams = found.credential, access.teams(found.name, now)
        if not permits_call(credential, teams, address):
            why = "calls from this address are not permitted for this account"
            raise Forbidden(why, reason="address-not-permitted").of(found.name)
        return Principal(access.accounts[found.name], credential, address, access, now, teams)

    def _note_use(self, principal: Principal) -> None:
        credential, now = principal.credential, principal.now
        session = credential.kind == "session"
        interval = min(INTERVAL, principal.access.policies.session_idle / 4) if session else INTERVAL
        used, address = credential.last_used_at, principal.address
        if used is None or abs(now - read_instant(used)) >= interval:
            self._uses.note(credential.accessor, now, address and address.text, interval)

    def fault(self, found: credentials.Found, access: AccessSnapshot, now: datetime) -> str | None:  # noqa: PLR0911 - one per reason
        """Why a credential is invalid at an instant; None if it is valid. Raises DatabaseCorrupt."""
        credential, account = found.credential, access.accounts.get(found.name)
        if account is None or account.id != found.user_id:
            return "unknown-account"  # since it was read, it was deleted, or replaced by another of the same name
        if not found.enabled or not access.state.accounts[found.name]:
            return "account-disabled"
        if self._freshness.is_stale(found.domain, found.read_at, now):
            return "directory-unread"
        if credential.revoked_at is not None:
            return "revoked"
        if credential.ends <= now:
            return "expired"
        if is_from_the_future(credential.began, now):
            return "from-the-future"
        if credential.kind == "session":
            if found.change_after is not None and credential.began < read_instant(found.change_after) <= now:
                return "password-change"
            used = read_instant(credential.last_used_at or credential.created_at)
            # in the future, it says nothing: a clock was ahead
            return "idle" if abs(now - used) >= access.policies.session_idle else None
        return None


def permits_call(credential: Credential, teams: list[Team], address: Address | None) -> bool:
    """Whether a credential of a member of these teams may be used from an address: its narrowing and the teams permit it."""
    return credential.narrowing.permits_address(address) and permits(teams, address)[0]


_DEAD = "this session or token is invalid or expired; log in again"
