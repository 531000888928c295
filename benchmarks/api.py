"""The runtime API against a bare Falcon handler on the same server: 100,000 users, 10,000 teams, 100,000 tokens, wrk on loopback.

Needs wrk (Debian: apt-get install wrk). One table; every figure of Accord is shown beside the bare handler's of the same run.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from argon2 import PasswordHasher
from sqlalchemy import select

from api.authentication.tokens import fingerprint, new_accessor, new_secret
from benchmarks.generate import make_repository
from reconciler.store import tables
from reconciler.store.bulk import insert_rows
from reconciler.store.engine import open_database
from reconciler.store.tables import instant_text

PASSWORD = "a rather long passphrase"
BARE = """
import falcon
class Handler:
    def on_get(self, request, response):
        response.content_type, response.data = "application/json", b'{"allow":true}'
    def on_post(self, request, response):
        request.bounded_stream.read()
        response.content_type, response.data = "application/json", b'{"allow":true}'
app = falcon.App()
app.add_route("/", Handler())
"""
SERVE_BARE = """
import socket, sys, bare
from api.serving.waitress import _Waitress
from api.settings import read_settings
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
_Waitress(bare.app, read_settings({}, {}), listening, lambda _: "quick" in sys.argv).run(print)
"""
SCRIPT = """
local tokens = {}
for line in io.lines("%(tokens)s") do tokens[#tokens + 1] = line end
local bodies = {}
for line in io.lines("%(bodies)s") do bodies[#bodies + 1] = line end
math.randomseed(os.time())
request = function()
  local headers = { ["Authorization"] = "Bearer " .. tokens[math.random(#tokens)], ["Content-Type"] = "%(type)s" }
  return wrk.format("%(method)s", "%(path)s", headers, bodies[math.random(#bodies)])
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%f %%f %%d\\n", summary.requests / (summary.duration / 1e6), latency:percentile(99) / 1000,
    summary.errors.status + summary.errors.read + summary.errors.timeout))
end
"""


class Load(NamedTuple):
    """What wrk sends."""

    name: str
    method: str
    path: str
    bodies: list[str]
    type: str = "application/json"


class Result(NamedTuple):
    """What wrk saw."""

    rate: float
    p99: float
    errors: int


def main() -> None:
    """Print one table a server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--folder", type=Path, help="where the database is kept, for another run to find it")
    parser.add_argument("--database", help="a PostgreSQL URL of an empty database, instead of SQLite")
    parser.add_argument("--server", choices=["waitress", "granian"], action="append")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(arguments.folder or Path(temporary), arguments)
        bench.prepare()
        for server in arguments.server or ["waitress", "granian"]:
            bench.measure(server)


class Bench:
    """One database, and the servers over it."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder = folder
        self.arguments = arguments
        self.url = arguments.database or f"sqlite:///{folder}/accord.db"
        self.environment = {
            **os.environ,
            "ACCORD_MAIL": "off",
            "ACCORD_DATABASE_URL": self.url,
            "ACCORD_CACHE": str(folder / "cache"),
        }
        (folder / "bare.py").write_text(BARE)

    def prepare(self) -> None:
        """Apply a generated repository, and give every user a token; unless an earlier run did."""
        if not (self.folder / "tokens").exists():
            self._make()
        self.secrets = (self.folder / "tokens").read_text().split()
        with open_database(self.url).reading() as connection:
            self.issuers = list(connection.execute(select(tables.issuers.c.name)).scalars())

    def _make(self) -> None:
        repository = make_repository(self.folder / "config.git", self.arguments.users)
        command = [sys.executable, "-m", "reconciler.cli", "apply", "--yes", "--repository", str(repository)]
        subprocess.run(command, env=self.environment, check=True, stdout=subprocess.DEVNULL)
        now = datetime.now(UTC)
        database = open_database(self.url)
        with database.recording() as connection:
            connection.execute(tables.outbox.delete())  # welcoming them all is another benchmark's work
            users = list(connection.execute(select(tables.users.c.id)).scalars())
            secrets = [new_secret() for _ in users]
            rows = [
                (
                    user,
                    "token",
                    new_accessor(),
                    fingerprint(secret),
                    "bench",
                    instant_text(now),
                    instant_text(now + timedelta(30)),
                )
                for user, secret in zip(users, secrets, strict=True)
            ]
            columns = ("user_id", "kind", "accessor", "sha256", "name", "created_at", "expires_at")
            insert_rows(connection, tables.tokens, rows, columns)
        (self.folder / "tokens").write_text("\n".join(secrets) + "\n")

    def measure(self, server: str) -> None:
        """One table."""
        rng = random.Random(7)
        single = [f'{{"issuer":"{rng.choice(self.issuers)}"}}' for _ in range(1000)]
        batch = ",".join(f'{{"issuer":"{rng.choice(self.issuers)}"}}' for _ in range(1000))
        introspected = [f"token={rng.choice(self.secrets)}" for _ in range(1000)]
        loads = [
            Load("one decision", "POST", "/api/v1/decisions", single),
            Load("auth", "GET", f"/api/v1/auth?issuer={self.issuers[0]}", [""]),
            Load("introspect", "POST", "/api/v1/introspect", introspected, "application/x-www-form-urlencoded"),
            Load("batch of 1,000", "POST", "/api/v1/decisions", [f'{{"requests":[{batch}]}}']),
        ]
        print(f"\n{server}, {self.arguments.connections} connections, {self.url.partition(':')[0]}")
        print(f"{'load':<24}{'requests/s':>12}{'of bare':>9}{'p99 ms':>9}{'of bare':>9}{'refused':>9}")
        with self.bare(server) as port:
            bare = self.wrk(port, Load("bare Falcon handler", "POST", "/", single))
            row("bare Falcon handler", bare, bare)
        if server == "waitress":
            with self.bare(server, "quick") as port:
                row("  in Accord's quick lane", self.wrk(port, Load("", "POST", "/", single)), bare)
        with self.accord(server) as (port, ready, process):
            time.sleep(self.arguments.users / 20_000)  # until the accounts have been read ahead
            for load in loads:
                self.wrk(port, load, seconds=2)
                found = self.wrk(port, load)
                row(load.name, found, bare)
                if load.name.startswith("batch"):
                    print(f"{'  decisions/s':<24}{found.rate * 1000:>12,.0f}")
            self.logins(port)
            print(f"ready after {ready:.2f} s; resident {resident(process):.0f} MiB")

    def logins(self, port: int) -> None:
        """Logins of many accounts, against bare argon2 verifications in as many threads as hash here."""
        hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        kept, threads = hasher.hash(PASSWORD), len(os.sched_getaffinity(0))
        with ThreadPoolExecutor(threads) as pool:
            began = time.monotonic()
            list(pool.map(lambda _: hasher.verify(kept, PASSWORD), range(40 * threads)))
            bare = 40 * threads / (time.monotonic() - began)
        database = open_database(self.url)
        with database.recording() as connection:
            connection.execute(tables.account_states.delete())
            rows = [(number, kept) for number in range(1, 501)]
            insert_rows(connection, tables.account_states, rows, ("user_id", "password_hash"))
            query = select(tables.users.c.name).where(tables.users.c.id <= 500)
            names = list(connection.execute(query).scalars())
        bodies = [f'{{"username":"{name}","password":"{PASSWORD}"}}' for name in names]
        found = self.wrk(port, Load("login", "POST", "/api/v1/sessions", bodies), connections=2 * threads)
        rate = found.rate - found.errors / self.arguments.seconds
        print(
            f"{'logins':<24}{rate:>12,.0f}{rate / bare:>9.0%} of {bare:,.0f} bare argon2 verifications/s{found.errors:>8} errors"
        )

    @contextmanager
    def bare(self, server: str, *more: str) -> Iterator[int]:
        """The bare handler on a port."""
        port = free_port()
        command = (
            [sys.executable, "-c", SERVE_BARE, str(port), *more]
            if server == "waitress"
            else [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "--workers", "2", "bare:app",
                  "--blocking-threads", "8"]
        )  # fmt: skip
        environment = {**self.environment, "PYTHONPATH": f"{self.folder}:{self.environment.get('PYTHONPATH', '')}"}
        with running(command, environment, port, "/") as _:
            yield port

    @contextmanager
    def accord(self, server: str) -> Iterator[tuple[int, float, subprocess.Popen[bytes]]]:
        """Accord on a port: how long it took to be ready, and its process."""
        port = free_port()
        command = [sys.executable, "-m", "api", "serve", "--server", server, "--listen", f"127.0.0.1:{port}"]
        if server == "granian":
            command += ["--workers", "2"]
        began = time.monotonic()
        with running(command, self.environment, port, "/readyz") as process:
            yield port, time.monotonic() - began, process

    def wrk(self, port: int, load: Load, seconds: int | None = None, connections: int | None = None) -> Result:
        """Put a load on a port."""
        bodies = self.folder / "bodies"
        bodies.write_text("\n".join(load.bodies) + "\n")
        script = self.folder / "load.lua"
        script.write_text(
            SCRIPT
            % {"tokens": self.folder / "tokens", "bodies": bodies, "method": load.method, "path": load.path, "type": load.type}
        )
        command = [
            "wrk",
            "-t1",
            f"-c{connections or self.arguments.connections}",
            f"-d{seconds or self.arguments.seconds}s",
            "-s",
            str(script),
        ]
        ended = subprocess.run([*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True)
        match = re.search(r"RESULT (\S+) (\S+) (\d+)", ended.stdout)
        if match is None:
            sys.exit(ended.stdout)
        return Result(float(match[1]), float(match[2]), int(match[3]))


def row(name: str, found: Result, bare: Result) -> None:
    """One line of the table."""
    rate, p99 = found.rate / bare.rate, found.p99 / bare.p99
    print(f"{name:<24}{found.rate:>12,.0f}{rate:>9.0%}{found.p99:>9.1f}{p99:>8.1f}x{found.errors:>9}", flush=True)


def resident(process: subprocess.Popen[bytes]) -> float:
    """MiB that a process and its children hold."""
    total, waiting = 0.0, [process.pid]
    while waiting:
        current = waiting.pop()
        total += int(Path(f"/proc/{current}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        waiting += [int(child) for child in Path(f"/proc/{current}/task/{current}/children").read_text().split()]
    return total


@contextmanager
def running(command: list[str], environment: dict[str, str], port: int, path: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server from when it answers."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(3000):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                    if b" 200 " in connection.recv(100):
                        break
            except OSError:
                pass
            time.sleep(0.01)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
