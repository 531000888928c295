"""How long a refused login takes, by the reason that nobody is to learn: the medians must be within a tenth of each other.

Each login is of an account of its own, the right password where that is not the reason, and the reasons take turns, so that what
else the machine does slows all of them down.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import falcon.testing

import api.service
from api.app import create_app
from api.service import Service
from api.settings import read_settings
from reconciler.store import tables
from reconciler.store.engine import Database
from reconciler.store.schema import upgrade

PASSWORD = "a rather long passphrase"
LOGINS = 200
WITHIN = 0.10
REASONS: Mapping[str, Mapping[str, Any] | None] = {
    "unknown": None,
    "wrong": {},
    "disabled": {"disabled_by_administrator": True},
    "locked": {},
}
"""What the runtime knows of an account that is refused; None: there is no such account."""


def main() -> None:
    """Measure, print the table, and fail where it tells somebody something."""
    api.service.REFUSAL = 0.0  # what a refused login takes at least would hide what is measured here
    with tempfile.TemporaryDirectory(prefix="accord-logins-") as folder:
        service = Service(read_settings({"database_url": f"sqlite:///{Path(folder)}/accord.db"}, {"ACCORD_MAIL": "off"}))
        upgrade(service.database)
        service.start()
        fill(service.database, service.passwords.hash(PASSWORD))
        medians = measure(falcon.testing.TestClient(create_app(service)))
        service.stop()
    usual = statistics.median(medians.values())
    print(f"| login | median of {LOGINS} | of the middle |\n|---|---:|---:|")
    for reason, median in medians.items():
        print(f"| {reason} | {median * 1000:.2f} ms | {median / usual:.1%} |")
    spread = max(medians.values()) / min(medians.values()) - 1
    print(f"\nThe slowest takes {spread:.1%} longer than the quickest; at most {WITHIN:.0%} is the bar.")
    sys.exit(spread > WITHIN)


def fill(database: Database, password_hash: str) -> None:
    """An account for each login."""
    with database.writing() as connection:
        for reason, known in REASONS.items():
            for number in range(LOGINS) if known is not None else ():
                name = f"{reason}-{number}"
                user = tables.users.insert().values(name=name, email=f"{name}@example.org").returning(tables.users.c.id)
                values = {"user_id": connection.execute(user).scalar_one(), "password_hash": password_hash, **(known or {})}
                connection.execute(tables.account_states.insert().values(values))
                if reason == "locked":
                    failed = {"failures": 999, "last_failed_at": datetime.now(UTC)}
                    mine = {"account": str(values["user_id"]), "network": "203.0.113.9", "user_id": values["user_id"]}
                    connection.execute(tables.account_networks.insert().values(mine | failed))


def measure(client: falcon.testing.TestClient) -> dict[str, float]:
    """The median seconds of a refused login, by reason."""
    took: dict[str, list[float]] = {reason: [] for reason in REASONS}
    for number in range(LOGINS):
        for reason, times in took.items():
            password = "another rather long one" if reason == "wrong" else PASSWORD
            login = {"username": f"{reason}-{number}", "password": password}
            began = time.perf_counter()
            answer = client.simulate_post("/api/v1/sessions", json=login, remote_addr=f"10.{number // 256}.{number % 256}.7")
            times.append(time.perf_counter() - began)
            assert answer.status_code == 401, answer.text
    return {reason: statistics.median(times) for reason, times in took.items()}


if __name__ == "__main__":
    main()
