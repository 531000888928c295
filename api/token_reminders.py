"""Reminders before API tokens expire: to their account, and of an application's token also to the people in its teams.

Each is made once, however many processes look and whenever they do: the token keeps for how many days its last reminder was due.
One mail lists all tokens of an account that are due within a day, so that nobody gets a mail for each of many.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, String, and_, cast, delete, exists, func, literal_column, or_, select, union

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
from reconciler.mail.filters import shown
from reconciler.store import tables
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection, Database
from reconciler.store.tables import instant_text

EVERY = 60.0
SPREAD = 5.0
"""Seconds from one look to the next, and the most that chance adds."""
AT_ONCE = 1_000
"""Due tokens in one transaction, apart from others of their accounts: other writers wait for it."""
AHEAD = timedelta(days=1)
"""How much earlier a token is told of together with another one, and for how long its account is then left alone."""
MOST_LISTED = 100
"""Tokens that a mail lists by name, besides the first."""
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


def _due(connection: Connection, now: datetime) -> tuple[int, set[int]] | None:
    """Some accounts with tokens whose reminders are due, with the days of that; None if there are no more."""
    stored = connection.execute(select(tables.settings.c.policies).where(tables.settings.c.name == "default")).scalar()
    for days in read_policies(stored).token_reminders:
        query = (
            select(_users.id)
            .select_from(_WITH_ACCOUNTS)
            .where(_new(now, days, timedelta(days=days)), ~_told_lately(days, now))
            .order_by(_tokens.expires_at)
            .limit(AT_ONCE)
        )
        accounts = set(connection.execute(query).scalars())
        if accounts:
            return days, accounts
    return None


def _new(now: datetime, days: int, within: timedelta) -> ColumnElement[bool]:
    """Whether a token will end within some time, and nobody was told so some days before."""
    return and_(_expiring(now, within), or_(_tokens.reminded_days.is_(None), _tokens.reminded_days > days))


def _told_lately(days: int, now: datetime) -> ColumnElement[bool]:
    quotas = tables.mail_quotas.c
    mine = quotas.holder == cast(_users.id, String) + _holder("", days)
    return exists().where(mine, quotas.period == "day", quotas.began_at > now - AHEAD, quotas.began_at <= now)


def _holder(account: int | str, days: int) -> str:
    """What counts the mails about the tokens of an account, some days before they end: one a day."""
    return f"{account} tokens in {days}"


def _expiring(now: datetime, within: timedelta) -> ColumnElement[bool]:
    """Whether a token can be used, will end within some time and has no successor."""
    alive = (_tokens.kind == literal_column("'token'")) & _tokens.revoked_at.is_(None)  # in the words of the index
    return and_(alive, _tokens.expires_at > now, _tokens.expires_at <= now + within, ~DISABLED, ~_HAS_SUCCESSOR)


def _remind(connection: Connection, days: int, accounts: Collection[int], now: datetime) -> int:
    within = timedelta(days=days)
    new = and_(_new(now, days, within + AHEAD), _users.id.in_(accounts))
    query = select(_tokens.id, _tokens.created_at, _tokens.expires_at, _users.id.label("user_id")).select_from(_WITH_ACCOUNTS)
    rows = connection.execute(query.where(new).order_by(_tokens.expires_at)).all()
    ids = select(_tokens.id).select_from(_WITH_ACCOUNTS).where(new)
    connection.execute(tables.tokens.update().where(_tokens.id.in_(ids)).values(reminded_days=days))
    told: dict[int, list[datetime]] = defaultdict(list)
    for row in rows:
        if row.expires_at - row.created_at >= _SHARE * within:
            told[row.user_id].append(row.expires_at)
    if not told:
        return 0
    messages = _messages(connection, told, days, now)
    mails = queue.put(connection, messages, now)
    holders = [_holder(account, days) for account in told]
    connection.execute(delete(tables.mail_quotas).where(tables.mail_quotas.c.holder.in_(holders)))
    counts = [{"holder": each, "period": "day", "began_at": now, "used": 1} for each in holders]
    connection.execute(tables.mail_quotas.insert(), counts)
    event = Event("token.remind", "User", "", {"tokens": sum(map(len, told.values())), "mails": mails})
    append(connection, [event], at=now, actor="accord-api")
    return mails


def _messages(connection: Connection, told: Mapping[int, Sequence[datetime]], days: int, now: datetime) -> list[NewMessage]:
    """The mails about the tokens of some accounts, whose ends are given in order."""
    administrators, people, messages = Administrators(connection, now), _people(connection, told, now), list[NewMessage]()
    for account, ends in told.items():
        detail = {"account": account, "from": instant_text(ends[0]), "to": instant_text(ends[-1]), "days": days}
        chosen = recipients(None, people.get(account) or administrators.of(None), (), ())
        messages += [NewMessage(TOKEN_EXPIRING, each.user_id, detail=orjson.dumps(detail).decode()) for each in chosen]
    return messages


def _people(connection: Connection, accounts: Collection[int], now: datetime) -> dict[int, list[Person]]:
    """Who is told of accounts' tokens: the account, and of an application the people in its teams, if they have addresses."""
    mine, theirs, colleagues = members(now).alias("mine"), members(now).alias("theirs"), tables.users.alias("colleagues")
    own = select(_users.id.label("account"), _users.id.label("person")).where(_users.id.in_(accounts))
    in_teams = (
        select(_users.id, colleagues.c.id)
        .select_from(tables.users)
        .join(mine, mine.c.user_id == _users.id)
        .join(theirs, theirs.c.team_id == mine.c.team_id)
        .join(colleagues, colleagues.c.id == theirs.c.user_id)
        .where(_users.id.in_(accounts), _users.type == "application", colleagues.c.type == "person")
    )
    pairs = union(own, in_teams).subquery("pairs")
    query = (
        select(pairs.c.account, _users.id, _users.email)
        .select_from(WITH_STATES.join(pairs, pairs.c.person == _users.id))
        .where(~DISABLED, _users.email != "")
        .order_by(_users.id)
    )
    found: dict[int, list[Person]] = defaultdict(list)
    for account, *person in connection.execute(query):
        found[account].append(Person(*person))
    return found


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
        """What a message says about tokens, and to whom. Raises Unsendable or StoreError."""
        tokens = connection.execute(_TOKENS.where(_concerned(orjson.loads(message.detail))).order_by(_tokens.expires_at)).all()
        usable = [each for each in tokens if each.revoked_at is None and not each.has_successor]
        if not usable:
            why = "the token has a successor" if any(each.revoked_at is None for each in tokens) else "the token was revoked"
            raise Unsendable(Ending(why, Outcome.UNWANTED))
        token, *others = usable
        told = _users.id == message.user_id
        query = select(_users.name, _users.full_name, _users.email).select_from(WITH_STATES).where(told, ~DISABLED)
        account = connection.execute(query).first()
        if account is None:
            raise Unsendable(Ending("the account is gone or disabled", Outcome.UNWANTED))
        variables = {
            "user": user_variables(token.account, token.full_name, token.email),
            "token": {
                "name": f"{token.name} and {len(others)} more" if others else token.name,
                "id": token.accessor,
                "expires": token.expires_at,
                "daysToExpiry": (token.expires_at - now) // timedelta(days=1),
                "lastUsed": token.last_used_at,
                "others": _listed(others),
            },
        }
        return Material(account.email, account.full_name or account.name, variables)

    def tell_others(self, message: Claimed) -> Effect:
        """Administrators, if nobody else is reached."""
        return partial(_tell_administrators, message=message)


def _concerned(detail: Mapping[str, Any]) -> ColumnElement[bool]:
    """The tokens that a message is about."""
    if "token" in detail:  # of a version that made a message for each token
        return and_(_tokens.accessor == detail["token"])
    ends = _tokens.expires_at.between(datetime.fromisoformat(detail["from"]), datetime.fromisoformat(detail["to"]))
    return and_(_users.id == detail["account"], _tokens.kind == "token", ends)


def _listed(tokens: Sequence[Any]) -> list[str]:
    """Tokens in words: their names, IDs and ends. Those that are too many are counted."""
    listed = [f"{each.name} ({each.accessor}), {shown(each.expires_at)}" for each in tokens[:MOST_LISTED]]
    return listed + ([f"{len(tokens) - MOST_LISTED} more"] if len(tokens) > MOST_LISTED else [])


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


_TOKENS = select(
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
