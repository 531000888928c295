"""How many mails an account and a team may cause: counted in the database, so that all processes agree.

Each count begins with its first mail and ends with its hour or day. Whoever counts holds the lock of all writers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, select

from api.errors import QuotaExceeded
from api.state.policies import MailPolicy
from reconciler.store import tables
from reconciler.store.engine import Connection

_PERIODS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_columns = tables.mail_quotas.c


class Quota(NamedTuple):
    """The most mails that an account or a team may cause in an hour or a day."""

    holder: str
    words: str
    period: str
    most: int


def spend(connection: Connection, account_id: int, team_id: int | None, mails: int, policy: MailPolicy, now: datetime) -> None:
    """Count mails that an account causes to others on behalf of a team. Raises QuotaExceeded if they are too many."""
    if not mails:
        return
    for quota in _quotas(account_id, team_id, policy):
        mine = (_columns.holder == quota.holder) & (_columns.period == quota.period)
        found = connection.execute(select(_columns.began_at, _columns.used).where(mine)).first()
        ends = None if found is None else found.began_at + _PERIODS[quota.period]
        if found is None or ends is None or not found.began_at <= now < ends:
            connection.execute(delete(tables.mail_quotas).where(mine))
            connection.execute(tables.mail_quotas.insert().values(holder=quota.holder, period=quota.period, began_at=now, used=0))
            used, wait = 0, _PERIODS[quota.period]
        else:
            used, wait = found.used, ends - now
        if used + mails > quota.most:
            raise QuotaExceeded(
                f"{quota.words} may cause {quota.most} mails to others per {quota.period}, and {used} were;"
                " wait, name fewer addresses, or have the Settings raised",
                math.ceil(wait.total_seconds()),
            )
        connection.execute(tables.mail_quotas.update().where(mine).values(used=used + mails))


def forget(connection: Connection, now: datetime) -> None:
    """Delete counts that have ended."""
    connection.execute(delete(tables.mail_quotas).where(_columns.began_at <= now - max(_PERIODS.values())))


def _quotas(account_id: int, team_id: int | None, policy: MailPolicy) -> Iterator[Quota]:
    account, team = f"account {account_id}", f"team {team_id}"
    yield Quota(account, "this account", "hour", policy.account_per_hour)
    yield Quota(account, "this account", "day", policy.account_per_day)
    if team_id is not None:
        yield Quota(team, "this team", "hour", policy.team_per_hour)
        yield Quota(team, "this team", "day", policy.team_per_day)
