"""Serving the application: waitress in this process, or Granian with several workers."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from typing import Any

import falcon
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server

from api.app import create_app
from api.service import Service
from api.settings import Settings

_log = logging.getLogger("accord.api")
CONNECTIONS = 2_000
"""Slow clients cost a socket and a buffer each, and no thread, so there may be many."""
MAX_BODY = 256 * 1024
MAX_HEADERS = 16 * 1024
IDLE = 30
"""Seconds without a byte, after which a connection is closed."""
PATIENCE = 30.0
"""Seconds for accepted requests to finish when stopping."""


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses what two servers on the way could read as different requests (RFC 9112, section 6.1)."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        lines = [line.partition(b":")[0].strip().lower() for line in header_plus.split(b"\r\n")[1:]]
        if b"transfer-encoding" in lines and b"content-length" in lines:
            raise ParsingError("Content-Length beside Transfer-Encoding")
        if lines.count(b"authorization") > 1:
            raise ParsingError("more than one Authorization header")


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser


def serve_waitress(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; what was accepted by then is answered. Raises OSError or StoreError."""
    service = Service(settings)
    service.start()
    try:
        with _listen(settings) as listening:
            _Waitress(create_app(service), settings, listening).run(ready)
    finally:
        service.stop()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=1024)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Waitress:
    """A waitress server that finishes what it accepted before it stops."""

    def __init__(self, app: falcon.App[Any, Any], settings: Settings, listening: socket.socket) -> None:
        self._server = create_server(
            app,
            sockets=[listening],
            threads=settings.threads,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE,
            cleanup_interval=5,
            max_request_body_size=MAX_BODY,
            max_request_header_size=MAX_HEADERS,
            asyncore_use_poll=True,
            backlog=1024,
            ident=None,
            clear_untrusted_proxy_headers=False,  # who is believed is Accord's own decision, and it must see them
            expose_tracebacks=False,
        )
        self._server.channel_class = _Channel
        self._stopping = False

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until a signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        host, port = self._server.socket.getsockname()[:2]
        ready(_url(host, port))
        while not self._stopping:
            self._turn(0.5)
        self._server.del_channel()  # no more connections; those that are there go on
        deadline = time.monotonic() + PATIENCE
        while self._busy() and time.monotonic() < deadline:
            self._turn(0.05)
        self._server.task_dispatcher.shutdown(timeout=5)

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, map=self._server._map, use_poll=True, count=1)

    def _busy(self) -> bool:
        return any(channel.requests or channel.total_outbufs_len for channel in list(self._server.active_channels.values()))

    def _stop(self, *_: Any) -> None:
        self._stopping = True
        self._server.pull_trigger()


def serve_granian(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve with Granian's workers, each a process of its own, until a signal. Raises ModuleNotFoundError or OSError."""
    from granian import Granian
    from granian.constants import Interfaces

    with _listen(settings) as probe:  # says what is wrong with the address, and finds a free port where any will do
        host, port = probe.getsockname()[:2]
    with tempfile.TemporaryDirectory(prefix="accord-metrics-") as folder:
        if settings.workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        server = Granian(
            "api.wsgi:app",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=settings.workers,
            blocking_threads=settings.threads,
            backlog=1024,
            log_access=False,
            log_dictconfig={"version": 1, "disable_existing_loggers": False, "loggers": {"_granian": {"propagate": True}}},
            websockets=False,
        )
        ready(_url(host, port))
        server.serve()
