"""Logging in through Active Directory, and reading accounts again, against bare ldap3 doing the same reads in the same run.

Needs a domain: `ACCORD_CONFIG` names a file with one `[directory.NAME]` table, and each account named has the same password,
on standard input.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from api.directory.controllers import Session
from api.directory.domains import Domain, groups_of
from api.directory.entries import ATTRIBUTES
from api.service import Service
from api.settings import read_settings
from reconciler.store import tables
from reconciler.store.engine import open_database
from reconciler.store.schema import upgrade


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help="accounts of the domain; they all log in")
    parser.add_argument("--logins", type=int, default=200)
    arguments = parser.parse_args()
    password = sys.stdin.readline().rstrip("\n")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/accord.db"
        with open_database(url) as database:
            upgrade(database)
        settings = read_settings({"database_url": url}, {**os.environ, "ACCORD_MAIL": "off"})
        slow = settings.directories[0]._replace(resync=timedelta(days=1))
        service = Service(settings._replace(directories=(slow,)))
        service.start()
        try:
            measure_logins(service, arguments.names, password, arguments.logins)
            measure_resync(service, arguments.names, password)
        finally:
            service.stop()


def measure_logins(service: Service, names: list[str], password: str, count: int) -> None:
    """Whole logins, in turns with the bare reads."""
    domain = service.domains.all[0]
    bare, accord = [], []
    for number in range(count):
        name = names[number % len(names)]
        bare.append(timed(lambda name=name: bare_login(domain, name, password)))  # type: ignore[misc]
        accord.append(timed(lambda name=name: service.log_in(name, password, None, datetime.now(UTC))))  # type: ignore[misc]
    row("login", statistics.median(accord) * 1000, statistics.median(bare) * 1000, "ms, median")


def bare_login(domain: Domain, name: str, password: str) -> None:
    """Search, bind on a new connection, read state and groups: the same entries, and nothing else."""
    condition = f"(&(objectCategory=person)(objectClass=user)(sAMAccountName={name}))"
    found = domain.controllers.ask(lambda session: session.search(domain.settings.user_base, condition, ATTRIBUTES, most=1))
    assert found
    dn = found[0].dn
    assert domain.controllers.refuses(dn, password) is None

    def read(session: Session) -> None:
        session.search(domain.settings.user_base, condition, ATTRIBUTES, most=1)
        groups_of(session, dn)

    domain.controllers.ask(read)


def measure_resync(service: Service, names: list[str], password: str) -> None:
    """One cycle over all accounts, and the bare reads of the same."""
    domain, now = service.domains.all[0], datetime.now(UTC)
    for name in names:
        service.log_in(name, password, None, now)
    guids = [row[0] for row in service.reader.rows("SELECT guid FROM directory_accounts")]
    with service.database.recording() as connection:
        connection.execute(update(tables.directory_accounts).values(read_at=now - timedelta(days=2)))
    bare = timed(lambda: [domain.read_all(guids[start : start + 25]) for start in range(0, len(guids), 25)])
    accord = timed(lambda: service.resync.cycle(domain, now))
    row(f"re-sync of {len(guids):,}", accord, bare, "s")


def timed(work: Callable[[], object]) -> float:
    """Seconds that work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def row(name: str, accord: float, bare: float, unit: str) -> None:
    """One line of the table."""
    print(f"{name:<20} Accord {accord:8.2f}  bare {bare:8.2f}  {accord / bare:5.2f}x  {unit}")


if __name__ == "__main__":
    main()
