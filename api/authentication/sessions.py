"""How many sessions an account may have at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select

from api.authentication import credentials
from api.policies import Policies
from reconciler.store import tables
from reconciler.store.audit import Event
from reconciler.store.engine import Connection

MOST = 100
"""Live sessions of an account. Refusing one more would lock out whoever's program logs in without ever logging out."""


def make_room(connection: Connection, account: Row[Any], policies: Policies, now: datetime) -> list[Event]:
    """End the sessions that were used longest ago, so that there may be one more; what the audit log says of it."""
    columns = tables.tokens.c
    used_at = func.coalesce(columns.last_used_at, columns.created_at)
    mine = (columns.user_id == account.id) & (columns.kind == "session") & columns.revoked_at.is_(None)
    live = mine & (columns.expires_at > now) & (used_at > now - policies.session_idle)
    surplus = select(columns.accessor).where(live).order_by(used_at.desc(), columns.id.desc()).offset(MOST - 1)
    events = []
    for accessor in connection.execute(surplus).scalars().all():
        ended = credentials.revoke(connection, account.id, now, accessor=accessor)
        events += credentials.revoked_events(account.name, ended, "too-many-sessions")
    return events
