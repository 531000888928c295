"""Serving the application with waitress, in this process."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import falcon
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher, WSGITask

from api.app import create_app
from api.service import Service
from api.serving.listening import listen, url_of
from api.serving.metrics import serving_metrics
from api.settings import Settings

_log = logging.getLogger("accord.api")
CONNECTIONS = 2_000
"""There may be many: a slow client costs a socket and a buffer, but no thread."""
MAX_BODY = 256 * 1024
MAX_HEADERS = 16 * 1024
IDLE = 30
"""Seconds of silence after which a connection is closed."""
PATIENCE = 30.0
"""Seconds for accepted requests to finish when stopping."""
QUICK = ("/api/v1/decisions", "/api/v1/auth", "/api/v1/introspect", "/healthz")
QUICK_BODY = 4 * 1024
"""Bytes. A request with a body up to this size is answered sooner than a thread could take it over."""


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses bytes that two servers could read as different requests (RFC 9112, sections 5.2 and 6.1)."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)  # refuses a space before the colon, so that a name ends where it seems to
        lines = header_plus.lower()
        if b"\r\n " in lines or b"\r\n\t" in lines:
            raise ParsingError("folded header line")
        for once in (b"authorization", b"host", b"transfer-encoding"):
            if lines.count(b"\r\n" + once + b":") > 1:
                raise ParsingError(f"more than one {once.decode()} header")
        _, found, rest = lines.partition(b"\r\ntransfer-encoding:")
        if found:
            if b"\r\ncontent-length:" in lines:
                raise ParsingError("Content-Length beside Transfer-Encoding")
            if rest.partition(b"\r\n")[0].strip() != b"chunked":
                raise ParsingError("Transfer-Encoding other than chunked")


class _Task(WSGITask):  # type: ignore[misc]
    """Answers a request with headers and body in one packet: each packet wakes the client."""

    def service(self) -> None:
        with self.channel.together():
            super().service()


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser
    task_class = _Task
    _held: list[bytes] | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold what is written until the end, then send it."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = b"".join(self._held), None
            self.write_soon(held)

    def write_soon(self, data: bytes) -> int:
        """Send data, or hold it; the number of bytes taken."""
        if self._held is None:
            return int(super().write_soon(data))
        self._held.append(data)
        return len(data)


class _Lanes(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Answers quick requests in the thread that serves the connections, and hands the others to a pool of threads.

    A decision takes less time than handing it over would, and never waits behind a login.
    """

    def __init__(self, threads: int, is_quick: Callable[[HTTPRequestParser], bool]) -> None:
        super().__init__()
        self.set_thread_count(threads)
        self._is_quick = is_quick
        self._quick: deque[HTTPChannel] = deque()
        self._own = threading.get_ident()

    def add_task(self, task: HTTPChannel) -> None:
        """Take the next request of a connection, whose lock is held."""
        if threading.get_ident() == self._own and self._is_quick(task.requests[0]):
            self._quick.append(task)
        else:
            super().add_task(task)

    @property
    def has_quick(self) -> bool:
        """Whether quick requests are waiting."""
        return bool(self._quick)

    def answer_quick(self) -> None:
        """Answer the waiting quick requests, one per connection."""
        for _ in range(len(self._quick)):
            task = self._quick.popleft()
            try:
                task.service()
            except Exception:  # as in the pool: the other connections must go on
                self.logger.exception("internal error while answering %r", task)


def _is_quick(request: HTTPRequestParser) -> bool:
    return not request.error and request.path.startswith(QUICK) and request.body_bytes_received <= QUICK_BODY


def _asks_no_server(request: HTTPRequestParser) -> bool:
    return not request.error and request.path == "/healthz"  # over a network, a read is a wait


def serve_waitress(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then answer what has been accepted. Raises OSError or StoreError."""
    with listen(settings.host, settings.port) as listening:
        service = Service(settings)
        service.start()
        try:
            quick = _is_quick if service.database.is_sqlite else _asks_no_server
            app = create_app(service)
            with serving_metrics(app, settings.metrics_listen):
                _Waitress(app, settings, listening, quick).run(ready)
        finally:
            service.stop()


def _possible_connections() -> int:
    """The number of connections that we want, or that the system has file descriptors for."""
    spare = 256  # for the database connections of each thread, and other files
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + spare
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(soft // 2, min(CONNECTIONS, soft - spare))


class _Waitress:
    """A waitress server that answers what it has accepted before it stops."""

    def __init__(
        self,
        app: falcon.App[Any, Any],
        settings: Settings,
        listening: socket.socket,
        is_quick: Callable[[HTTPRequestParser], bool] = _asks_no_server,
    ) -> None:
        self._lanes = _Lanes(settings.threads, is_quick)
        self._server = create_server(
            app,
            _dispatcher=self._lanes,
            sockets=[listening],
            connection_limit=_possible_connections(),
            channel_timeout=IDLE,
            cleanup_interval=5,
            max_request_body_size=MAX_BODY,
            max_request_header_size=MAX_HEADERS,
            asyncore_use_poll=True,
            backlog=1024,
            ident=None,
            clear_untrusted_proxy_headers=False,  # Accord decides whom to believe, so it must see them
            expose_tracebacks=False,
        )
        self._server.channel_class = _Channel
        os.set_blocking(self._server.trigger.trigger, False)
        self._server.pull_trigger = self._wake
        self._own = threading.get_ident()
        self._stopping = False

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until a signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        ready(url_of(self._server.socket))
        while not self._stopping:
            self._turn(0.5)
        self._server.del_channel()
        self._server.socket.close()  # refuses new connections; open ones go on
        deadline = time.monotonic() + PATIENCE
        while self._busy() and time.monotonic() < deadline:
            self._turn(0.05)
        self._server.task_dispatcher.shutdown(timeout=5)

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=0 if self._lanes.has_quick else seconds, map=self._server._map, use_poll=True, count=1)
        self._lanes.answer_quick()

    def _busy(self) -> bool:
        return any(channel.requests or channel.total_outbufs_len for channel in list(self._server.active_channels.values()))

    def _stop(self, *_: Any) -> None:
        self._stopping = True
        self._pull_trigger()

    def _wake(self) -> None:
        """Wake the loop, so that it looks at all connections again. Its own thread is about to do so anyway."""
        if threading.get_ident() != self._own:
            self._pull_trigger()

    def _pull_trigger(self) -> None:
        with suppress(BlockingIOError):  # a full pipe wakes it anyway; the thread that empties it must never block on it
            self._server.trigger.pull_trigger()
