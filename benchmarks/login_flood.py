"""A flood of logins from 1,000 networks, through a proxy that is trusted: who still logs in, and how long do decisions take?

    python -m benchmarks.login_flood [--server granian] [--connections 32]

Bars: honest logins from known addresses succeed at least 95 %; the 99th percentile of decisions is at most 1.5 times that of
decisions by themselves. The flood is a process of its own and shares this machine's processors.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

from benchmarks.slow_clients import PASSWORD, served

NETWORKS = 1_000
HONEST = 10
PAUSE = 0.5
"""How many honest people there are, and seconds that each waits after a login."""
DECISIONS = 100
"""A second, whatever they take."""
SUCCEED, SLOWER = 0.95, 1.5


def main() -> None:
    """Print a table, and exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=["waitress", "granian"], default="waitress")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    os.environ["ACCORD_TRUSTED_PROXIES"] = "127.0.0.1"
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), arguments.server) as (port, secret):
        token = asyncio.run(_prepare(port, secret))
        alone = asyncio.run(_measure(port, token, arguments.seconds, people=0))
        beside = asyncio.run(_measure(port, token, arguments.seconds))
        stop = multiprocessing.Event()
        answers, told = multiprocessing.Pipe()
        flood = multiprocessing.Process(target=_flood, args=(port, arguments.connections, stop, told))
        flood.start()
        time.sleep(2)
        flooded = asyncio.run(_measure(port, token, arguments.seconds))
        stop.set()
        sent = answers.recv()
        flood.join()
    print(f"{arguments.server}: {DECISIONS} decisions a second, {HONEST} people logging in, {arguments.connections} attackers")
    print(f"{'':<16} {'decisions':>9} {'median ms':>10} {'p99 ms':>8} {'logins':>8} {'succeeded':>10}")
    found = []
    for name, (took, logins) in (("alone", alone), ("beside logins", beside), ("beside a flood", flooded)):
        p99, share = statistics.quantiles(took, n=100)[98], logins[201] / max(1, logins.total())
        found.append((p99, share))
        times = f"{statistics.median(took) * 1000:>10.2f} {p99 * 1000:>8.2f}"
        print(f"{name:<16} {len(took):>9,} {times} {logins.total():>8,} {share:>10.1%}")
    print(f"the attackers' answers: {dict(sent)}")
    slower, share = found[-1][0] / found[0][0], found[-1][1]
    held = "held" if slower <= SLOWER and share >= SUCCEED else "MISSED"
    print(f"bars: p99 {slower:.2f} times (at most {SLOWER}), {share:.1%} succeed (at least {SUCCEED:.0%}): {held}")
    sys.exit(held != "held")


async def _prepare(port: int, session: str) -> str:
    """Log in once from each home; a token that outlives these sessions."""
    for number in range(HONEST):
        assert await _Client(port).post(*_login("alice", PASSWORD, _home(number))) == 201
    wanted = {"name": "benchmark", "validFor": "1h"}
    client = _Client(port)
    assert await client.post("/api/v1/me/tokens", wanted, {"Authorization": f"Bearer {session}"}) == 201
    return str(json.loads(client.body)["token"])


async def _measure(port: int, secret: str, seconds: float, people: int = HONEST) -> tuple[list[float], Counter[int]]:
    """How long decisions took, counted from when each was due, and how honest logins were answered."""
    logins: Counter[int] = Counter()
    tasks = [asyncio.create_task(_log_in_again_and_again(port, number, logins)) for number in range(people)]
    took: list[float] = []
    client, began = _Client(port), time.perf_counter()
    for number in range(int(seconds * DECISIONS)):
        due = began + number / DECISIONS
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        assert await client.post("/api/v1/decisions", {"issuer": "tls-public"}, {"Authorization": f"Bearer {secret}"}) == 200
        took.append(time.perf_counter() - due)
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return took, logins


async def _log_in_again_and_again(port: int, number: int, logins: Counter[int]) -> None:
    while True:
        logins[await _Client(port).post(*_login("alice", PASSWORD, _home(number)))] += 1
        await asyncio.sleep(PAUSE)


def _home(number: int) -> str:
    return f"198.51.{number}.7"


def _login(name: str, password: str, address: str) -> tuple[str, dict[str, str], dict[str, str]]:
    return (
        "/api/v1/sessions",
        {"username": name, "password": password},
        {"Forwarded": f'for="[{address}]"' if ":" in address else f"for={address}"},
    )


def _flood(port: int, connections: int, stop: Event, answers: Connection) -> None:
    sent: Counter[int] = Counter()

    async def attack(number: int) -> None:
        client = _Client(port)
        while not stop.is_set():
            network = (number * 31 + sent.total()) % NETWORKS
            name = f"nobody-{network}" if network % 2 else "alice"
            sent[await client.post(*_login(name, "x", f"2001:db8:{network:x}::1"))] += 1

    async def everybody() -> None:
        await asyncio.gather(*(attack(number) for number in range(connections)))

    asyncio.run(everybody())
    answers.send(sent)


class _Client:
    """A connection that stays open, and is made anew when the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.body = b""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: dict[str, str], headers: dict[str, str]) -> int:
        """The status of the answer."""
        content = json.dumps(body).encode()
        fields = {"Host": "accord", "Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        while True:
            reader, writer = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
            self._streams = reader, writer
            writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content)
            answer = await reader.readline()
            if not answer:
                self._streams = None
                continue
            length = 0
            while (line := (await reader.readline()).lower()) not in (b"\r\n", b""):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            self.body = await reader.readexactly(length)
            return int(answer.split()[1])


if __name__ == "__main__":
    main()
