"""Minting and revoking API tokens: each one transaction, with its entry in the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from api.authentication import credentials
from api.authentication.principal import Principal
from api.errors import Conflict, Forbidden, Invalid, NotFound
from api.state import accounts
from api.state.reader import Reader
from reconciler.access.instants import format_instant
from reconciler.access.permitted_ips import parse_rule
from reconciler.store.audit import Event, append
from reconciler.store.engine import Database
from reconciler.store.tables import read_instant

_CLOCKS = timedelta(minutes=1)
"""How far a client's clock may be from ours."""


class TokenRequest(NamedTuple):
    """The API token that a caller asks for."""

    name: str
    expires_at: datetime
    issuers: Sequence[str] | None = None
    permitted_ips: Sequence[str] | None = None


def mint_own(reader: Reader, principal: Principal, request: TokenRequest, now: datetime) -> dict[str, Any]:
    """Mint a token for the caller's own account; the token as the API shows it, with its secret.

    Raises Unauthenticated, Forbidden, Invalid, Conflict or StoreError.
    """
    return _mint(reader, principal, principal.name, request, now)


def mint_for(reader: Reader, principal: Principal, name: str, request: TokenRequest, now: datetime) -> dict[str, Any]:
    """Mint a token for a declared account, as its administrators do. Raises NotFound as well."""
    return _mint(reader, principal, name, request, now, only_declared=True)


def _mint(
    reader: Reader, principal: Principal, name: str, request: TokenRequest, now: datetime, *, only_declared: bool = False
) -> dict[str, Any]:
    _check_minter(principal, request)
    _check_request(principal, request, now)
    with reader.database.recording() as connection:
        credentials.require_live(connection, principal.credential.id)
        account = accounts.require(accounts.find(connection, name), name)
        if only_declared and account.source == "directory":
            raise Conflict(f"`{name}` is a directory account; only its owner can mint its tokens")
        if accounts.is_disabled(account):
            raise Conflict(f"`{name}` is disabled")
        minted = credentials.mint(connection, account.id, "token", now=now, **request._asdict())
        detail = {"accessor": minted.accessor, "name": request.name, "expiresAt": format_instant(request.expires_at)}
        append(connection, [Event("token.create", "User", name, detail)], at=now, actor=principal.name)
    shown = next(each for each in credentials.list_credentials(reader, account.id, now) if each["id"] == minted.accessor)
    return {"token": minted.secret, **shown}


def _check_minter(principal: Principal, request: TokenRequest) -> None:
    """Raise Forbidden or Conflict if the new token would be wider, or live longer, than the credential that mints it."""
    minter = principal.credential
    if minter.narrowing.is_narrowed:
        raise Forbidden("a narrowed token cannot mint others", reason="narrowed")
    if minter.kind == "token" and request.expires_at > read_instant(minter.expires_at):
        raise Conflict("a token cannot mint one that outlives it; log in")


def _check_request(principal: Principal, request: TokenRequest, now: datetime) -> None:
    """Raise Invalid or Conflict if no such token can be."""
    latest = now + principal.access.policies.token_max_lifetime
    if request.expires_at <= now:
        raise Conflict("the token would have expired already")
    if request.expires_at > latest + _CLOCKS:
        raise Conflict(f"a token may be valid until {format_instant(latest.replace(microsecond=0))} at most")
    for text in request.permitted_ips or ():
        try:
            parse_rule(text)
        except ValueError as error:
            raise Invalid(str(error)) from None
    unknown = sorted(set(request.issuers or ()) - set(principal.access.state.issuers))
    if unknown:
        raise Conflict(f"there is no issuer `{unknown[0]}`")


def revoke(database: Database, name: str, accessor: str, *, actor: str, now: datetime) -> None:
    """Revoke one of an account's tokens. Raises NotFound or StoreError."""
    with database.recording() as connection:
        account = accounts.find(connection, name)
        ended = credentials.revoke(connection, account.id, now, kind="token", accessor=accessor) if account else []
        if not ended:
            raise NotFound("there is no such live token")
        append(connection, credentials.revoked_events(name, ended, "revoked"), at=now, actor=actor)
