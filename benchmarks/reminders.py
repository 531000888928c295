"""A year of reminders in simulated time: is every one that is due made exactly once, and no other? How long does a scan take?

    python -m benchmarks.reminders [--certificates 100000] [--database postgresql://…] [--replicas 2]

The clock moves through a year, about a day from one scan to the next, now and then only minutes, now and then weeks without any.
Meanwhile certificates are registered, renewed, revoked, taken back; owners, teams and Settings are switched off and on. What the
scans put into the outbox is compared with what a model expects that knows nothing of windows and SQL. Bar: no difference, and a
daily scan of 100,000 certificates takes less than 2 s on SQLite. Replicas scan at the same moments, against each other.
"""

from __future__ import annotations

import argparse
import bisect
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from sqlalchemy import select

from api.certificates.reminders import scan
from reconciler.store import tables
from reconciler.store.bulk import insert_rows
from reconciler.store.engine import Database, open_database
from reconciler.store.schema import upgrade
from reconciler.store.tables import instant_text

BAR = 2.0
BEGIN = datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = 365
TEAMS, OWNERS = 20, 200
ADMINISTRATOR = 1
ALWAYS = "pki@example.org"
SETTINGS: Sequence[dict[str, Any]] = (
    {},
    {"daysBeforeExpiry": [60, 30, 7, 1]},
    {"daysBeforeExpiry": [30, 10, 0], "alwaysSendTo": [ALWAYS]},
    {"onExpiry": False},
    {"daysBeforeExpiry": []},
    {"daysBeforeExpiry": [60, 30, 7, 1], "shareBeforeExpiry": "10%"},
)
DAYS, SHARES = (0, 1, 7, 10, 30, 60), ("33%", "10%")
"""All that any of them names."""
Reminder = tuple[int, str, int | str]
"""A certificate, the instant at which the reminder is due, and the account or address that is told."""


@dataclass
class Certificate:
    """What the model knows of one."""

    team: int
    owner: int
    not_after: datetime
    registered_at: datetime
    extra: tuple[str, ...]
    tracked: bool = True
    renewed: bool = False
    revoked: bool = False


@dataclass
class Model:
    """What should be, worked out certificate by certificate."""

    certificates: dict[int, Certificate] = field(default_factory=dict)
    owners: dict[int, bool] = field(default_factory=lambda: dict.fromkeys(range(2, OWNERS + 2), True))
    teams: dict[int, bool] = field(default_factory=lambda: dict.fromkeys(range(1, TEAMS + 1), True))
    mail: dict[str, Any] = field(default_factory=dict)
    coming: list[tuple[datetime, int, str, int]] = field(default_factory=list)
    """When a certificate has so many days left, or the share of its lifetime if that is less; in order."""
    expected: Counter[Reminder] = field(default_factory=Counter)

    def add(self, added: dict[int, Certificate]) -> None:
        """Certificates that were registered."""
        self.certificates |= added
        for number, certificate in added.items():
            for share in SHARES:
                longest = (certificate.not_after - certificate.registered_at) * (int(share.rstrip("%")) / 100)
                self.coming += [(certificate.not_after - min(days * DAY, longest), days, share, number) for days in DAYS]
        self.coming.sort()

    def scan(self, now: datetime) -> None:
        """What a scan at this moment is to put into the outbox."""
        gone_by = bisect.bisect_right(self.coming, (now, 10**6, "", 0))
        due: dict[int, datetime] = {}
        for at, days, share, number in self.coming[:gone_by]:
            if days in self.mail.get("daysBeforeExpiry", [30, 10]) and share == self.mail.get("shareBeforeExpiry", "33%"):
                due[number] = at
        del self.coming[:gone_by]
        if self.mail.get("onExpiry", True):
            for number, at in due.items():
                self.expected.update((number, instant_text(at), who) for who in self.told(self.certificates[number]))

    def told(self, certificate: Certificate) -> list[int | str]:
        """Whom a reminder of a certificate goes to at this moment; nobody, where there is to be none."""
        if not certificate.tracked or certificate.renewed or certificate.revoked or not self.teams[certificate.team]:
            return []
        owner = certificate.owner if self.owners[certificate.owner] else ADMINISTRATOR
        return [owner, *certificate.extra, *self.mail.get("alwaysSendTo", [])]


class Outcome(NamedTuple):
    """What a year came to."""

    reminders: int
    missing: Counter[Reminder]
    surplus: Counter[Reminder]
    daily: list[float]
    """Seconds of the scans about a day after the one before."""
    others: list[float]
    """Of those after weeks, or minutes."""


def main() -> None:
    """Print what was measured, and exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=100_000)
    parser.add_argument("--database", help="the URL of an empty one; default: SQLite in a folder of its own")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        url = arguments.database or f"sqlite:///{Path(folder)}/accord.db"
        databases = [opened.enter_context(open_database(url)) for _ in range(arguments.replicas)]
        upgrade(databases[0])
        outcome = live_through(databases, arguments.certificates, arguments.seed)
    scans = len(outcome.daily) + len(outcome.others)
    slowest = max(outcome.daily)
    kind = url.partition(":")[0]
    print(f"{arguments.certificates:,} certificates, {kind}, {arguments.replicas} replica(s), a year, {scans} scans")
    print(f"reminders to recipients   {outcome.reminders:,}")
    print(f"missing, surplus          {sum(outcome.missing.values())}, {sum(outcome.surplus.values())}")
    print(f"daily scan                {1000 * statistics.median(outcome.daily):.0f} ms, the slowest {1000 * slowest:.0f} ms")
    print(f"after weeks without any   {1000 * max(outcome.others):.0f} ms")
    sys.exit(bool(outcome.missing or outcome.surplus or (databases[0].is_sqlite and slowest > BAR)))


def live_through(databases: Sequence[Database], certificates: int, seed: int) -> Outcome:
    """A year over an empty database with tables, which each replica has a connection of its own to."""
    chance, model = random.Random(seed), Model()
    daily: list[float] = []
    others: list[float] = []
    _declare(databases[0], model)
    _register(databases[0], model, chance, certificates // 2, BEGIN)
    now, registered = BEGIN, certificates // 2
    while now < BEGIN + YEAR * DAY:
        gap = chance.choices([DAY, timedelta(minutes=chance.randint(1, 90)), chance.randint(2, 40) * DAY], [20, 3, 1])[0]
        now += gap * chance.uniform(0.7, 1.3)
        _change(databases[0], model, chance, now, certificates // 500)
        more = max(0, int(certificates * (0.5 + 0.5 * (now - BEGIN) / (YEAR * DAY))) - registered)
        _register(databases[0], model, chance, min(more, certificates - registered), now)
        registered = len(model.certificates)
        model.scan(now)
        began = time.perf_counter()
        _scan(databases, now)
        (daily if gap == DAY else others).append(time.perf_counter() - began)
    made = _made(databases[0])
    return Outcome(sum(made.values()), model.expected - made, made - model.expected, daily, others)


def _scan(databases: Sequence[Database], now: datetime) -> None:
    """All replicas at once; their clocks differ a little."""
    if len(databases) == 1:
        scan(databases[0], now)
        return
    start = threading.Barrier(len(databases))

    def one(place: int) -> None:
        start.wait()
        scan(databases[place], now + timedelta(microseconds=place))

    with ThreadPoolExecutor(len(databases)) as pool:
        list(pool.map(one, range(len(databases))))


def _declare(database: Database, model: Model) -> None:
    declared = ("id", "name", "email")
    people = [(number, f"user-{number}", f"user-{number}@example.org") for number in (ADMINISTRATOR, *model.owners)]
    teams = [(number, f"team-{number}", False) for number in model.teams]
    with database.recording() as connection:
        insert_rows(connection, tables.users, people, declared)
        administrators = TEAMS + 1
        insert_rows(connection, tables.teams, [*teams, (administrators, "admins", True)], ("id", "name", "administrator"))
        insert_rows(connection, tables.memberships, [(administrators, ADMINISTRATOR)], ("team_id", "user_id"))
        insert_rows(connection, tables.issuers, [(1, "tls")], ("id", "name"))
        insert_rows(connection, tables.settings, [(1, "default", "{}", "{}")], ("id", "name", "guards", "policies"))


_COLUMNS = (
    *("id", "issuer_id", "issuer_name", "team_id", "team_name", "owner_id", "owner_name", "serial", "sha256", "subject"),
    *("not_before", "not_after", "pem", "extra_addresses", "registered_at", "next_reminder_at"),
)


def _register(database: Database, model: Model, chance: random.Random, count: int, now: datetime) -> None:
    rows, added = [], {}
    first = len(model.certificates) + 1
    for number in range(first, first + count):
        extra = tuple(f"extra-{each}@example.org" for each in chance.sample(range(9), chance.choice([0, 0, 0, 1, 2])))
        lives = timedelta(
            days=chance.choice([5, 47, 90, 365]) * chance.random() ** 0.3 if now == BEGIN else chance.choice([5, 47, 90, 365])
        )
        made = Certificate(chance.randint(1, TEAMS), chance.choice([*model.owners]), now + lives, now, extra)
        added[number] = made
        identity = (1, "tls", made.team, f"team-{made.team}", made.owner, f"user-{made.owner}", f"{number:x}", f"{number:064x}")
        validity = (f"CN={number}.example.org", instant_text(now), instant_text(made.not_after), "PEM")
        rows.append((number, *identity, *validity, orjson.dumps(extra).decode(), instant_text(now), instant_text(now)))
    model.add(added)
    with database.recording() as connection:
        insert_rows(connection, tables.certificates, rows, _COLUMNS)


def _change(database: Database, model: Model, chance: random.Random, now: datetime, count: int) -> None:
    """What people do from one scan to the next."""
    columns, moment = tables.certificates.c, now
    with database.recording() as connection:
        for number in chance.choices(range(1, len(model.certificates) + 1), k=count):
            known, act = model.certificates[number], chance.choice(["renew", "revoke", "restore", "track", "untrack"])
            if act == "renew":
                known.renewed = True
                values: dict[str, Any] = {"renewed_at": moment}
            elif act in ("revoke", "restore"):
                known.revoked = act == "revoke"
                values = {"revoked_at": moment if known.revoked else None}
            else:
                known.tracked = act == "track"
                values = {"tracked": known.tracked}
            connection.execute(tables.certificates.update().where(columns.id == number).values(values))
        if chance.random() < 0.2:
            team, owner = chance.choice([*model.teams]), chance.choice([*model.owners])
            model.teams[team], model.owners[owner] = not model.teams[team], not model.owners[owner]
            suppressed, disabled = (
                {"suppress_reminder_emails": not model.teams[team]},
                {"disabled_by_git": not model.owners[owner]},
            )
            connection.execute(tables.teams.update().where(tables.teams.c.id == team).values(suppressed))
            connection.execute(tables.users.update().where(tables.users.c.id == owner).values(disabled))
        if chance.random() < 0.05:
            model.mail = chance.choice(SETTINGS)
            policies = orjson.dumps({"mail": orjson.dumps(model.mail).decode()}).decode()
            connection.execute(tables.settings.update().values(policies=policies))


def _made(database: Database) -> Counter[Reminder]:
    columns = tables.outbox.c
    query = select(columns.certificate_id, columns.detail, columns.user_id, columns.recipient)
    with database.reading() as connection:
        return Counter(
            (number, orjson.loads(detail)["due"], recipient or user_id)
            for number, detail, user_id, recipient in connection.execute(query)
        )


if __name__ == "__main__":
    main()
