"""Deleting what is long over: sessions and tokens that nobody can use any more, failed logins that nobody counts any more, mails
that were sent, or will never be.

The audit log keeps what it says of them. Processes that purge at the same time do each other no harm.
"""

from __future__ import annotations

import random
import threading
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select

from api.authentication import account_failures
from api.authentication.logins import forget_failures
from api.background import Periodic
from api.certificates import quotas
from api.directory import lockout
from api.outbox import queue
from api.state.reader import Reader
from reconciler.store import tables
from reconciler.store.engine import Database
from reconciler.store.tables import instant_text

KEPT = {"token": timedelta(days=30), "session": timedelta(days=7)}
"""How long a credential is kept after its end. Of sessions there are many, and a login looks through its account's."""
KEPT_MAIL = timedelta(days=90)
"""How long a message of the outbox is kept once it was sent, or ended."""
EVERY = 3600.0
_PAUSE = 0.1
"""Seconds from one purge to the next, and from one piece to the next: a purge is in no hurry, and requests are."""
_AT_A_TIME = 1_000
_SOME = """SELECT id, kind, CASE WHEN revoked_at < expires_at THEN revoked_at ELSE expires_at END
FROM tokens WHERE id > ? ORDER BY id LIMIT ?"""


def purging(reader: Reader) -> Periodic:
    """Purges every hour, for the first time at a random moment: processes that start together do not purge together."""

    def task(now: datetime, stopping: threading.Event) -> None:
        purge(reader, now, stopping)

    return Periodic("purging", task, every=EVERY, first=random.uniform(60, EVERY))  # noqa: S311 - no secret


def purge(reader: Reader, now: datetime, stopping: threading.Event) -> None:
    """Delete what was over long before an instant. Raises StoreError."""
    with reader.database.recording() as connection:
        forget_failures(connection, now)
        account_failures.forget_ended(connection, now)
        lockout.forget_ended(connection, now)
        quotas.forget(connection, now)
    _purge_credentials(reader, now, stopping)
    _purge_mails(reader, now, stopping)


def _purge_credentials(reader: Reader, now: datetime, stopping: threading.Event) -> None:
    limits = {kind: now - kept for kind, kept in KEPT.items()}
    after = 0
    while not stopping.is_set():
        rows = reader.rows(_SOME, after, _AT_A_TIME)
        over = [number for number, kind, ended in rows if ended <= instant_text(limits[kind])]
        if over:
            _delete(reader.database, over, limits)
        if len(rows) < _AT_A_TIME:
            return
        after = rows[-1][0]
        stopping.wait(_PAUSE)


def _delete(database: Database, numbers: list[int], limits: dict[str, datetime]) -> None:
    columns = tables.tokens.c
    # looked at again: another process may have deleted it, and SQLite gives the number of a deleted row to a new one
    over = [
        (columns.kind == kind) & ((columns.expires_at <= limit) | (columns.revoked_at <= limit)) for kind, limit in limits.items()
    ]
    minted = tables.tokens.alias("minted")
    # one that minted another is kept as long as that: to revoke it ends all that came of it
    is_minter = select(minted.c.id).where(minted.c.minter == columns.accessor).exists()
    with database.recording() as connection:
        connection.execute(delete(tables.tokens).where(columns.id.in_(numbers), or_(*over), ~is_minter))


def _purge_mails(reader: Reader, now: datetime, stopping: threading.Event) -> None:
    while not stopping.is_set():
        if queue.delete_over(reader, now - KEPT_MAIL, _AT_A_TIME) < _AT_A_TIME:
            return
        stopping.wait(_PAUSE)
