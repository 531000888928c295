"""The outbox for operators and figures: what waits, what failed, what was given up; and trying again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, or_, select

from api.outbox.messages import GIVEN_UP, HELD_BACK, OUTCOME, WAITING, Outcome, is_free
from reconciler.store import tables
from reconciler.store.chunks import in_chunks
from reconciler.store.engine import Connection

_outbox, _users = tables.outbox.c, tables.users.c
_WITH_USERS = tables.outbox.outerjoin(tables.users, _users.id == _outbox.user_id)


class Waiting(NamedTuple):
    """The messages that wait."""

    messages: int
    held_back: int
    """Password mails of disabled accounts among them."""
    oldest: datetime | None
    """When the oldest of the others was put in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the outbox stands."""

    waiting: Waiting
    given_up: int
    unwanted: int
    sent: dict[str, int]
    """By template."""


def read_status(connection: Connection) -> Status:
    """How the outbox stands."""
    outcome = OUTCOME.label("outcome")
    query = select(outcome, _outbox.template, func.count()).where(~WAITING).group_by("outcome", _outbox.template)
    numbers = [(row[0], row[1], row[2]) for row in connection.execute(query.order_by(_outbox.template))]
    return Status(
        waiting=read_waiting(connection),
        given_up=sum(number for found, _, number in numbers if found == Outcome.GIVEN_UP),
        unwanted=sum(number for found, _, number in numbers if found == Outcome.UNWANTED),
        sent={template: number for found, template, number in numbers if found == Outcome.SENT},
    )


def read_waiting(connection: Connection) -> Waiting:
    """The messages that wait."""
    waiting, held = (
        connection.execute(select(func.count(), func.min(_outbox.created_at)).where(WAITING, *more)).one()
        for more in ((), (HELD_BACK,))
    )
    oldest = waiting[1]
    if held[0]:
        oldest = connection.execute(select(func.min(_outbox.created_at)).where(WAITING, ~HELD_BACK)).scalar()
    return Waiting(waiting[0], held[0], oldest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A message that failed and waits, or was given up."""

    id: int
    template: str
    recipient: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    """None: never again."""
    why: str


def read_trouble(connection: Connection, limit: int) -> Sequence[Trouble]:
    """The messages that failed and wait, or were given up, newest first."""
    query = (
        select(
            _outbox.id,
            _outbox.template,
            func.coalesce(_outbox.recipient, _users.name, "?").label("recipient"),
            _outbox.attempts,
            _outbox.created_at,
            _outbox.next_attempt_at,
            _outbox.last_error,
            OUTCOME.label("outcome"),
        )
        .select_from(_WITH_USERS)
        .where(or_(WAITING & _outbox.last_error.is_not(None), GIVEN_UP))
        .order_by(_outbox.id.desc())
        .limit(limit)
    )
    return [
        Trouble(
            id=row.id,
            template=row.template,
            recipient=row.recipient,
            attempts=row.attempts,
            created_at=row.created_at,
            next_attempt_at=row.next_attempt_at,
            why=f"given up: {row.last_error}" if row.outcome == Outcome.GIVEN_UP else row.last_error,
        )
        for row in connection.execute(query)
    ]


def retry(connection: Connection, ids: Iterable[int] | None, now: datetime) -> list[tuple[int, str, str | None]]:
    """Have messages that failed or were given up tried again at once, as if for the first time: those with these IDs, or all.

    Returns the ID, the template and the account, if any, of each. A message that is being delivered is left alone.
    """
    chosen = or_(WAITING & is_free(now) & _outbox.last_error.is_not(None), GIVEN_UP)
    if ids is not None:
        chosen &= _outbox.id.in_(list(ids))
    query = (
        select(_outbox.id, _outbox.template, _users.name)
        .select_from(_WITH_USERS)
        .where(chosen)
        .order_by(_outbox.id)
        .with_for_update(of=tables.outbox)  # otherwise a sender could claim one meanwhile, and it would be sent twice
    )
    found = [(row[0], row[1], row[2]) for row in connection.execute(query)]
    values = {
        "ended_at": None,
        "given_up": False,
        "next_attempt_at": None,
        "attempts": 0,
        "last_error": None,
        "claim": None,
    }
    for some in in_chunks(message_id for message_id, _, _ in found):
        connection.execute(tables.outbox.update().where(_outbox.id.in_(some)).values(values))
    return found
