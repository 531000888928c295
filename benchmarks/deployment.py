"""A deployment of generated users, each with an API token, and Accord serving it: what the loads on the API share."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from api.authentication.tokens import fingerprint, new_accessor, new_secret
from benchmarks import wrk
from benchmarks.generate import ADMINISTRATORS, make_repository
from benchmarks.processes import free_port, running, settle
from benchmarks.wrk import Load, Result
from reconciler.store import tables
from reconciler.store.bulk import insert_rows
from reconciler.store.engine import Connection, open_database
from reconciler.store.tables import instant_text

SERVERS = ("waitress", "granian")
WORKERS = 2
"""Of Granian."""


def options(description: str | None, seconds: int = 5) -> argparse.ArgumentParser:
    """The options of every load on the API."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=seconds, help="of each load")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--folder", type=Path, help="where the deployment is kept, for another run to find it")
    parser.add_argument("--database", help="a PostgreSQL URL of an empty database, instead of SQLite")
    parser.add_argument("--server", choices=SERVERS, action="append")
    return parser


@contextmanager
def deployed(arguments: argparse.Namespace) -> Iterator[Deployment]:
    """The deployment that the options ask for."""
    with tempfile.TemporaryDirectory() as temporary:
        yield Deployment(arguments.folder or Path(temporary), arguments)


class Deployment:
    """A config repository, the database that it was applied to, and a token for every user."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder = folder
        self.repository = folder / "config.git"
        self.url: str = arguments.database or f"sqlite:///{folder}/accord.db"
        self.kind = self.url.partition(":")[0]
        self.users: int = arguments.users
        self.seconds: int = arguments.seconds
        self.connections: int = arguments.connections
        self.servers: tuple[str, ...] = tuple(arguments.server or SERVERS)
        self.environment = {
            **os.environ,
            "ACCORD_MAIL": "off",
            "ACCORD_REPOSITORY": str(self.repository),
            "ACCORD_DATABASE_URL": self.url,
            "ACCORD_CACHE": str(folder / "cache"),
        }
        self.tokens = folder / "tokens"
        if not self.tokens.exists():
            self._make()
        self.secrets = self.tokens.read_text().split()
        """By the users' numbers: their names sort as these do."""
        self.issuers: list[str] = [name for (name,) in self.rows(select(tables.issuers.c.name))]

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        make_repository(self.repository, self.users)
        self.apply()
        secrets = [new_secret() for _ in range(self.users)]
        with open_database(self.url) as database, database.recording() as connection:
            connection.execute(tables.outbox.delete())  # welcoming them all is another benchmark's work
            _hand_out(connection, secrets)
        self.tokens.write_text("\n".join(secrets) + "\n")

    def apply(self) -> None:
        """Apply what the config repository holds now."""
        subprocess.run(
            [sys.executable, "-m", "reconciler.cli", "apply", "--yes"],
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def rows(self, query: Any) -> list[Any]:
        """What the database holds."""
        with open_database(self.url) as database, database.reading() as connection:
            return list(connection.execute(query))

    def asking(self, name: str, path: str, bodies: list[str], method: str = "POST", type: str = "application/json") -> Load:
        """A load that comes with a token of one of all users, at random."""
        return Load(name, method, path, bodies, type, self.tokens)

    @contextmanager
    def serving(self, server: str) -> Iterator[tuple[int, float, int]]:
        """Accord, when it is ready and has read ahead what it will: its port, after how long it was ready, and its process."""
        port = free_port()
        command = [sys.executable, "-m", "api", "serve", "--server", server, "--listen", f"127.0.0.1:{port}"]
        if server == "granian":
            command += ["--workers", str(WORKERS)]
        with running(command, self.environment, port, "/readyz") as (pid, ready):
            settle(pid)
            yield port, ready, pid

    def put(self, load: Load, port: int, seconds: int | None = None, connections: int | None = None) -> Result:
        """Put a load on a port."""
        return wrk.put(load, port, self.folder, seconds=seconds or self.seconds, connections=connections or self.connections)


def _hand_out(connection: Connection, secrets: list[str]) -> None:
    """Give each user a token, in the order of their names, and administrators a password, for no plan may leave none."""
    made, ends = instant_text(datetime.now(UTC)), instant_text(datetime.now(UTC) + timedelta(30))
    users = list(connection.execute(select(tables.users.c.id).order_by(tables.users.c.name)).scalars())
    rows = [
        (user, "token", new_accessor(), fingerprint(secret), "bench", made, ends)
        for user, secret in zip(users, secrets, strict=True)
    ]
    columns = ("user_id", "kind", "accessor", "sha256", "name", "created_at", "expires_at")
    insert_rows(connection, tables.tokens, rows, columns)
    hashes = [(user, "none that any password has") for user in users[:ADMINISTRATORS]]
    insert_rows(connection, tables.account_states, hashes, ("user_id", "password_hash"))
