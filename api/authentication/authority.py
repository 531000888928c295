"""The right to act, at the moment of the act.

A request may wait: for its body, for its turn to hash a password, for another writer. So whoever writes opens its transaction
here. The transaction begins by taking the lock that everything takes which ends an authority, an apply included; only then is
the caller judged, again, with the clock of that moment. What was found out holds until the act is committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

from api.authentication.principal import Authenticator, Principal
from api.errors import Forbidden
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection, Database

Access = Literal["anybody", "account", "administrator"]
"""Who may call an operation."""


class Terms(NamedTuple):
    """What an operation asks of its caller."""

    access: Access
    restricted: bool = False
    """A session that must change its password may call it."""
    narrowed: bool = False
    """A narrowed credential may call it."""
    fresh: bool = False
    """It needs a session whose password was given within the last minutes."""
    clients: bool = False
    """The caller may show itself as OAuth 2.0 clients do."""


def permit(principal: Principal, terms: Terms) -> None:
    """Raise Forbidden unless a caller meets the terms."""
    who, credential = principal.name, principal.credential
    if credential.password_change_required and not terms.restricted:
        raise Forbidden("change the password first: PUT /api/v1/me/password", reason="password-change").of(who)
    if credential.narrowing.is_narrowed and not terms.narrowed:
        raise Forbidden("a narrowed token may only decide, introspect and read itself", reason="narrowed").of(who)
    if terms.access == "administrator" and not principal.is_administrator:
        raise Forbidden("only administrators may do this", reason="not-administrator").of(who)
    if terms.fresh:
        require_fresh(principal)


def require_fresh(principal: Principal) -> None:
    """Raise Forbidden unless the caller's password was given within the last minutes: a session begins with a password."""
    who, window = principal.name, principal.access.policies.session_fresh
    if principal.credential.kind != "session":
        raise Forbidden("an API token may not do this; log in, and use the session", reason="session-needed").of(who)
    if principal.credential.began <= principal.now - window:
        why = f"this needs a password given within the last {window.total_seconds() / 60:g} minutes; log in again"
        raise Forbidden(why, reason="login-too-old").of(who)


class Act(NamedTuple):
    """An act under way: its transaction, its instant, and who does it."""

    connection: Connection
    now: datetime
    actor: str
    principal: Principal | None = None
    """The caller as it stands within the transaction; None if an operator acts."""

    @property
    def caller(self) -> Principal:
        """The caller of an act that only requests do."""
        assert self.principal is not None
        return self.principal

    def refuse_person(self, type_: str, why: str) -> None:
        """Raise Forbidden if the account is a person's and the Settings do not let administrators act as people.

        Who has another person's token or password can do what that person can, also what guards keep from administrators.
        """
        if type_ == "person" and self.caller.access.policies.administrators_mint_for != "everyone":
            raise Forbidden(why, reason="person")

    def record(self, *events: Event) -> None:
        """Add entries to the audit log. They name the actor, and the credential that it acts with."""
        append(self.connection, map(self._signed, events), at=self.now, actor=self.actor)

    def _signed(self, event: Event) -> Event:
        if self.principal is None:
            return event
        return event._replace(detail={**event.detail, "credential": self.principal.credential.accessor})


class Authority(Protocol):
    """Somebody's right to act."""

    def acting(self, *names: str) -> AbstractContextManager[Act]:
        """One transaction of somebody who may act at that moment, with these accounts at hand.

        It commits at the end, and rolls back on any error. Raises Unauthenticated, Forbidden or StoreError.
        """


class CallersAuthority(NamedTuple):
    """The right of a request's caller, on the terms of its operation."""

    authenticator: Authenticator
    principal: Principal
    terms: Terms

    @contextmanager
    def acting(self, *names: str) -> Iterator[Act]:
        """See `Authority`."""
        with self.authenticator.database.recording() as connection:
            principal = self.authenticator.again(connection, self.principal, *names)
            permit(principal, self.terms)
            yield Act(connection, principal.now, principal.name, principal)


class OperatorsAuthority(NamedTuple):
    """The right of whoever may open the database on the host."""

    database: Database
    actor: str

    @contextmanager
    def acting(self, *_: str) -> Iterator[Act]:
        """See `Authority`."""
        with self.database.recording() as connection:
            yield Act(connection, datetime.now(UTC), self.actor)
