"""What the reads below the console's pages take, at size: median and p99 of each beside the floor of the same run, and the median
of this process's own time, which a busy machine does not lengthen (of SQLite that is all; PostgreSQL works elsewhere).

python -m benchmarks.reads --folder /tmp/sized
python -m benchmarks.postgresql benchmarks.reads
"""

from __future__ import annotations

import base64
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from api.outbox.listing import MailFilter, list_messages
from api.reads.access_map import AccessMaps, make_map, read_facts
from api.reads.explorer import explain
from api.reads.users import shown_user, view_user
from api.state import audit_log, history, issuers, revisions, teams, users
from api.state.audit_log import AuditFilter
from api.state.freshness import Freshness
from api.state.issuers import IssuerFilter
from api.state.pages import Page
from api.state.reader import Reader
from api.state.snapshots import AccessKeeper, read_stamp
from api.state.teams import TeamFilter
from api.state.users import UserFilter
from benchmarks.deployment import Deployment, deployed, options
from reconciler.store import tables
from reconciler.store.audit import Chain, Event
from reconciler.store.bulk import insert_rows
from reconciler.store.engine import Database, open_database
from reconciler.store.tables import instant_text

TIMES = 25
Read = tuple[str, Callable[[], Any]]


def main() -> None:
    """Make the sized database once, and measure each read."""
    with deployed(options(__doc__, 1).parse_args()) as deployment, open_database(deployment.url, pooled=True) as database:
        _enrich(deployment, database)
        reader = Reader(database)
        print(f"{deployment.kind}, {deployment.users:,} users: milliseconds, median and p99 of {TIMES}, own time")
        for name, read in _reads(reader, deployment.users):
            read()
            both = [_took(read) for _ in range(TIMES)]
            took, own = sorted(each for each, _ in both), statistics.median(each for _, each in both)
            slow = "  SLOW" if statistics.median(took) > 100 or took[-1] > 250 else ""
            print(f"  {name:44} {statistics.median(took):8.2f} {took[-1]:8.2f} {own:8.2f}{slow}")
        reader.close()


def _took(read: Callable[[], Any]) -> tuple[float, float]:
    began, own = time.perf_counter(), time.thread_time()
    read()
    return (time.perf_counter() - began) * 1_000, (time.thread_time() - own) * 1_000


def _cursor(text: str) -> Page:
    return Page(base64.urlsafe_b64encode(text.encode()).decode().rstrip("="), 50)


def _reads(reader: Reader, number: int) -> Iterator[Read]:
    now, page, keeper = datetime.now(UTC), Page(None, 50), AccessKeeper(reader)
    keeper.now()
    user = f"user-{number // 2:06}"
    yield "floor: SELECT 1", lambda: reader.row("SELECT 1")
    filters = {
        "all": UserFilter(),
        "no match": UserFilter(search="zzzz"),
        "one": UserFilter(search=user),
        "team": UserFilter(team="team-00001"),
        "directory": UserFilter(source="directory"),
        "disabled": UserFilter(enabled=False),
        "logged in before": UserFilter(last_login_before=now - timedelta(900)),
        "never logged in": UserFilter(never_logged_in=True),
        "everything, no match": UserFilter("zzzz", "team-00001", "declared", True, now, None, True),
    }
    for name, wanted in filters.items():
        for by in ("name", "last-login"):
            sort = wanted._replace(sort=by)
            yield f"users, {name}, by {by}", lambda sort=sort: users.list_users(reader, page, sort, now)  # type: ignore[misc]
        yield f"users, {name}, counted", lambda wanted=wanted: users.count_users(reader, wanted, now)  # type: ignore[misc]
    yield "users, last page", lambda: users.list_users(reader, _cursor(f"user-{number - 50:06}"), UserFilter(), now)
    yield "one user", lambda: view_user(reader, keeper, user, now)
    yield "one user, JSON", lambda: shown_user(reader, keeper, user, now)
    yield "teams, JSON", lambda: teams.list_teams(reader, page, now)
    yield "teams", lambda: teams.search_teams(reader, page, TeamFilter(), now)
    yield "teams, no match", lambda: teams.search_teams(reader, page, TeamFilter("zzzz"), now)
    yield "members", lambda: teams.list_members(reader, "team-00001", page, now)
    yield "issuers", lambda: issuers.search_issuers(reader, page, IssuerFilter(), now)
    yield "issuers, no match", lambda: issuers.search_issuers(reader, page, IssuerFilter("zzzz"), now)
    yield "people of an issuer", lambda: issuers.list_people(reader, "issuer-0001", page, now)
    fresh = Freshness({})
    yield "explorer, denied", lambda: explain(reader, keeper, fresh, user, "issuer-0001", None, now, now)
    for name, entries in {
        "all": AuditFilter(),
        "no such actor": AuditFilter(actor="nobody"),
        "a common action, an uncommon name": AuditFilter(action="session.open", kind="Team", name="team-00001"),
        "a common actor, an uncommon action": AuditFilter(actor="login", action="revision.apply"),
        "a time without entries": AuditFilter(since=now - timedelta(900), until=now - timedelta(800)),
    }.items():
        yield f"audit, {name}", lambda entries=entries: audit_log.list_entries(reader, page, entries)  # type: ignore[misc]
    yield "revision", lambda: revisions.find_revision(reader, 1)
    first = revisions.find_revision(reader, 1)
    assert first is not None
    yield "changes of a revision", lambda: revisions.list_changes(reader, first, page)
    yield "sync", lambda: history.sync_state(reader, now)
    for state in ("waiting", "given-up", "sent", "unwanted"):
        mails = MailFilter(state)
        yield f"mail, {state}", lambda mails=mails: list_messages(reader, page, mails)  # type: ignore[misc]
    facts = read_facts(reader, read_stamp(reader), now, lambda: None)
    for by, focus in (("folder", None), ("label", None), ("issuer", None), ("folder", "teams:teams/01")):
        yield f"map by {by}, {focus}", lambda by=by, focus=focus: make_map(facts, by, "site", focus)  # type: ignore[misc]
    maps = AccessMaps(reader, lambda function: function())
    yield "map, kept", lambda: maps.map_of(now)


def _enrich(deployment: Deployment, database: Database) -> None:
    """Logins, their entries, and mails: what the runtime knows after a while. Once."""
    now, rng = datetime.now(UTC), random.Random(7)
    with database.recording() as connection:
        if connection.execute(select(tables.outbox.c.id).limit(1)).first() is not None:
            return
        people = list(connection.execute(select(tables.users.c.id, tables.users.c.name).order_by(tables.users.c.name)))
        known = set(connection.execute(select(tables.account_states.c.user_id)).scalars())
        logins = [
            (each.id, instant_text(now - timedelta(seconds=rng.randrange(86_400 * 800))), "10.1.2.3")
            for number, each in enumerate(people)
            if each.id not in known and number % 10
        ]
        insert_rows(connection, tables.account_states, logins, ("user_id", "last_login_at", "last_login_address"))
        chain = Chain(connection, at=now, actor="login")
        for rows in chain.entries(Event("session.open", "User", each.name, {}) for each in people for _ in range(2)):
            insert_rows(connection, tables.audit, rows)
        chain.end()
        sent = [("welcome", each.id, instant_text(now), 1, instant_text(now)) for each in people if each.id % 10]
        insert_rows(connection, tables.outbox, sent, ("template", "user_id", "created_at", "attempts", "sent_at"))
        failed = [("welcome", each.id, instant_text(now), 1, "refused") for each in people if not each.id % 10]
        insert_rows(connection, tables.outbox, failed, ("template", "user_id", "created_at", "attempts", "last_error"))
    if not database.is_sqlite:
        connection = database.driver_connection()
        connection.execute("VACUUM ANALYZE")
        connection.close()


if __name__ == "__main__":
    main()
