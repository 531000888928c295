"""The runtime API against a bare Falcon handler on the same server: 100,000 users, 10,000 teams, 100,000 tokens, wrk on loopback.

Needs wrk (Debian: apt-get install wrk). One table; every figure of Accord is shown beside the bare handler's of the same run.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from argon2 import PasswordHasher
from sqlalchemy import select

from benchmarks.deployment import WORKERS, Deployment, deployed, options
from benchmarks.processes import free_port, resident, running
from benchmarks.wrk import Load, Result
from reconciler.store import tables
from reconciler.store.bulk import insert_rows
from reconciler.store.engine import open_database

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


def main() -> None:
    """Print one table a server."""
    with deployed(options(__doc__).parse_args()) as deployment:
        (deployment.folder / "bare.py").write_text(BARE)
        for server in deployment.servers:
            measure(deployment, server)


def measure(deployment: Deployment, server: str) -> None:
    """One table."""
    rng = random.Random(7)
    single = [f'{{"issuer":"{rng.choice(deployment.issuers)}"}}' for _ in range(1000)]
    batch = ",".join(rng.choices(single, k=1000))
    introspected = [f"token={rng.choice(deployment.secrets)}" for _ in range(1000)]
    form = "application/x-www-form-urlencoded"
    bare_handler = deployment.asking("bare Falcon handler", "/", single)
    loads = [
        deployment.asking("one decision", "/api/v1/decisions", single),
        deployment.asking("auth", f"/api/v1/auth?issuer={deployment.issuers[0]}", [""], method="GET"),
        deployment.asking("introspect", "/api/v1/introspect", introspected, type=form),
        deployment.asking("batch of 1,000", "/api/v1/decisions", [f'{{"requests":[{batch}]}}']),
    ]
    print(f"\n{server}, {deployment.connections} connections, {deployment.kind}")
    print(f"{'load':<24}{'requests/s':>12}{'of bare':>9}{'p99 ms':>9}{'of bare':>9}{'refused':>9}")
    with serving_bare(deployment, server) as port:
        bare = deployment.put(bare_handler, port)
        row(bare_handler.name, bare, bare)
    if server == "waitress":
        with serving_bare(deployment, server, "quick") as port:
            row("  in Accord's quick lane", deployment.put(bare_handler, port), bare)
    with deployment.serving(server) as (port, ready, pid):
        for load in loads:
            deployment.put(load, port, seconds=2)
            found = deployment.put(load, port)
            row(load.name, found, bare)
            if load.name.startswith("batch"):
                print(f"{'  decisions/s':<24}{found.rate * 1000:>12,.0f}")
        logins(deployment, port)
        print(f"ready after {ready:.2f} s; resident {resident(pid):.0f} MiB")


def logins(deployment: Deployment, port: int) -> None:
    """Logins of many accounts, against bare argon2 verifications in as many threads as hash here."""
    hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    kept, threads = hasher.hash(PASSWORD), len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(threads) as pool:
        began = time.monotonic()
        list(pool.map(lambda _: hasher.verify(kept, PASSWORD), range(40 * threads)))
        bare = 40 * threads / (time.monotonic() - began)
    with open_database(deployment.url) as database, database.recording() as connection:
        connection.execute(tables.account_states.delete())
        rows = [(number, kept) for number in range(1, 501)]
        insert_rows(connection, tables.account_states, rows, ("user_id", "password_hash"))
        query = select(tables.users.c.name).where(tables.users.c.id <= 500)
        names = list(connection.execute(query).scalars())
    bodies = [f'{{"username":"{name}","password":"{PASSWORD}"}}' for name in names]
    found = deployment.put(Load("login", "POST", "/api/v1/sessions", bodies), port, connections=2 * threads)
    rate = found.rate - found.errors / deployment.seconds
    print(f"{'logins':<24}{rate:>12,.0f}{rate / bare:>9.0%} of {bare:,.0f} bare argon2 verifications/s{found.errors:>8} errors")


@contextmanager
def serving_bare(deployment: Deployment, server: str, *more: str) -> Iterator[int]:
    """The bare handler on a port."""
    port = free_port()
    granian = ["granian", "--interface", "wsgi", "--port", str(port), "--workers", str(WORKERS), "--blocking-threads", "8"]
    arguments = ["-c", SERVE_BARE, str(port), *more] if server == "waitress" else ["-m", *granian, "bare:app"]
    environment = {
        **deployment.environment,
        "PYTHONPATH": f"{deployment.folder}:{deployment.environment.get('PYTHONPATH', '')}",
    }
    with running([sys.executable, *arguments], environment, port, "/"):
        yield port


def row(name: str, found: Result, bare: Result) -> None:
    """One line of the table."""
    rate, p99 = found.rate / bare.rate, found.p99 / bare.p99
    print(f"{name:<24}{found.rate:>12,.0f}{rate:>9.0%}{found.p99:>9.1f}{p99:>8.1f}x{found.errors:>9}", flush=True)


if __name__ == "__main__":
    main()
