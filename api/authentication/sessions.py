"""Ending sessions: by logging out, and to make room for new ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, select

from api.authentication import credentials
from api.authentication.authority import Authority
from api.state.policies import Policies
from reconciler.store import tables
from reconciler.store.audit import Event
from reconciler.store.engine import Connection

MOST = 100
"""Live sessions of an account. Refusing another would lock out people whose programs log in without ever logging out."""


_columns = tables.tokens.c
_used_at = func.coalesce(_columns.last_used_at, _columns.created_at)
_SURPLUS = (
    select(_columns.accessor)
    .where(_columns.user_id == bindparam("user_id"), _columns.kind == "session", _columns.revoked_at.is_(None))
    .where(_columns.expires_at > bindparam("now", type_=tables.Instant), _used_at > bindparam("idle_since", type_=tables.Instant))
    .order_by(_used_at.desc(), _columns.id.desc())
    .offset(MOST - 1)
)


def make_room(connection: Connection, account: Row[Any], policies: Policies, now: datetime) -> list[Event]:
    """End the least recently used sessions, so that there is room for one more; the entries for the audit log."""
    values = {"user_id": account.id, "now": now, "idle_since": now - policies.session_idle}
    events = []
    for accessor in connection.execute(_SURPLUS, values).scalars().all():
        ended = credentials.revoke(connection, account.id, now, accessor=accessor)
        events += credentials.revoked_events(ended, "too-many-sessions")
    return events


def end_session(authority: Authority) -> None:
    """Log the caller out: revoke the session or token of this very call. Raises Unauthenticated, Forbidden or StoreError."""
    with authority.acting() as act:
        caller = act.caller
        ended = credentials.revoke(act.connection, caller.account.id, act.now, accessor=caller.credential.accessor)
        act.record(*credentials.revoked_events(ended, "logout"))
