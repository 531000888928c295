"""Messages for those who ask for mail: putting them in, ending those that nobody wants any more, deleting old ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, or_, select

from api.outbox.messages import GIVEN_UP, WAITING, Ending, Outcome, ended, is_free
from api.state.reader import Reader
from reconciler.access.mails import PASSWORD_MAILS
from reconciler.store import tables
from reconciler.store.bulk import insert_rows
from reconciler.store.engine import Connection
from reconciler.store.tables import instant_text

_outbox = tables.outbox.c


class NewMessage(NamedTuple):
    """A message to put in."""

    template: str
    user_id: int | None = None
    certificate_id: int | None = None
    recipient: str | None = None
    """None: the account's address at the time of delivery."""
    detail: str = "{}"


def put(connection: Connection, messages: Iterable[NewMessage], now: datetime) -> int:
    """Put messages in; returns their number."""
    rows = [(*message, instant_text(now)) for message in messages]
    insert_rows(connection, tables.outbox, rows, (*NewMessage._fields, "created_at"))
    return len(rows)


def addressees(connection: Connection, like: NewMessage) -> list[tuple[int | None, str | None]]:
    """The accounts and addresses of all messages with the same template, certificate and detail, sent or not."""
    return [(row[0], row[1]) for row in connection.execute(select(_outbox.user_id, _outbox.recipient).where(_same(like)))]


def reaches_anybody(connection: Connection, like: NewMessage) -> bool:
    """Whether a message with the same template, certificate and detail to another recipient was sent, or may yet be."""
    other = _outbox.recipient.is_(None) | (_outbox.recipient != like.recipient)
    query = select(_outbox.id).where(_same(like), other, WAITING | _outbox.sent_at.is_not(None))
    return connection.execute(query.limit(1)).first() is not None


def _same(like: NewMessage) -> ColumnElement[bool]:
    """The messages that say the same at the same occasion."""
    return (_outbox.certificate_id == like.certificate_id) & (_outbox.template == like.template) & (_outbox.detail == like.detail)


def withdraw(connection: Connection, certificate_id: int, is_gone: Callable[[str], bool], why: str, now: datetime) -> None:
    """End the unsent messages about a certificate to addresses that no longer get any."""
    unsent = (_outbox.certificate_id == certificate_id) & _outbox.recipient.is_not(None) & _outbox.sent_at.is_(None)
    found = connection.execute(select(_outbox.id, _outbox.recipient).where(unsent))
    ids = [message_id for message_id, address in found if is_gone(address)]
    values = ended(Ending(why, Outcome.UNWANTED), now)
    connection.execute(tables.outbox.update().where(_outbox.id.in_(ids) & unsent).values(values))


def end_password_mails(connection: Connection, user_id: int, why: str, now: datetime, *, before: datetime | None = None) -> None:
    """End the messages that would bring an account a password, since it has got one.

    With `before`, only those that were put in before it and that nobody is delivering; otherwise also one that is being sent.
    Messages that were given up end as well, so that nobody has them tried again.
    """
    chosen = _outbox.template.in_(PASSWORD_MAILS) & (_outbox.user_id == user_id)
    if before is None:
        chosen &= or_(WAITING, GIVEN_UP)
    else:
        chosen &= or_(WAITING & is_free(now), GIVEN_UP) & (_outbox.created_at <= before)
    connection.execute(tables.outbox.update().where(chosen).values(ended(Ending(why, Outcome.UNWANTED), now)))


def delete_over(reader: Reader, before: datetime, limit: int) -> int:
    """Delete some messages that were sent or ended before an instant; returns how many were found. Raises StoreError."""
    over = (_outbox.sent_at <= before) | (_outbox.sent_at.is_(None) & (_outbox.ended_at <= before))
    with reader.database.reading() as connection:
        ids = list(connection.execute(select(_outbox.id).where(over).limit(limit)).scalars())
    if ids:
        with reader.database.recording() as connection:  # checked again: an operator may have had one tried again
            connection.execute(delete(tables.outbox).where(_outbox.id.in_(ids), over))
    return len(ids)
