"""Minting and revoking API tokens: each one transaction, with its entry in the audit log.

Nothing that a credential mints is wider or lives longer than it, and what a token minted ends with it. Two things start anew: a
session mints with a password that was just given; and an application's token gets its successor.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, select

from api.authentication import credentials
from api.authentication.authority import Act, Authority, CallersAuthority, require_fresh
from api.authentication.credentials import Ended
from api.authentication.uses import INTERVAL
from api.errors import Conflict, Forbidden, Invalid, NotFound
from api.outbox import queue
from api.outbox.queue import NewMessage
from api.state import accounts
from api.state.reader import Reader
from reconciler.access.instants import format_instant
from reconciler.access.mails import TOKEN_MINTED
from reconciler.access.permitted_ips import parse_rule
from reconciler.store import tables
from reconciler.store.audit import Event

_CLOCKS = timedelta(minutes=1)
"""How far a client's clock may be from ours."""


class TokenRequest(NamedTuple):
    """The API token that a caller asks for."""

    name: str
    expires_at: datetime
    issuers: Sequence[str] | None = None
    permitted_ips: Sequence[str] | None = None
    accessor: str | None = None
    """What it is listed by, if the form that asks for it must not make another one."""


def mint_own(reader: Reader, authority: CallersAuthority, request: TokenRequest) -> dict[str, Any]:
    """Mint a token for the caller's own account; the token as the API shows it, with its secret.

    An application's token that asks for one that outlives it gets its successor.

    Raises Unauthenticated, Forbidden, Invalid, Conflict or StoreError.
    """
    with authority.acting() as act:
        minter = act.caller.credential
        if minter.kind == "session":
            require_fresh(act.caller)
        elif _asks_for_successor(act, request):
            return _shown(reader, act, act.caller.account.id, _mint_successor(act, request))
        elif request.expires_at > minter.ends:
            raise Conflict("a token cannot mint one that outlives it; log in")
        if minter.narrowing.is_narrowed:
            raise Forbidden("a narrowed token cannot mint others", reason="narrowed")
        return _mint(reader, act, act.actor, request)


def mint_for(reader: Reader, authority: CallersAuthority, name: str, request: TokenRequest) -> dict[str, Any]:
    """Mint a token for another account, as administrators do: an application's, or a person's if the Settings permit that.

    A person is told by mail. Raises NotFound as well.
    """
    with authority.acting() as act:
        account = accounts.require(accounts.find(act.connection, name), name)
        if account.source == "directory":
            raise Conflict(f"`{name}` is a directory account; only its owner can mint its tokens")
        if account.id == act.caller.account.id:
            raise Conflict("mint your own tokens with POST /api/v1/me/tokens")
        act.refuse_person(account.type, "administrators may mint tokens only for applications")
        shown = _mint(reader, act, name, request)
        if account.type == "person":
            detail = orjson.dumps({"token": shown["id"], "by": act.actor}).decode()
            queue.put(act.connection, [NewMessage(TOKEN_MINTED, account.id, detail=detail)], act.now)
        return shown


def _mint(reader: Reader, act: Act, name: str, request: TokenRequest) -> dict[str, Any]:
    _check_request(act, request)
    account = accounts.require(accounts.find(act.connection, name), name)
    if accounts.is_disabled(account):
        raise Conflict(f"`{name}` is disabled")
    minted = _new(act, account.id, request)
    act.record(Event("token.create", "User", name, {"name": request.name, **_detail(minted)}))
    return _shown(reader, act, account.id, minted)


def _new(act: Act, user_id: int, request: TokenRequest, *, succeeds: bool = False) -> credentials.Minted:
    minter = act.caller.credential.accessor
    return credentials.mint(act.connection, user_id, "token", now=act.now, minter=minter, succeeds=succeeds, **request._asdict())


def _detail(minted: credentials.Minted) -> dict[str, Any]:
    return {"accessor": minted.accessor, "expiresAt": format_instant(minted.expires_at)}


def _shown(reader: Reader, act: Act, user_id: int, minted: credentials.Minted) -> dict[str, Any]:
    with reader.within(act.connection):
        found = credentials.list_credentials(reader, user_id, act.now)
    return {"token": minted.secret, **next(each for each in found if each["id"] == minted.accessor)}


def _asks_for_successor(act: Act, request: TokenRequest) -> bool:
    """Whether an application's token asks for one that outlives it. One that a token minted has no successor: it would outlive
    what it came of."""
    caller, columns = act.caller, tables.tokens.c
    if caller.account.type != "application" or request.expires_at <= caller.credential.ends:
        return False
    minter = tables.tokens.alias("minter")
    own = select(columns.succeeds, minter.c.kind).outerjoin(minter, minter.c.accessor == columns.minter)
    succeeds, minted_by = act.connection.execute(own.where(columns.accessor == caller.credential.accessor)).one()
    return bool(succeeds) or minted_by != "token"


def _mint_successor(act: Act, request: TokenRequest) -> credentials.Minted:
    """The successor of an application's token: narrowed like it, and it lives no longer than that did.

    The old one ends when the overlap is over. A successor that was never used is replaced: its secret may have been lost.
    """
    caller, old = act.caller, act.caller.credential
    if request.issuers is not None or request.permitted_ips is not None:
        raise Conflict("a successor is narrowed like the token that it succeeds; leave out `issuers` and `permittedIPs`")
    before = _successor_of(act, old.accessor)
    lifetime = old.ends - old.began
    if before is not None:
        if before.last_used_at is not None:
            raise Conflict(f"this token already has a successor in use, `{before.accessor}`")
        if before.created_at > act.now - INTERVAL:  # a use is written a little later
            raise Conflict(f"this token got its successor just now, `{before.accessor}`; if its secret is lost, ask in a minute")
        lifetime = max(lifetime, before.expires_at - before.created_at)  # the old one was shortened then
        replaced = credentials.revoke(act.connection, caller.account.id, act.now, accessor=before.accessor)
        act.record(*credentials.revoked_events(replaced, "replaced"))
    policies = caller.access.policies
    lifetime = min(lifetime, policies.token_max_lifetime, request.expires_at - act.now)
    columns = tables.tokens.c
    its_own = columns.id == old.id
    narrowing = act.connection.execute(select(columns.issuers, columns.permitted_ips).where(its_own)).one()
    issuers, permitted_ips = (each and orjson.loads(each) for each in narrowing)
    successor = TokenRequest(request.name, act.now + lifetime, issuers, permitted_ips)
    minted = _new(act, caller.account.id, successor, succeeds=True)
    ends = min(old.ends, act.now + policies.token_overlap)
    act.connection.execute(tables.tokens.update().where(its_own).values(expires_at=ends))
    act.record(Event("token.succeed", "User", caller.name, {**_detail(minted), "oldEndsAt": format_instant(ends)}))
    return minted


def _successor_of(act: Act, accessor: str) -> Row[Any, Any, Any, Any] | None:
    columns = tables.tokens.c
    live = (columns.minter == accessor) & columns.succeeds & columns.revoked_at.is_(None) & (columns.expires_at > act.now)
    wanted = columns.accessor, columns.created_at, columns.expires_at, columns.last_used_at
    return act.connection.execute(select(*wanted).where(live)).first()


def _check_request(act: Act, request: TokenRequest) -> None:
    """Raise Invalid or Conflict if no such token can be."""
    access = act.caller.access
    latest = act.now + access.policies.token_max_lifetime
    if request.expires_at <= act.now:
        raise Conflict("the token would have expired already")
    if request.expires_at > latest + _CLOCKS:
        raise Conflict(f"a token may be valid until {format_instant(latest.replace(microsecond=0))} at most")
    for text in request.permitted_ips or ():
        try:
            parse_rule(text)
        except ValueError as error:
            raise Invalid(str(error)) from None
    unknown = sorted(set(request.issuers or ()) - set(access.state.issuers))
    if unknown:
        raise Conflict(f"there is no issuer `{unknown[0]}`")


def revoke_own(authority: CallersAuthority, accessor: str) -> None:
    """Revoke one of the caller's tokens, with what it minted but for its successor. Raises NotFound or StoreError."""
    with authority.acting() as act:
        ended = credentials.revoke(act.connection, act.caller.account.id, act.now, kind="token", accessor=accessor)
        _record_ended(act, ended)


def revoke(authority: Authority, name: str, accessor: str) -> None:
    """Revoke one of an account's tokens, with all that came of it. Raises NotFound or StoreError."""
    with authority.acting() as act:
        account = accounts.find(act.connection, name)
        ended = (
            credentials.revoke(act.connection, account.id, act.now, kind="token", accessor=accessor, with_minted="all")
            if account
            else []
        )
        _record_ended(act, ended)


def _record_ended(act: Act, ended: list[Ended]) -> None:
    if not ended:
        raise NotFound("there is no such live token")
    act.record(*credentials.revoked_events(ended, "revoked"))
