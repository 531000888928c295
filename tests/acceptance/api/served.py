"""The `accord-api` program as a process of its own: commands, and servers on free loopback ports that are ended by PID."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from waiting import LONG, until

TOP = Path(__file__).parents[3]
METRICS_TOKEN = "a token for the tests' figures"


def command(*arguments: str, url: str = "", given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    env = {**kept, "PYTHONPATH": str(TOP), **({"ACCORD_DATABASE_URL": url} if url else {}), **environment}
    program = [sys.executable, "-m", "api", *arguments]
    done = subprocess.run(program, input=given, env=env, capture_output=True, text=True, check=False, timeout=LONG)
    assert "Traceback" not in done.stdout + done.stderr
    return done


class Answer(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Asked:
    """A request that was sent, and whose answer is still to come."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self.port: int = connection.sock.getsockname()[1]

    def is_answered(self) -> bool:
        """Whether part of the answer has arrived."""
        return bool(select.select([self._connection.sock], [], [], 0)[0])

    def answer(self) -> Answer:
        """Wait for it."""
        with closing(self._connection):
            response = self._connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


class Server:
    """A running server and its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self.process = process
        self.log = log
        self.port = port

    def call(self, method: str, path: str, secret: str | None = None, body: Any = None, **headers: str) -> Answer:
        """Send a request on a connection of its own."""
        return self._send(method, path, secret, body, headers).answer()

    def metrics(self) -> bytes:
        """What a scraper with the token gets."""
        answer = self.call("GET", "/metrics", METRICS_TOKEN)
        assert answer.status == 200, answer
        return answer.body

    def begin(self, method: str, path: str, secret: str | None = None, body: Any = None) -> Asked:
        """Send a request. When this returns, the server has read it, even if it has not answered."""
        asked = self._send(method, path, secret, body, {})
        until(lambda: self._has_read(asked.port), "the server's reading of a request")
        return asked

    def _send(self, method: str, path: str, secret: str | None, body: Any, headers: dict[str, str]) -> Asked:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if secret is not None:
            sent["Authorization"] = f"Bearer {secret}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
        except OSError:
            connection.close()
            raise
        return Asked(connection)

    def _has_read(self, port: int) -> bool:
        """Whether the server has read everything that this port sent."""
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, _, queues, *_ = line.split()
            if (int(local[9:], 16), int(remote[9:], 16)) == (self.port, port):
                return queues.endswith(":00000000")
        return False

    def accepts(self) -> bool:
        """Whether it takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=LONG).close()
        except OSError:
            return False
        return True

    def raw(self, text: bytes, *, whole: bool = True) -> bytes:
        """The answer to these bytes: one `whole` answer, or everything until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=LONG) as connection:
            connection.sendall(text)
            found = b""
            while part := connection.recv(65536):
                found += part
                if whole and _is_whole(found):
                    break
            return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by its PID; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=LONG)


def _is_whole(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    return bool(separator) and length is not None and len(body) >= int(length[1])


@contextmanager
def serving(
    url: str, folder: Path, *options: str, host: str = "127.0.0.1", port: int = 0, descriptors: int = 0, **environment: str | None
) -> Iterator[Server]:
    """A server over a database that is ready; it is stopped at the end. It may get a limited number of file descriptors."""
    port = port or free_port()
    log = folder / f"server-{port}.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    env = {**kept, "PYTHONPATH": str(TOP), "ACCORD_DATABASE_URL": url, "ACCORD_LISTEN": f"{host}:{port}", "ACCORD_MAIL": "off"}
    env["ACCORD_METRICS_TOKEN"] = METRICS_TOKEN
    env |= {name: value for name, value in environment.items() if value is not None}
    env = {name: value for name, value in env.items() if environment.get(name, "") is not None}
    with log.open("wb") as written:
        limited = ["sh", "-c", f'ulimit -S -n {descriptors}; exec "$@"', "sh"] if descriptors else []
        program = [*limited, sys.executable, "-m", "api", "serve", *options]
        process = subprocess.Popen(program, env=env, stdout=written, stderr=written)
        server = Server(process, log, port)
        try:
            _wait(server)
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=LONG)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _wait(server: Server) -> None:
    def answers() -> bool:
        assert server.process.poll() is None, server.log.read_text()
        try:
            return server.call("GET", "/healthz").status == 200
        except OSError:
            return False

    until(answers, "the server's first answer")


def free_port() -> int:
    """A free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
