"""Who is let in: the caller of a request, the address it comes from, and how many strangers may wait."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal

from api.authentication.known_networks import KnownNetworks
from api.authentication.logins import refuse_address
from api.authentication.passwords import Passwords
from api.authentication.principal import Authenticator, Principal
from api.errors import Forbidden
from api.http.addresses import client_address
from api.state.reader import Reader
from reconciler.access.permitted_ips import Address, Rule

Access = Literal["anybody", "account", "administrator"]
"""Who may call an operation."""

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
        trusted_proxies: tuple[Rule, ...],
        passwords: Passwords,
        known: KnownNetworks,
        reader: Reader,
    ) -> None:
        self._authenticator = authenticator
        self._trusted_proxies = trusted_proxies
        self._passwords = passwords
        self._known = known
        self._reader = reader

    def admit(self, environment: Mapping[str, Any], now: datetime, access: Access, *, restricted: bool) -> Principal:
        """The caller, if it may call an operation of this access.

        A session that must change its password may call only what is `restricted`.

        Raises Unauthenticated, Forbidden, Problem or StoreError.
        """
        principal = self._authenticator.authenticate(environment.get("HTTP_AUTHORIZATION"), self.address_of(environment), now)
        if principal.credential.password_change_required and not restricted:
            raise Forbidden("change the password first: PUT /api/v1/me/password", reason="password-change").of(principal.name)
        if access == "administrator" and not principal.is_administrator:
            raise Forbidden("only administrators may do this", reason="not-administrator").of(principal.name)
        return principal

    def address_of(self, environment: Mapping[str, Any]) -> Address | None:
        """The caller's address, or None if it is unknown. Raises Problem if headers contradict each other."""
        return client_address(
            environment.get("REMOTE_ADDR") or "",
            environment.get("HTTP_FORWARDED"),
            environment.get("HTTP_X_FORWARDED_FOR"),
            self._trusted_proxies,
            relayed="HTTP_X_REAL_IP" in environment or "HTTP_VIA" in environment,
        )

    def place_for_strangers(self, environment: Mapping[str, Any], now: datetime) -> AbstractContextManager[None]:
        """A place among those who log in. No more strangers than that can hold a thread by sending a body slowly.

        An address that has to wait gets none, and its body is not read. Raises Busy, TooManyFailures, Problem or StoreError.
        """
        address = self.address_of(environment)
        refuse_address(self._reader, address, now)
        return self._passwords.place(self._known.guest(address))
