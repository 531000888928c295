"""Sessions: listing one's own, ending them, logging out, and making room for new ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, func, select

from api.authentication import credentials
from api.authentication.authority import Act, Authority
from api.authentication.credentials import Ended
from api.authentication.principal import Principal
from api.errors import NotFound
from api.state.clock import AHEAD
from api.state.policies import Policies
from api.state.reader import Reader
from reconciler.store import tables
from reconciler.store.audit import Event
from reconciler.store.engine import Connection
from reconciler.store.minted import minted_detail
from reconciler.store.tables import instant_text

MOST = 100
"""Live sessions of an account. Refusing another would lock out people whose programs log in without ever logging out."""


_columns = tables.tokens.c
_used_at = func.coalesce(_columns.last_used_at, _columns.created_at)
_SURPLUS = (
    select(_columns.accessor)
    .where(_columns.user_id == bindparam("user_id"), _columns.kind == "session", _columns.revoked_at.is_(None))
    .where(_columns.created_at <= bindparam("latest", type_=tables.Instant))
    .where(_columns.expires_at > bindparam("now", type_=tables.Instant), _used_at > bindparam("idle_since", type_=tables.Instant))
    .order_by(_used_at.desc(), _columns.id.desc())
    .offset(MOST - 1)
)


def make_room(connection: Connection, account: Row[Any], policies: Policies, now: datetime) -> list[Event]:
    """End the least recently used sessions, so that there is room for one more; the entries for the audit log."""
    values = {"user_id": account.id, "now": now, "latest": now + AHEAD, "idle_since": now - policies.session_idle}
    events = []
    for accessor in connection.execute(_SURPLUS, values).scalars().all():
        ended = credentials.revoke(connection, account.id, now, kind="session", accessor=accessor)
        events += credentials.revoked_events(ended, "too-many-sessions")
    return events


def end_session(authority: Authority) -> None:
    """Log the caller out: revoke the session or token of this very call. Raises Unauthenticated, Forbidden or StoreError."""
    with authority.acting() as act:
        caller = act.caller
        ended = credentials.revoke(act.connection, caller.account.id, act.now, accessor=caller.credential.accessor)
        act.record(*credentials.revoked_events(ended, "logout"))


_SHOWN = ("id", "createdAt", "expiresAt", "lastUsedAt", "lastUsedAddress")


def list_own(reader: Reader, principal: Principal) -> list[dict[str, Any]]:
    """The caller's live sessions, oldest first, as the API shows them: without secrets. Raises StoreError."""
    mine, idle_since = principal.credential.accessor, instant_text(principal.now - principal.access.policies.session_idle)
    this_call = {"lastUsedAt": instant_text(principal.now), "lastUsedAddress": principal.address and principal.address.text}
    found = credentials.list_credentials(reader, principal.account.id, principal.now, "session")
    return [
        {**{name: each[name] for name in _SHOWN}, **(this_call if each["id"] == mine else {}), "current": each["id"] == mine}
        for each in found
        if (each["lastUsedAt"] or each["createdAt"]) > idle_since or each["id"] == mine
    ]


def live_sessions(reader: Reader, user_id: int, policies: Policies, now: datetime) -> list[dict[str, Any]]:
    """The live sessions of any account, oldest first, without secrets, for administrators. Raises StoreError."""
    idle_since = instant_text(now - policies.session_idle)
    found = credentials.list_credentials(reader, user_id, now, "session")
    return [{name: each[name] for name in _SHOWN} for each in found if (each["lastUsedAt"] or each["createdAt"]) > idle_since]


def end_own(authority: Authority, accessor: str) -> None:
    """End one of the caller's sessions, with its own tokens that were minted with it. Raises NotFound or StoreError."""
    with authority.acting() as act:
        if not end_with_minted(act, _columns.accessor == accessor, "revoked"):
            raise NotFound("there is no such live session")


def end_others(authority: Authority) -> None:
    """End the caller's sessions but that of this very call, with its own tokens that were minted with them. Raises StoreError."""
    with authority.acting() as act:
        end_with_minted(act, _columns.accessor != act.caller.credential.accessor, "revoked")


def end_with_minted(act: Act, chosen: ColumnElement[bool], why: str) -> bool:
    """End some of the caller's sessions, with its own tokens that were minted with them; whether anything ended.

    Tokens of other accounts go on, since this takes neither an administrator nor a new login; the audit log lists them.
    """
    user_id, is_session = act.caller.account.id, _columns.kind == "session"
    # those that have ended as well: what they minted lives on
    mine = select(_columns.accessor).where(_columns.user_id == user_id, is_session, chosen).order_by(_columns.id)
    ended: list[Ended] = []
    for accessor in act.connection.execute(mine).scalars().all():
        ended += credentials.revoke(act.connection, user_id, act.now, kind="session", accessor=accessor, with_minted="own")
    minted = minted_detail(act.connection, user_id, act.now, only=is_session & chosen)
    act.record(*credentials.revoked_events(ended, why, minted))
    return bool(ended)
