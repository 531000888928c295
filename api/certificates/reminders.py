"""Reminders before certificates expire: each is made exactly once.

`certificates.next_reminder_at` is the instant from which a certificate's reminders are still to be made. A scan takes those that
have come, holding the lock of all writers, and moves each on in the same transaction. So it does not matter how many processes
scan, when, or whether none did for a while, and the work depends on what is due.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, bindparam, false, func, or_, select

from api.background import Periodic
from api.certificates.notices import CONCERNED, JOINED, Concerned, mail_policy, put
from api.metrics import Metrics
from api.state.policies import MailPolicy
from reconciler.access.mails import CERTIFICATE_EXPIRING
from reconciler.store import tables
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection, Database
from reconciler.store.tables import instant_text

EVERY = 60.0
SPREAD = 5.0
"""Seconds from one scan to the next, and the most that chance adds."""
AT_ONCE = 2_000
"""Certificates in one transaction: other writers wait for it."""
_AHEAD = timedelta(minutes=5)
"""How far clocks may differ before an operator should look at them."""
_JUST_AFTER = timedelta(microseconds=1)
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
    """Put the reminders that are due into the outbox. Raises StoreError."""
    certificates = mails = 0
    until: datetime | None = None
    while until is None:
        with database.recording() as connection:
            step = _step(connection, now)
        certificates, mails, until = certificates + step.certificates, mails + step.mails, step.until
    return Scan(certificates, mails, until)


class _Step(NamedTuple):
    certificates: int = 0
    mails: int = 0
    until: datetime | None = None
    """None: there may be more."""


def _step(connection: Connection, now: datetime) -> _Step:
    since, worked_out_by = connection.execute(select(_state.reminded_until, _state.reminder_policy)).one()
    if since is not None and now <= since:
        return _Step(until=since)
    policy = mail_policy(connection)
    rule = _rule(policy)
    if worked_out_by != rule:
        _start_again(connection, since, now)
        connection.execute(tables.state.update().values(reminder_policy=rule))
    rows = connection.execute(_DUE, {"now": now}).all()
    certificates, mails = _remind(connection, rows, policy, now)
    if len(rows) == AT_ONCE:
        return _Step(certificates, mails)
    connection.execute(tables.state.update().values(reminded_until=now))
    return _Step(certificates, mails, now)


def _rule(policy: MailPolicy) -> str:
    """What the instants of reminders follow from."""
    return orjson.dumps([policy.days_before_expiry, policy.share_before_expiry] if policy.on_expiry else []).decode()


def _start_again(connection: Connection, since: datetime | None, now: datetime) -> None:
    """Look at all certificates that may have reminders after the last scan; if there was none, since their registration."""
    start = _certificates.registered_at if since is None else since + _JUST_AFTER
    later = or_(_certificates.next_reminder_at.is_(None), _certificates.next_reminder_at > start)
    alive = _certificates.not_after > (since or now)
    connection.execute(tables.certificates.update().where(alive, later).values(next_reminder_at=start))


_DUE = (
    select(
        *CONCERNED,
        _certificates.not_before,
        _certificates.not_after,
        _certificates.registered_at,
        _certificates.next_reminder_at,
        (
            _certificates.tracked
            & _certificates.renewed_at.is_(None)
            & _certificates.revoked_at.is_(None)
            & ~func.coalesce(tables.teams.c.suppress_reminder_emails, false())
        ).label("wanted"),
    )
    .select_from(JOINED)
    .where(_certificates.next_reminder_at <= bindparam("now"))
    .order_by(_certificates.next_reminder_at, _certificates.id)
    .limit(AT_ONCE)
)


def _remind(connection: Connection, rows: Sequence[Row[Any]], policy: MailPolicy, now: datetime) -> tuple[int, int]:
    """Make the last reminder of each that came, and move them on; the number of certificates, and of mails."""
    due, moved = [], []
    for row in rows:
        instants = reminders(row.not_before, row.not_after, row.registered_at, policy)
        came = [at for at in instants if row.next_reminder_at <= at <= now]
        if came and row.wanted:
            due.append((Concerned(*row[: len(CONCERNED)]), {"due": instant_text(came[-1])}))
        moved.append({"number": row.id, "next": next((at for at in instants if at > now), None)})
    if moved:
        here = _certificates.id == bindparam("number")
        connection.execute(tables.certificates.update().where(here).values(next_reminder_at=bindparam("next")), moved)
    mails = len(put(connection, CERTIFICATE_EXPIRING, due, policy.always_send_to, now))
    if due:
        made = Event("certificate.remind", "Certificate", "", {"certificates": len(due), "mails": mails})
        append(connection, [made], at=now, actor="accord-api")
    return len(due), mails


def reminders(begins: datetime, ends: datetime, registered_at: datetime, policy: MailPolicy) -> list[datetime]:
    """The instants of a certificate's reminders, in order, after its registration.

    None comes earlier than a share of its lifetime before the end. If it is registered after all of them, there is one at that
    share of what is left, so that no certificate expires without any.
    """
    if not policy.on_expiry or not policy.days_before_expiry or registered_at >= ends:
        return []
    share = policy.share_before_expiry
    longest = max(ends - begins, timedelta()) * share
    instants = {ends - min(timedelta(days=days), longest) for days in policy.days_before_expiry}
    return sorted(at for at in instants if at > registered_at) or [ends - (ends - registered_at) * share]
