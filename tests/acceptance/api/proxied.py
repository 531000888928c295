"""An application behind a proxy that asks Accord before it lets a request through, on loopback ports; both are ended by PID."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from waiting import LONG, until


class Application(BaseHTTPRequestHandler):
    """The application behind the proxy. It answers with the request it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = json.dumps({"path": self.path, "headers": [[name.lower(), value] for name, value in self.headers.items()]})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def an_application() -> Iterator[int]:
    """Its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def a_proxy(program: Sequence[Any], ports: list[int], log: Path) -> Iterator[None]:
    """A proxy that listens on these ports."""
    with log.open("wb") as written, subprocess.Popen(program, stdout=written, stderr=written) as proxy:
        try:
            _wait(ports, proxy, log)
            yield
        finally:
            proxy.terminate()
            proxy.wait(timeout=LONG)


def _wait(ports: list[int], proxy: subprocess.Popen[bytes], log: Path) -> None:
    def listens(port: int) -> bool:
        assert proxy.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=LONG).close()
        except OSError:
            return False
        return True

    for port in ports:
        until(partial(listens, port), f"a proxy on port {port}")


def request(
    port: int, method: str, path: str, headers: list[tuple[str, str]], address: str = "127.0.0.1", body: bytes = b""
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG, source_address=(address, 0))
    try:
        connection.putrequest(method, path)
        for name, value in headers:
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def values(seen: Any, name: str) -> list[str]:
    return [value for key, value in seen["headers"] if key == name]
