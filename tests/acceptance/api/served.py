"""The `accord-api` program as a process of its own: commands, and servers on free loopback ports that are ended by their pid."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

TOP = Path(__file__).parents[3]


def command(*arguments: str, url: str = "", given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    env = {**kept, "PYTHONPATH": str(TOP), **({"ACCORD_DATABASE_URL": url} if url else {}), **environment}
    program = [sys.executable, "-m", "api", *arguments]
    done = subprocess.run(program, input=given, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stdout + done.stderr
    return done


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A running server, and what it logs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self.process = process
        self.log = log
        self.port = port

    def call(self, method: str, path: str, secret: str | None = None, body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            if secret is not None:
                sent["Authorization"] = f"Bearer {secret}"
            if body is not None:
                sent["Content-Type"] = "application/json"
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    def raw(self, text: bytes, seconds: float = 10, *, whole: bool = True) -> bytes:
        """What comes back for these bytes: one `whole` answer, or all until the server closes or says nothing for so long."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(text)
            found = b""
            try:
                while part := connection.recv(65536):
                    found += part
                    if whole and _is_whole(found):
                        break
            except TimeoutError:
                pass
            return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by its pid, and say with which code it ended."""
        self.process.send_signal(number)
        return self.process.wait(timeout=45)


def _is_whole(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    return bool(separator) and length is not None and len(body) >= int(length[1])


@contextmanager
def serving(url: str, folder: Path, *options: str, descriptors: int = 0, **environment: str) -> Iterator[Server]:
    """A server over a database, that answers; ended at the end. It begins with so many file descriptors, where that is said."""
    port = free_port()
    log = folder / f"server-{port}.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    env = {**kept, "PYTHONPATH": str(TOP), "ACCORD_DATABASE_URL": url, "ACCORD_LISTEN": f"127.0.0.1:{port}", "ACCORD_MAIL": "off"}
    env |= environment
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
                    process.wait(timeout=45)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _wait(server: Server) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.log.read_text()
        try:
            if server.call("GET", "/healthz").status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the server does not answer: {server.log.read_text()}")


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
