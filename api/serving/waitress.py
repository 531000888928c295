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
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import falcon
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher

from api.app import create_app
from api.service import Service
from api.serving.listening import listen, url_of
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
QUICK = ("/api/v1/decisions", "/api/v1/auth", "/api/v1/introspect")
QUICK_BODY = 4 * 1024
"""Bytes of a body that is answered from memory and an indexed read in less time than a thread needs to take it over."""


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses what two servers on the way could read as different requests (RFC 9112, section 6.1)."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        headers = [line.partition(b":")[::2] for line in header_plus.split(b"\r\n")[1:]]
        names = [name.strip().lower() for name, _ in headers]
        if b"transfer-encoding" in names:
            if b"content-length" in names:
                raise ParsingError("Content-Length beside Transfer-Encoding")
            if headers[names.index(b"transfer-encoding")][1].strip().lower() != b"chunked":
                raise ParsingError("Transfer-Encoding other than chunked")
        for once in (b"authorization", b"host", b"transfer-encoding"):
            if names.count(once) > 1:
                raise ParsingError(f"more than one {once.decode()} header")


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser


class _Lanes(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Answers quick requests in the thread that looks after the connections, and leaves the others to threads of their own.

    A decision takes less time than handing it to a thread and taking turns with the others, and waits behind no login.
    """

    def __init__(self, threads: int, is_quick: Callable[[HTTPRequestParser], bool]) -> None:
        super().__init__()
        self.set_thread_count(threads)
        self._is_quick = is_quick
        self._quick: deque[HTTPChannel] = deque()
        self._own = threading.get_ident()

    def add_task(self, task: HTTPChannel) -> None:
        """Take a connection's next request, whose lock is held."""
        if threading.get_ident() == self._own and self._is_quick(task.requests[0]):
            self._quick.append(task)
        else:
            super().add_task(task)

    @property
    def has_quick(self) -> bool:
        """Whether quick requests wait."""
        return bool(self._quick)

    def answer_quick(self) -> None:
        """Answer the quick requests that have come: one a connection, for others send theirs meanwhile."""
        for _ in range(len(self._quick)):
            task = self._quick.popleft()
            try:
                task.service()
            except Exception:  # as in the threads: whatever it is, the other connections go on
                self.logger.exception("a fault in answering %r", task)


def _is_quick(request: HTTPRequestParser) -> bool:
    return not request.error and request.path.startswith(QUICK) and request.body_bytes_received <= QUICK_BODY


def _none_is_quick(_: HTTPRequestParser) -> bool:
    return False  # over a network, a read is a wait


def serve_waitress(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; what was accepted by then is answered. Raises OSError or StoreError."""
    with listen(settings) as listening:
        service = Service(settings)
        service.start()
        try:
            quick = _is_quick if service.database.is_sqlite else _none_is_quick
            _Waitress(create_app(service), settings, listening, quick).run(ready)
        finally:
            service.stop()


def _possible_connections() -> int:
    """As many as are wanted, or as the system has file descriptors for: without one, nobody could be accepted any more."""
    spare = 256  # for the database, of which each thread has its own connection, and whatever else is open
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + spare
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(soft // 2, min(CONNECTIONS, soft - spare))


class _Waitress:
    """A waitress server that finishes what it accepted before it stops."""

    def __init__(
        self,
        app: falcon.App[Any, Any],
        settings: Settings,
        listening: socket.socket,
        is_quick: Callable[[HTTPRequestParser], bool] = _none_is_quick,
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
            clear_untrusted_proxy_headers=False,  # who is believed is Accord's own decision, and it must see them
            expose_tracebacks=False,
        )
        self._server.channel_class = _Channel
        os.set_blocking(self._server.trigger.trigger, False)
        self._server.pull_trigger = self._wake
        self._stopping = False

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until a signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        ready(url_of(self._server.socket))
        while not self._stopping:
            self._turn(0.5)
        self._server.del_channel()
        self._server.socket.close()  # whoever comes now is refused at once; the connections that are there go on
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
        self._wake()

    def _wake(self) -> None:
        """Have the loop look at everything again, as after each answer, also after one of its own thread."""
        with suppress(BlockingIOError):  # full, so it will; and whoever empties the pipe must never wait for room in it
            self._server.trigger.pull_trigger()
