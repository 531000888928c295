"""The outbox as those who deliver see it: who delivers which message, and what came of it.

A message waits until it is sent or ended. Whoever delivers it claims it first, for as long as a delivery may take at most: when
that one dies, the claim runs out, and the message is another's.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, false, func, or_, select

from api.state.accounts import DISABLED
from api.state.reader import Reader
from reconciler.store import tables
from reconciler.store.chunks import in_chunks
from reconciler.store.engine import Connection, Database
from reconciler.store.tables import instant_text

PASSWORD_MAILS = ("welcome", "password-reset")
"""Those that bring a password."""
LEASE = timedelta(minutes=5)
"""How long a claim lasts; a delivery takes less (`settings`)."""
HELD = timedelta(minutes=5)
"""How often it is looked whether an account was enabled whose password mail waits for that."""
ASIDE = timedelta(seconds=5)
"""How long a password mail waits for another one of the same account."""
_TOO_FAR = timedelta(days=2)
"""No message waits as long for its next try (`pace`): an instant further ahead was written by a clock that was fast."""
_LOOKS = 100
_LOCK = 0x_AC_C1
"""The first half of the PostgreSQL advisory lock of an account whose password mail is claimed."""
GIVEN_UP = "given up: "
"""How the last error of a message begins that was given up, and not ended because nobody wants it any more."""
_LONGEST_ERROR = 500
_outbox, _users, _states = tables.outbox.c, tables.users.c, tables.account_states.c
WAITING: ColumnElement[bool] = _outbox.sent_at.is_(None) & _outbox.ended_at.is_(None)
_DISABLED_ACCOUNTS = (
    select(_users.id).select_from(tables.users.outerjoin(tables.account_states, _states.user_id == _users.id)).where(DISABLED)
)
HELD_BACK: ColumnElement[bool] = _outbox.template.in_(PASSWORD_MAILS) & _outbox.user_id.in_(_DISABLED_ACCOUNTS)
"""A password mail of a disabled account, which waits until that is enabled."""


_GIVEN_UP: ColumnElement[bool] = (
    _outbox.ended_at.is_not(None) & _outbox.sent_at.is_(None) & _outbox.last_error.startswith(GIVEN_UP, autoescape=True)
)
"""One that was given up, and may be taken up again."""


def _is_nobodys(now: datetime) -> ColumnElement[bool]:
    """Whether nobody is delivering it at this moment."""
    return or_(_outbox.claim.is_(None), _outbox.next_attempt_at <= now, _outbox.next_attempt_at > now + _TOO_FAR)


class Claimed(NamedTuple):
    """A message, and that it is ours for a while."""

    id: int
    template: str
    user_id: int | None
    certificate_id: int | None
    recipient: str | None
    created_at: datetime
    attempts: int
    """With this one."""
    message_id: str
    claim: str
    claimed_at: datetime
    detail: str

    @property
    def brings_password(self) -> bool:
        """Whether a password is made for it."""
        return self.template in PASSWORD_MAILS


def claim(database: Database, domain: str, now: datetime, *, new_first: bool = False) -> Claimed | None:
    """Claim the next message that is due; None where none is. Raises StoreError.

    `new_first`: one that was not tried yet goes before one that failed. Taking turns, neither waits for all of the others.
    Its Message-ID is made at the first try, with our domain, and stays: whoever gets it twice can tell that it is one.
    """
    with database.noting() as connection:
        row = _next_free(connection, now, new_first)
        if row is None:
            return None
        claimed = Claimed(
            row.id,
            row.template,
            row.user_id,
            row.certificate_id,
            row.recipient,
            row.created_at,
            row.attempts + 1,
            row.message_id or f"<{secrets.token_hex(16)}@{domain}>",
            secrets.token_hex(16),
            now,
            row.detail,
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


def _next_free(connection: Connection, now: datetime, new_first: bool) -> Row[Any] | None:
    for _ in range(_LOOKS):
        row = _next(connection, now, new_first)
        if row is None or row.user_id is None or row.template not in PASSWORD_MAILS:
            return row
        if connection.execute(select(_outbox.id).where(_outbox.id == row.id, HELD_BACK)).first() is not None:
            _hold_back(connection, now)
        elif _has_another_under_way(connection, row, now):
            connection.execute(tables.outbox.update().where(_outbox.id == row.id).values(next_attempt_at=now + ASIDE))
        else:
            return row
    return None


def _next(connection: Connection, now: datetime, new_first: bool) -> Row[Any] | None:
    again, new = _outbox.next_attempt_at <= now, _outbox.next_attempt_at.is_(None)
    for due in (*((new, again) if new_first else (again, new)), _outbox.next_attempt_at > now + _TOO_FAR):
        query = select(tables.outbox).where(WAITING, due).order_by(_outbox.next_attempt_at).limit(1)
        row = connection.execute(query.with_for_update(skip_locked=True)).first()
        if row is not None:
            return row
    return None


def _has_another_under_way(connection: Connection, row: Row[Any], now: datetime) -> bool:
    """Whether somebody delivers another password to the same account: of two at once, nobody could tell which one counts."""
    if connection.dialect.name == "postgresql":  # where two may claim at once
        lock = func.pg_try_advisory_xact_lock(_LOCK, row.user_id)
        if not connection.execute(select(lock)).scalar_one():
            return True
    others = WAITING & ~_is_nobodys(now) & _outbox.template.in_(PASSWORD_MAILS)
    mine = (_outbox.user_id == row.user_id) & (_outbox.id != row.id)
    return connection.execute(select(_outbox.id).where(others, mine)).first() is not None


def _hold_back(connection: Connection, now: datetime) -> None:
    """All of them at once: there may be many, and each would be claimed in vain."""
    due = or_(_outbox.next_attempt_at.is_(None), _outbox.next_attempt_at <= now, _outbox.next_attempt_at > now + _TOO_FAR)
    mine = select(_outbox.id).where(WAITING, due, HELD_BACK).with_for_update(skip_locked=True)
    numbers = list(connection.execute(mine).scalars())
    for some in in_chunks(numbers):
        connection.execute(tables.outbox.update().where(_outbox.id.in_(some)).values(next_attempt_at=now + HELD))


def current(connection: Connection, message: Claimed) -> Claimed:
    """The message, and whose it is now: its account may have been deleted, and another have come by its number."""
    return message._replace(user_id=connection.execute(select(_outbox.user_id).where(_outbox.id == message.id)).scalar())


def mark_sent(connection: Connection, message: Claimed, now: datetime) -> bool:
    """Say that a message is sent; whether it was still ours, and wanted to the end."""
    ours = (_outbox.id == message.id) & (_outbox.claim == message.claim) & _outbox.sent_at.is_(None)
    found = connection.execute(select(_outbox.ended_at, _outbox.user_id).where(ours)).first()
    if found is None:
        return False
    values = {"sent_at": now, "next_attempt_at": None, "last_error": None}
    connection.execute(tables.outbox.update().where(ours).values(values))
    return found.ended_at is None and found.user_id == message.user_id


def put_off(connection: Connection, message: Claimed, until: datetime, why: str | None, *, counts: bool) -> bool:
    """Try again later; `counts`: the message has used up a try. Whether it was still ours."""
    values = {
        "claim": None,
        "next_attempt_at": until,
        "last_error": why and why[:_LONGEST_ERROR],
        "attempts": message.attempts if counts else message.attempts - 1,
    }
    return connection.execute(tables.outbox.update().where(_ours(message)).values(values)).rowcount == 1


def end(connection: Connection, message: Claimed, why: str, now: datetime) -> bool:
    """Never send it. Whether it was still ours."""
    values = {"ended_at": now, "next_attempt_at": None, "last_error": why[:_LONGEST_ERROR]}
    return connection.execute(tables.outbox.update().where(_ours(message)).values(values)).rowcount == 1


def _ours(message: Claimed) -> ColumnElement[bool]:
    return (_outbox.id == message.id) & (_outbox.claim == message.claim) & WAITING


def end_password_mails(connection: Connection, user_id: int, why: str, now: datetime, *, before: datetime | None = None) -> None:
    """End the messages that would bring an account a password: it has got one since.

    With an instant, those that were asked for before it and that nobody is delivering; without, one that is on its way, too.
    Also those that were given up: nobody shall take them up again.
    """
    chosen = _outbox.template.in_(PASSWORD_MAILS) & (_outbox.user_id == user_id)
    if before is None:
        chosen &= or_(WAITING, _GIVEN_UP)
    else:
        chosen &= or_(WAITING & _is_nobodys(now), _GIVEN_UP) & (_outbox.created_at <= before)
    connection.execute(tables.outbox.update().where(chosen).values(ended_at=now, next_attempt_at=None, last_error=why))


def give_up_older(connection: Connection, since: datetime, why: str, now: datetime) -> int:
    """Give up what has waited since before an instant, where all that time nobody could be given it; how many."""
    chosen = WAITING & _is_nobodys(now) & (_outbox.created_at <= since) & ~HELD_BACK
    values = {"ended_at": now, "next_attempt_at": None, "last_error": f"{GIVEN_UP}{why}"[:_LONGEST_ERROR]}
    return connection.execute(tables.outbox.update().where(chosen).values(values)).rowcount


_ANY = "SELECT 1 FROM outbox WHERE sent_at IS NULL AND ended_at IS NULL AND next_attempt_at {} LIMIT 1"
_AGAIN, _NEW, _FAR = (_ANY.format(which) for which in ("<= ?", "IS NULL", "> ?"))


def is_due(reader: Reader, now: datetime) -> bool:
    """Whether anything is due, asked with little. Raises StoreError."""
    asked = ((_AGAIN, instant_text(now)), (_NEW,), (_FAR, instant_text(now + _TOO_FAR)))
    return any(reader.row(*each) is not None for each in asked)


class Status(NamedTuple):
    """How the outbox stands."""

    waiting: int
    held_back: int
    """Of those, password mails of disabled accounts."""
    oldest: datetime | None
    """Since when the oldest waits that is not held back."""
    given_up: int
    unwanted: int
    sent: dict[str, int]
    """By template."""


def read_status(connection: Connection) -> Status:
    """How the outbox stands."""

    def count(*conditions: ColumnElement[bool]) -> int:
        return int(connection.execute(select(func.count()).select_from(tables.outbox).where(*conditions)).scalar_one())

    ended = _outbox.ended_at.is_not(None) & _outbox.sent_at.is_(None)
    sent = select(_outbox.template, func.count()).where(_outbox.sent_at.is_not(None)).group_by(_outbox.template)
    return Status(
        *read_waiting(connection),
        count(_GIVEN_UP),
        count(ended, ~func.coalesce(_GIVEN_UP, false())),
        {row[0]: row[1] for row in connection.execute(sent.order_by(_outbox.template))},
    )


def read_waiting(connection: Connection) -> tuple[int, int, datetime | None]:
    """How many wait, how many of them are held back, and since when the oldest of the others waits."""
    waiting, held = (
        connection.execute(select(func.count(), func.min(_outbox.created_at)).where(WAITING, *more)).one()
        for more in ((), (HELD_BACK,))
    )
    oldest = waiting[1]
    if held[0]:
        oldest = connection.execute(select(func.min(_outbox.created_at)).where(WAITING, ~HELD_BACK)).scalar()
    return waiting[0], held[0], oldest


class Trouble(NamedTuple):
    """A message that is not going well."""

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
    failed = WAITING & _outbox.last_error.is_not(None)
    query = (
        select(
            _outbox.id,
            _outbox.template,
            func.coalesce(_outbox.recipient, _users.name, "?"),
            _outbox.attempts,
            _outbox.created_at,
            _outbox.next_attempt_at,
            _outbox.last_error,
        )
        .select_from(tables.outbox.outerjoin(tables.users, _users.id == _outbox.user_id))
        .where(or_(failed, _GIVEN_UP))
        .order_by(_outbox.id.desc())
        .limit(limit)
    )
    return [Trouble(*row) for row in connection.execute(query)]


def retry(connection: Connection, numbers: Iterable[int] | None, now: datetime) -> list[tuple[int, str, str | None]]:
    """Have messages that wait or were given up tried again at once, as if for the first time: those of these ids, or all.

    Their id, template and account, if one. One that is being delivered at this moment is left alone.
    """
    chosen = or_(WAITING & _is_nobodys(now) & _outbox.last_error.is_not(None), _GIVEN_UP)
    if numbers is not None:
        chosen &= _outbox.id.in_(list(numbers))
    query = (
        select(_outbox.id, _outbox.template, _users.name)
        .select_from(tables.outbox.outerjoin(tables.users, _users.id == _outbox.user_id))
        .where(chosen)
        .order_by(_outbox.id)
        .with_for_update(of=tables.outbox)  # a sender could claim one in between, and it would be sent twice
    )
    found = [(row[0], row[1], row[2]) for row in connection.execute(query)]
    values = {"ended_at": None, "next_attempt_at": None, "attempts": 0, "last_error": None, "claim": None}
    for some in in_chunks(number for number, _, _ in found):
        connection.execute(tables.outbox.update().where(_outbox.id.in_(some)).values(values))
    return found
