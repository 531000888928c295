"""Reminders before API tokens expire: to their account, and of an application's token also to the people in its teams.

Each is made once, however many processes look and whenever they do: the token keeps for how many days its last reminder was due.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, and_, exists, func, literal_column, or_, select

from api.background import Periodic
from api.certificates.notices import Administrators
from api.certificates.recipients import Person, recipients
from api.metrics import Metrics
from api.outbox import queue
from api.outbox.claims import Claimed
from api.outbox.kinds import Effect, Material, Unsendable, user_variables
from api.outbox.messages import WAITING, Ending, Outcome
from api.outbox.queue import NewMessage
from api.state.accounts import DISABLED, WITH_STATES, members
from api.state.policies import read_policies
from reconciler.access.mails import TOKEN_EXPIRING
from reconciler.store import tables
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection, Database

EVERY = 60.0
SPREAD = 5.0
"""Seconds from one look to the next, and the most that chance adds."""
AT_ONCE = 1_000
"""Tokens in one transaction: other writers wait for it."""
SOON = timedelta(days=14)
"""Tokens that end within this time count for the metrics."""
_SHARE = 2
"""No reminder comes before this part of a token's life is left, so that nobody is nagged about short ones: a half."""
_tokens, _users = tables.tokens.c, tables.users.c
_states = tables.account_states.c
_WITH_ACCOUNTS = tables.tokens.join(tables.users, _users.id == _tokens.user_id).outerjoin(
    tables.account_states, _states.user_id == _users.id
)
_successors = tables.tokens.alias("successors").c
_HAS_SUCCESSOR = exists().where(_successors.minter == _tokens.accessor, _successors.succeeds, _successors.revoked_at.is_(None))


def reminding(database: Database, metrics: Metrics) -> Periodic:
    """Looks every minute."""

    def task(now: datetime, _: threading.Event) -> None:
        metrics.reminders.inc(remind(database, now))
        with database.reading() as connection:
            for kind, soon in ending_soon(connection, now).items():
                metrics.tokens_expiring.labels(kind).set(soon.number)
                metrics.token_next_end.labels(kind).set(soon.first.timestamp() if soon.first else 0)

    return Periodic("reminding of tokens", task, every=EVERY, spread=SPREAD)


def remind(database: Database, now: datetime) -> int:
    """Put the reminders that are due into the outbox; how many mails. Raises StoreError."""
    mails = 0
    while True:
        with database.reading() as connection:  # all writers wait for each other, so do not take their turn in vain
            if _due(connection, now) is None:
                return mails
        with database.recording() as connection:
            due = _due(connection, now)
            mails += 0 if due is None else _remind(connection, *due, now)


def _due(connection: Connection, now: datetime) -> tuple[int, Sequence[Any]] | None:
    """Some tokens whose reminders are due, the nearest first, with the days of that; None if there are no more."""
    stored = connection.execute(select(tables.settings.c.policies).where(tables.settings.c.name == "default")).scalar()
    for days in read_policies(stored).token_reminders:
        is_new = or_(_tokens.reminded_days.is_(None), _tokens.reminded_days > days)
        query = (
            select(_tokens.id, _tokens.accessor, _tokens.created_at, _tokens.expires_at, _users.id.label("user_id"), _users.type)
            .select_from(_WITH_ACCOUNTS)
            .where(_expiring(now, timedelta(days=days)), is_new)
            .order_by(_tokens.expires_at)
            .limit(AT_ONCE)
        )
        rows = connection.execute(query).all()
        if rows:
            return days, rows
    return None


def _expiring(now: datetime, within: timedelta) -> ColumnElement[bool]:
    """Whether a token can be used, will end within some time and has no successor."""
    alive = (_tokens.kind == literal_column("'token'")) & _tokens.revoked_at.is_(None)  # in the words of the index
    return and_(alive, _tokens.expires_at > now, _tokens.expires_at <= now + within, ~DISABLED, ~_HAS_SUCCESSOR)


def _remind(connection: Connection, days: int, rows: Sequence[Any], now: datetime) -> int:
    connection.execute(tables.tokens.update().where(_tokens.id.in_([row.id for row in rows])).values(reminded_days=days))
    told = [row for row in rows if row.expires_at - row.created_at >= _SHARE * timedelta(days=days)]
    administrators, messages = Administrators(connection, now), list[NewMessage]()
    for row in told:
        people = _people(connection, row, now)
        detail = orjson.dumps({"token": row.accessor, "days": days}).decode()
        chosen = recipients(None, people or administrators.of(None), (), ())
        messages += [NewMessage(TOKEN_EXPIRING, each.user_id, detail=detail) for each in chosen]
    mails = queue.put(connection, messages, now)
    if told:
        event = Event("token.remind", "User", "", {"tokens": len(told), "mails": mails})
        append(connection, [event], at=now, actor="accord-api")
    return mails


def _people(connection: Connection, token: Any, now: datetime) -> list[Person]:
    """Who is told of a token: its account, and of an application the people in its teams, if they have addresses."""
    told: ColumnElement[bool] = _users.id == token.user_id
    if token.type == "application":
        in_team = members(now).c
        teams = select(in_team.team_id).where(in_team.user_id == token.user_id)
        told |= (_users.type == "person") & _users.id.in_(select(in_team.user_id).where(in_team.team_id.in_(teams)))
    query = select(_users.id, _users.email).select_from(WITH_STATES).where(told, ~DISABLED, _users.email != "")
    return [Person(*row) for row in connection.execute(query.order_by(_users.id))]


class Soon(NamedTuple):
    """The tokens that end soon: how many, and when the first does."""

    number: int
    first: datetime | None


def ending_soon(connection: Connection, now: datetime) -> dict[str, Soon]:
    """The tokens that end `SOON`, by type of account. One that was made within that time was meant to be short."""
    query = (
        select(_users.type, func.count(), func.min(_tokens.expires_at))
        .select_from(_WITH_ACCOUNTS)
        .where(_expiring(now, SOON), _tokens.created_at <= now - SOON)
        .group_by(_users.type)
    )
    return {"person": Soon(0, None), "application": Soon(0, None)} | {
        kind: Soon(number, first) for kind, number, first in connection.execute(query)
    }


def expiring(connection: Connection, now: datetime, within: timedelta) -> list[dict[str, Any]]:
    """The tokens that end within some time, the first first, as the operator's command shows them."""
    query = (
        select(_users.name, _users.type, _tokens.accessor, _tokens.name, _tokens.expires_at, _tokens.last_used_at)
        .select_from(_WITH_ACCOUNTS)
        .where(_expiring(now, within))
        .order_by(_tokens.expires_at, _tokens.id)
    )
    names = ("account", "type", "id", "name", "expiresAt", "lastUsedAt")
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query)]


class TokenNotices:
    """Mails about tokens that expire, for the sender."""

    def gather(self, connection: Connection, message: Claimed, now: datetime) -> Material:
        """What a message says about its token, and to whom. Raises Unsendable or StoreError."""
        token = connection.execute(_TOKEN.where(_tokens.accessor == orjson.loads(message.detail)["token"])).first()
        if token is None or token.revoked_at is not None:
            raise Unsendable(Ending("the token was revoked", Outcome.UNWANTED))
        if token.has_successor:
            raise Unsendable(Ending("the token has a successor", Outcome.UNWANTED))
        told = _users.id == message.user_id
        query = select(_users.name, _users.full_name, _users.email).select_from(WITH_STATES).where(told, ~DISABLED)
        account = connection.execute(query).first()
        if account is None:
            raise Unsendable(Ending("the account is gone or disabled", Outcome.UNWANTED))
        variables = {
            "user": user_variables(token.account, token.full_name, token.email),
            "token": {
                "name": token.name,
                "id": token.accessor,
                "expires": token.expires_at,
                "daysToExpiry": (token.expires_at - now) // timedelta(days=1),
                "lastUsed": token.last_used_at,
            },
        }
        return Material(account.email, account.full_name or account.name, variables)

    def tell_others(self, message: Claimed) -> Effect:
        """Administrators, if nobody else is reached."""
        return partial(_tell_administrators, message=message)


def _tell_administrators(connection: Connection, now: datetime, *, message: Claimed) -> None:
    outbox = tables.outbox.c
    same = (outbox.template == message.template) & (outbox.detail == message.detail)
    others = same & (outbox.id != message.id) & (WAITING | outbox.sent_at.is_not(None))
    if connection.execute(select(outbox.id).where(others).limit(1)).first() is not None:
        return
    told = set(connection.execute(select(outbox.user_id).where(same)).scalars())
    people = [each for each in Administrators(connection, now).of(None) if each.user_id not in told]
    chosen = recipients(None, people, (), ())
    queue.put(connection, [NewMessage(TOKEN_EXPIRING, each.user_id, detail=message.detail) for each in chosen], now)


_TOKEN = select(
    _tokens.accessor,
    _tokens.name,
    _tokens.expires_at,
    _tokens.last_used_at,
    _tokens.revoked_at,
    _HAS_SUCCESSOR.label("has_successor"),
    _users.name.label("account"),
    _users.full_name,
    _users.email,
).select_from(tables.tokens.join(tables.users, _users.id == _tokens.user_id))
