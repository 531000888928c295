"""Reminders before certificates expire. The instant at which a reminder is due lies in the window of exactly one scan.

A scan finds the reminders that became due since the last one. It holds the lock of all writers, and records in the same
transaction how far it came. So it does not matter how many processes scan, when, or whether none did for a while.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, false, func, select

from api.background import Periodic
from api.certificates.notices import CONCERNED, JOINED, Concerned, mail_policy, put
from api.metrics import Metrics
from reconciler.access.mails import CERTIFICATE_EXPIRING
from reconciler.store import tables
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection, Database

EVERY = 60.0
SPREAD = 5.0
"""Seconds from one scan to the next, and the most that chance adds."""
_DAY = timedelta(days=1)
_AHEAD = timedelta(minutes=5)
"""How far clocks may differ before an operator should look at them."""
_certificates, _state = tables.certificates.c, tables.state.c
_log = logging.getLogger("accord.api")


class Scan(NamedTuple):
    """What a scan did, and the instant up to which all reminders have been made."""

    certificates: int
    mails: int
    until: datetime


def reminding(database: Database, metrics: Metrics) -> Periodic:
    """Scans every minute."""

    def task(now: datetime, _: threading.Event) -> None:
        done = scan(database, now)
        metrics.reminders.inc(done.mails)
        metrics.reminded_until.set(done.until.timestamp())
        if done.until > now + _AHEAD:
            _log.error("no reminders before %s: this clock is slow, or another one was fast", done.until.isoformat())

    return Periodic("reminding", task, every=EVERY, spread=SPREAD)


def scan(database: Database, now: datetime) -> Scan:
    """Put the reminders that became due since the last scan into the outbox. Raises StoreError.

    The first scan ever makes none, and only records its time.
    """
    with database.recording() as connection:
        since = connection.execute(select(_state.reminded_until)).scalar_one()
        if since is not None and now <= since:
            return Scan(0, 0, since)
        certificates, mails = (0, 0) if since is None else _remind(connection, since, now)
        connection.execute(tables.state.update().values(reminded_until=now))
        return Scan(certificates, mails, now)


def _remind(connection: Connection, since: datetime, now: datetime) -> tuple[int, int]:
    policy = mail_policy(connection)
    if not policy.on_expiry:
        return 0, 0
    due = nearest((days, _expiring(connection, since, now, days)) for days in policy.days_before_expiry)
    mails = put(connection, CERTIFICATE_EXPIRING, due, policy.always_send_to, now)
    if due:
        made = Event("certificate.remind", "Certificate", "", {"certificates": len(due), "mails": mails})
        append(connection, [made], at=now, actor="accord-api")
    return len(due), mails


def _expiring(connection: Connection, since: datetime, now: datetime, days: int) -> Iterator[Row[Any]]:
    """The certificates that, after `since` and until `now`, came within so many days of their end, once registered."""
    before = days * _DAY
    query = (
        select(*CONCERNED, _certificates.not_after, _certificates.registered_at)
        .select_from(JOINED)
        .where(
            _certificates.not_after > since + before,
            _certificates.not_after <= now + before,
            _certificates.tracked,
            _certificates.renewed_at.is_(None),
            _certificates.revoked_at.is_(None),
            ~func.coalesce(tables.teams.c.suppress_reminder_emails, false()),
        )
        .order_by(_certificates.not_after, _certificates.id)
    )
    return (row for row in connection.execute(query) if row.registered_at < row.not_after - before)


def nearest(due: Iterable[tuple[int, Iterable[Row[Any]]]]) -> list[tuple[Concerned, Mapping[str, int]]]:
    """For each certificate, the reminder with the fewest days, with its detail. Fewer days come first in `due`."""
    found: dict[int, tuple[Concerned, Mapping[str, int]]] = {}
    for days, rows in due:
        for row in rows:
            found.setdefault(row.id, (Concerned(*row[: len(CONCERNED)]), {"days": days}))
    return list(found.values())
