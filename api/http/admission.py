"""Who is let in: the caller of a request, the address it comes from, and how many strangers may wait."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

from api.authentication.authority import CallersAuthority, Terms, permit
from api.authentication.clients import shown_by
from api.authentication.known_networks import KnownNetworks
from api.authentication.logins import refuse_address
from api.authentication.passwords import FULL, PATIENCE, Passwords
from api.authentication.places import Guest, Room
from api.authentication.principal import Authenticator, Principal
from api.errors import Busy, Unauthenticated
from api.http.addresses import Addresses
from api.http.headers import AUTHORIZATION
from api.state.reader import Reader
from reconciler.access.permitted_ips import Address

ARRIVED = "accord.arrived"
"""Where a server tells in the environment of a login when it arrived, by the monotonic clock."""
_FOR_PROXIES = "/api/v1/auth"
VERDICTS = (200, 401, 403)
"""How Accord answers a proxy that asks whether a request may pass. nginx takes any other answer for a failure and says 500."""


def is_for_proxies(path: str) -> bool:
    """Whether what is asked at a path gets a verdict, even if it cannot be understood."""
    return path == _FOR_PROXIES or path.startswith(f"{_FOR_PROXIES}/")


class Admission:
    """Admits callers."""

    def __init__(
        self,
        authenticator: Authenticator,
        addresses: Addresses,
        passwords: Passwords,
        known: KnownNetworks,
        reader: Reader,
        unknown: Room,
    ) -> None:
        self._authenticator = authenticator
        self._addresses = addresses
        self._passwords = passwords
        self._known = known
        self._reader = reader
        self._unknown = unknown

    def admit(self, environment: Mapping[str, Any], terms: Terms, form: Mapping[str, str] | None = None) -> CallersAuthority:
        """The right of the caller to call an operation with these terms, at this moment.

        Raises Unauthenticated, Forbidden, Problem or StoreError.
        """
        header, address = environment.get(AUTHORIZATION), self.address_of(environment)
        principal = (
            self._client(header, form or {}, address) if terms.clients else self._authenticator.authenticate(header, address)
        )
        permit(principal, terms)
        return CallersAuthority(self._authenticator, principal, terms)

    def admit_cookie(self, environment: Mapping[str, Any], terms: Terms, secret: str) -> CallersAuthority:
        """The same for a request of the console, whose cookie holds the secret. Raises as `admit` does."""
        principal = self._authenticator.authenticate_cookie(secret, self.address_of(environment))
        permit(principal, terms)
        return CallersAuthority(self._authenticator, principal, terms)

    def _client(self, header: str | None, form: Mapping[str, str], address: Address | None) -> Principal:
        try:
            shown = shown_by(header, form)
            principal = self._authenticator.authenticate(shown.secret, address)
            if not shown.is_of(principal.name):
                raise Unauthenticated("the `client_id` and the token belong to different accounts").of(principal.name)
        except Unauthenticated as refused:
            refused.challenge += ', Basic realm="accord"'
            raise
        return principal

    def receiving(
        self, environment: Mapping[str, Any], terms: Terms, cookie: str | None = None
    ) -> AbstractContextManager[object]:
        """While the body of a request arrives. The caller is judged after that, so until then it is unknown.

        Granian gives each request a thread before its body has arrived. No more unknown callers than some can hold one; beyond
        those, the caller is judged before as well. Whoever logs in needs a place among those who do, and an address that has to
        wait gets none. Raises what `admit` raises, TooManyFailures or Busy.
        """
        if terms.access == "anybody":
            if environment.get(ARRIVED, math.inf) < time.monotonic() - PATIENCE:
                raise Busy(FULL)
            address = self.address_of(environment)
            refuse_address(self._reader, address, datetime.now(UTC))
            return self._passwords.place(self._known.guest(address))
        place = self._unknown.place()
        if place is not None:
            return place
        if terms.clients and AUTHORIZATION not in environment:
            raise Busy("too many requests are arriving slowly; try again, or send the credential in a header")
        if cookie is None:
            self.admit(environment, terms)
        else:
            self.admit_cookie(environment, terms, cookie)
        return nullcontext()

    def guest_of(self, environment: Mapping[str, Any]) -> Guest:
        """Who would log in. Raises Problem if headers contradict each other."""
        return self._known.guest(self.address_of(environment))

    def address_of(self, environment: Mapping[str, Any]) -> Address | None:
        """The caller's address, or None if it is unknown. Raises Problem if headers contradict each other."""
        return self._addresses.of(environment)
