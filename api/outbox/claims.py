"""The outbox for those who deliver it: claiming a message, and recording what became of it.

A message waits until it is sent or ended. A sender claims it for as long as a delivery can take at most. If the sender
dies, its claim runs out, and another sender can claim the message.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, or_, select

from api.outbox.messages import HELD_BACK, TOO_FAR, WAITING, Ending, due, ended, is_free, shortened
from api.state.reader import Reader
from reconciler.access.mails import PASSWORD_MAILS
from reconciler.store import tables
from reconciler.store.chunks import in_chunks
from reconciler.store.engine import Connection, Database
from reconciler.store.tables import instant_text

LEASE = timedelta(minutes=5)
"""How long a claim lasts. A delivery takes less (`api/mail/settings.py`)."""
HELD = timedelta(minutes=5)
"""How often a password mail that is held back looks whether its account has been enabled."""
_ASIDE = timedelta(seconds=5)
"""How long a password mail waits for another one of the same account."""
_LOOKS = 100
_LOCK = 0x_AC_C1
"""The first half of the PostgreSQL advisory lock that is taken to claim a password mail; the second is the account."""
_outbox = tables.outbox.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A message that one sender delivers."""

    id: int
    template: str
    user_id: int | None
    certificate_id: int | None
    recipient: str | None
    created_at: datetime
    attempts: int
    """Including this one."""
    message_id: str
    claim: str
    claimed_at: datetime
    detail: str


def claim(
    database: Database, domain: str, now: datetime, *, new_first: bool = False, only_passwords: bool = False
) -> Claimed | None:
    """Claim the next message that is due; None if there is none. Raises StoreError.

    Mails with passwords come before all others: somebody waits for them. With `new_first`, a message that was never tried comes
    before one that failed. If callers alternate, neither kind waits for all of the other. The Message-ID is made at the first
    attempt, with our domain, and stays the same, so that a recipient who gets the message twice can tell.
    """
    with database.noting() as connection:
        row = _next_free(connection, now, new_first, only_passwords)
        if row is None:
            return None
        claimed = Claimed(
            id=row.id,
            template=row.template,
            user_id=row.user_id,
            certificate_id=row.certificate_id,
            recipient=row.recipient,
            created_at=row.created_at,
            attempts=row.attempts + 1,
            message_id=row.message_id or f"<{secrets.token_hex(16)}@{domain}>",
            claim=secrets.token_hex(16),
            claimed_at=now,
            detail=row.detail,
        )
        connection.execute(
            tables.outbox.update()
            .where(_outbox.id == row.id)
            .values(
                claim=claimed.claim,
                attempts=claimed.attempts,
                message_id=claimed.message_id,
                next_attempt_at=now + LEASE,
            )
        )
        return claimed


def _next_free(connection: Connection, now: datetime, new_first: bool, only_passwords: bool) -> Row[Any] | None:
    for _ in range(_LOOKS):
        row = _next(connection, now, new_first, only_passwords)
        if row is None or row.user_id is None or row.template not in PASSWORD_MAILS:
            return row
        if connection.execute(select(_outbox.id).where(_outbox.id == row.id, HELD_BACK)).first() is not None:
            _hold_back(connection, now)
        elif _has_another_under_way(connection, row, now):
            connection.execute(tables.outbox.update().where(_outbox.id == row.id).values(next_attempt_at=now + _ASIDE))
        else:
            return row
    return None


def _next(connection: Connection, now: datetime, new_first: bool, only_passwords: bool) -> Row[Any] | None:
    new, again, far = due(now)
    turns = (new, again, far) if new_first else (again, new, far)
    passwords = [which & (_outbox.template == template) for which in turns for template in PASSWORD_MAILS]
    for which in passwords if only_passwords else (*passwords, *turns):
        query = select(tables.outbox).where(WAITING, which).order_by(_outbox.next_attempt_at).limit(1)
        row = connection.execute(query.with_for_update(skip_locked=True)).first()
        if row is not None:
            return row
    return None


def _has_another_under_way(connection: Connection, row: Row[Any], now: datetime) -> bool:
    """Whether another password is being delivered to the same account: if two were, nobody could tell which one is valid."""
    if connection.dialect.name == "postgresql":  # where two senders can claim at once
        lock = func.pg_try_advisory_xact_lock(_LOCK, row.user_id)
        if not connection.execute(select(lock)).scalar_one():
            return True
    others = WAITING & ~is_free(now) & _outbox.template.in_(PASSWORD_MAILS)
    mine = (_outbox.user_id == row.user_id) & (_outbox.id != row.id)
    return connection.execute(select(_outbox.id).where(others, mine)).first() is not None


def _hold_back(connection: Connection, now: datetime) -> None:
    """Hold back all password mails of disabled accounts at once: there may be many, and claiming each would be in vain."""
    mine = select(_outbox.id).where(WAITING, or_(*due(now)), HELD_BACK).with_for_update(skip_locked=True)
    ids = list(connection.execute(mine).scalars())
    for some in in_chunks(ids):
        connection.execute(tables.outbox.update().where(_outbox.id.in_(some)).values(next_attempt_at=now + HELD))


def current(connection: Connection, message: Claimed) -> Claimed:
    """The message with the account and the certificate that it belongs to now, and with none if it is no longer the sender's:
    if they were deleted, others may have got their numbers."""
    query = select(_outbox.user_id, _outbox.certificate_id).where(_outbox.id == message.id, _outbox.claim == message.claim)
    user_id, certificate_id = connection.execute(query).first() or (None, None)
    return replace(message, user_id=user_id, certificate_id=certificate_id)


def mark_sent(connection: Connection, message: Claimed, now: datetime) -> bool:
    """Record that a message was sent. Returns whether it was still claimed by this sender, and still wanted."""
    ours = (_outbox.id == message.id) & (_outbox.claim == message.claim) & _outbox.sent_at.is_(None)
    found = connection.execute(select(_outbox.ended_at, _outbox.user_id).where(ours)).first()
    if found is None:
        return False
    values = {"sent_at": now, "next_attempt_at": None, "last_error": None, "given_up": False}
    connection.execute(tables.outbox.update().where(ours).values(values))
    return found.ended_at is None and found.user_id == message.user_id


def put_off(connection: Connection, message: Claimed, until: datetime, why: str | None, *, counts: bool) -> bool:
    """Try again later; `counts` says whether this used up an attempt. Returns whether the message was still ours."""
    values = {
        "claim": None,
        "next_attempt_at": until,
        "last_error": why and shortened(why),
        "attempts": message.attempts if counts else message.attempts - 1,
    }
    return connection.execute(tables.outbox.update().where(_ours(message)).values(values)).rowcount == 1


def end(connection: Connection, message: Claimed, ending: Ending, now: datetime) -> bool:
    """Never send a message. Returns whether it was still ours."""
    return connection.execute(tables.outbox.update().where(_ours(message)).values(ended(ending, now))).rowcount == 1


def _ours(message: Claimed) -> ColumnElement[bool]:
    return (_outbox.id == message.id) & (_outbox.claim == message.claim) & WAITING


def end_older(connection: Connection, since: datetime, ending: Ending, now: datetime) -> int:
    """End the messages that have waited since before an instant, except those held back; returns their number."""
    chosen = WAITING & is_free(now) & (_outbox.created_at <= since) & ~HELD_BACK
    return connection.execute(tables.outbox.update().where(chosen).values(ended(ending, now))).rowcount


_ANY = f"SELECT 1 FROM outbox WHERE {tables.WAITING} AND next_attempt_at {{}} {{}} LIMIT 1"


def is_due(reader: Reader, now: datetime, *, only_passwords: bool = False) -> bool:
    """Whether any message is `due`, asked at little cost, since it is asked all the time. Raises StoreError."""
    times = (("<= ?", instant_text(now)), ("IS NULL",), ("> ?", instant_text(now + TOO_FAR)))
    kinds = [("AND template = ?", template) for template in PASSWORD_MAILS] if only_passwords else [("",)]
    return any(
        reader.row(_ANY.format(when, kind), *moment, *template) is not None
        for kind, *template in kinds
        for when, *moment in times
    )
