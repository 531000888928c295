"""Serving the application with waitress, in this process."""

from __future__ import annotations

import errno
import gc
import logging
import os
import resource
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask

from api.app import create_app
from api.authentication.places import Guest
from api.errors import problem_details
from api.http import certdog
from api.http.addresses import local
from api.http.admission import ARRIVED
from api.http.checking import JSON, PROBLEM
from api.http.headers import Wsgi
from api.resources.base import admission_of
from api.service import Service
from api.serving.connections import Connections
from api.serving.lanes import FOR_PROPOSALS, PLACES, PROPOSALS, LoginLanes
from api.serving.listening import listen, listen_locally, url_of
from api.serving.metrics import serving_metrics
from api.settings import Settings

_log = logging.getLogger("accord.api")
CONNECTIONS = 2_000
"""There may be many: a slow client costs a socket and a buffer, but no thread."""
MAX_BODY = 512 * 1024
MAX_HEADERS = 16 * 1024
IDLE = 30
"""Seconds of silence after which a connection is closed."""
ARRIVAL = 60
"""Seconds that a request may take to arrive, however often a few bytes of it come."""
PATIENCE = 30.0
"""Seconds for accepted requests to finish when stopping."""
QUICK = ("/api/v1/decisions", "/api/v1/auth", "/api/v1/introspect", "/healthz")
FOR_CHANGES = 4
"""Threads that answer what may write. One writes at a time, so the others wait."""
HELD = 128 * 1024
"""Bytes of an answer that are held to be sent together; of a longer one, such as an export, never more."""
QUICK_BODY = 4 * 1024
"""Bytes. A request with a body up to this size is answered sooner than a thread could take it over."""


_TAKEN = 16
"""Reads from a connection that is closed after a refusal."""


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses bytes that two servers could read as different requests (RFC 9112, sections 2.3, 5.2 and 6.1)."""

    arrived: float | None = None
    """When a login began to wait, by the monotonic clock."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)  # refuses a space before the colon, so that a name ends where it seems to
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("version of HTTP other than 1.0 and 1.1")
        lines = header_plus.lower()
        if b"\r\n " in lines or b"\r\n\t" in lines:
            raise ParsingError("folded header line")
        for once in (b"authorization", b"host", b"transfer-encoding"):
            if lines.count(b"\r\n" + once + b":") > 1:
                raise ParsingError(f"more than one {once.decode()} header")
        _, found, rest = lines.partition(b"\r\ntransfer-encoding:")
        if found:
            if self.version != "1.1":  # whose readers know no chunks, and take them for the next request
                raise ParsingError("Transfer-Encoding in HTTP/1.0")
            if b"\r\ncontent-length:" in lines:
                raise ParsingError("Content-Length beside Transfer-Encoding")
            if rest.partition(b"\r\n")[0].strip() != b"chunked":
                raise ParsingError("Transfer-Encoding other than chunked")


class _Task(WSGITask):  # type: ignore[misc]
    """Answers a request with headers and body in one packet: each packet wakes the client."""

    def get_environment(self) -> dict[str, Any]:
        """The request's environment, with what Accord must know of the server."""
        environment: dict[str, Any] = super().get_environment()
        if getattr(self.request, "arrived", None) is not None:
            environment[ARRIVED] = self.request.arrived
        return environment

    def service(self) -> None:
        with self.channel.together():
            super().service()


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers a request that cannot be read with problem details, as the application does, and closes the connection."""

    def execute(self) -> None:
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        path = getattr(self.request, "path", "")  # it has none if the first line cannot be read
        if certdog.is_below(certdog.canonical(path)):
            media, body = JSON, certdog.error_body(error.code, str(error.body), path)
        else:
            name = _ERRORS.get(error.code, "bad-request")
            media, body = PROBLEM, problem_details(error.code, name, error.reason, str(error.body))
        self.response_headers += [
            ("Content-Type", media),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        self.set_close_on_finish()
        self.channel.is_refused = True
        self.content_length = len(body)
        self.write(body)


_ERRORS = {413: "too-large", 431: "headers-too-large", 500: "failure", 501: "not-implemented"}


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser
    task_class = _Task
    error_task_class = _ErrorTask
    on_close: Callable[[], None] | None = None
    is_refused = False
    _held: list[bytes] | None = None
    _held_bytes = 0
    _arriving: HTTPRequestParser | None = None
    _since = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether it has brought no whole request that is to be answered."""
        return not (self.requests or self.total_outbufs_len)

    def received(self, data: bytes) -> bool:
        """Take bytes, and note since when a request has been arriving."""
        taken = bool(super().received(data))
        if self.request is not self._arriving:
            self._arriving, self._since = self.request, time.monotonic()
        return taken

    def is_overdue(self, now: float) -> bool:
        """Whether a request has been arriving for too long."""
        return self._arriving is not None and now - self._since > ARRIVAL

    def handle_close(self) -> None:
        """Close. After a refusal, take what has come meanwhile: unread bytes would reset the connection and lose the answer."""
        if self.is_refused:
            with suppress(OSError):
                for _ in range(_TAKEN):
                    if not self.socket.recv(65536):
                        break
        super().handle_close()

    def del_channel(self, map: Any = None) -> None:
        """Forget the connection, once."""
        super().del_channel(map)
        if self.on_close is not None:
            self.on_close()
            self.on_close = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold what is written, and send it at the end, or before if it is long."""
        self._held, self._held_bytes = [], 0
        try:
            yield
        finally:
            self._send_held()
            self._held = None

    def write_soon(self, data: bytes) -> int:
        """Send data, or hold it; the number of bytes taken."""
        if self._held is None:
            return int(super().write_soon(data))
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > HELD:
            self._send_held()  # waits if the client is slow
        return len(data)

    def _send_held(self) -> None:
        held, self._held, self._held_bytes = self._held or [], [], 0
        super().write_soon(b"".join(held))


class _Lanes(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Answers quick requests in the thread that serves the connections, and hands the others to pools of threads.

    A decision takes less time than handing it over would. It never waits behind a login, nor behind changes that wait for
    another writer, nor behind proposals, which wait for Git: these have threads of their own.
    """

    def __init__(
        self, threads: int, is_quick: Callable[[HTTPRequestParser], bool], guest_of: Callable[[dict[str, Any]], Guest] | None
    ) -> None:
        super().__init__()
        self._logins = None if guest_of is None else LoginLanes(guest_of)
        self.set_thread_count(threads)
        self._changes = ThreadedTaskDispatcher()
        self._changes.set_thread_count(FOR_CHANGES)
        self._proposals = ThreadedTaskDispatcher()
        self._proposals.set_thread_count(FOR_PROPOSALS)
        self._is_quick = is_quick
        self._quick: deque[HTTPChannel] = deque()
        self._own = threading.get_ident()

    def add_task(self, task: HTTPChannel) -> None:
        """Take the next request of a connection, whose lock is held."""
        is_own = threading.get_ident() == self._own
        if is_own and self._is_quick(task.requests[0]):
            self._quick.append(task)
        elif self._logins is not None and self._logins.takes(task):
            return
        elif is_own and task.requests[0].arrived is not None:  # a login without a place is refused quickly
            self._quick.append(task)
        elif _waits_for_git(task.requests[0]):
            self._proposals.add_task(task)
        elif _may_change(task.requests[0]):
            self._changes.add_task(task)
        else:
            super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads."""
        if self._logins is not None:
            self._logins.shutdown(timeout)
        self._changes.shutdown(timeout=timeout)
        self._proposals.shutdown(timeout=timeout)
        return bool(super().shutdown(cancel_pending, timeout))

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


def _waits_for_git(request: HTTPRequestParser) -> bool:
    return not request.error and PROPOSALS.fullmatch(f"/{request.path.lstrip('/')}") is not None


def _may_change(request: HTTPRequestParser) -> bool:
    if request.error:  # then it has no more attributes
        return False
    if request.command not in ("POST", "PUT", "PATCH", "DELETE"):
        return False
    return not request.path.startswith(QUICK) and certdog.canonical(request.path) != certdog.SEARCH


def _asks_no_server(request: HTTPRequestParser) -> bool:
    return not request.error and request.path == "/healthz"  # over a network, a read is a wait


def serve_waitress(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then answer what has been accepted. Raises OSError or StoreError."""
    with listen(settings.host, settings.port) as listening, listen_locally(settings) as listening_locally:
        service = Service(settings, places=PLACES)
        service.start()
        try:
            quick = _is_quick if service.database.is_sqlite else _asks_no_server
            admission = admission_of(service)
            app = create_app(service, admission)
            gc.freeze()  # what was read lives on; to look at it again would halt all threads for tens of milliseconds
            with serving_metrics(app, settings.metrics_listen):
                _Waitress(app, settings, listening, quick, listening_locally, admission.guest_of).run(ready)
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


@contextmanager
def serving_locally(app: Wsgi, settings: Settings) -> Iterator[None]:
    """Serve the local socket in a thread, beside a server that cannot, if the settings name one and no other worker does."""
    with ExitStack() as stack:
        try:
            listening = stack.enter_context(listen_locally(settings))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            listening = None
        if listening is not None:
            ended = threading.Event()
            thread = threading.Thread(
                target=lambda: _Waitress(app, settings, None, _asks_no_server, listening).turn_until(ended.is_set),
                name="local socket",
                daemon=True,
            )
            thread.start()
            stack.callback(thread.join, PATIENCE)
            stack.callback(ended.set)
        yield


class _Waitress:
    """A waitress server that answers what it has accepted before it stops."""

    def __init__(
        self,
        app: Wsgi,
        settings: Settings,
        listening: socket.socket | None,
        is_quick: Callable[[HTTPRequestParser], bool] = _asks_no_server,
        listening_locally: socket.socket | None = None,
        guest_of: Callable[[dict[str, Any]], Guest] | None = None,
    ) -> None:
        self._lanes = _Lanes(settings.threads, is_quick, guest_of)
        self._own = threading.get_ident()
        self._stopping = False
        self._map: dict[int, Any] = {}
        self._possible = _possible_connections()
        self._connections: Connections[_Channel] = Connections(self._possible, settings.trusted_proxies)
        places = ((app, listening), (local(app), listening_locally))
        self._servers = [self._create(served, place) for served, place in places if place is not None]

    def _create(self, app: Wsgi, listening: socket.socket) -> Any:
        server = create_server(
            app,
            map=self._map,
            _dispatcher=self._lanes,
            sockets=[listening],
            connection_limit=self._possible + 16,  # before it, `_accept` makes room
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
        server.channel_class = self._accept
        server.maintenance = self._maintain
        os.set_blocking(server.trigger.trigger, False)
        server.pull_trigger = self._wake
        return server

    def _accept(self, server: Any, accepted: socket.socket, address: tuple[str, Any], adjustments: Any, map: Any) -> None:
        """Take a connection. One that waits for a request makes room for it, if its network or all networks have many."""
        peer = None if accepted.family == socket.AF_UNIX else address[0]
        for old in self._connections.in_the_way_of(peer):
            if old.is_waiting:
                old.handle_close()
                break
        else:
            if self._connections.is_full_for(peer):
                accepted.close()
                return
        channel = _Channel(server, accepted, address, adjustments, map=map)
        channel.on_close = self._connections.add(peer, channel)

    def _maintain(self, _: float) -> None:
        """Close connections that are silent, those whose request never ends, and those that do not take their answer.

        Of the last, a thread waits in the middle of a long answer.
        """
        silent, now = time.time() - IDLE, time.monotonic()
        for server in self._servers:
            for channel in list(server.active_channels.values()):
                if channel.total_outbufs_len and channel.last_activity < silent:
                    channel.handle_close()  # it would never be ready to be closed
                elif not channel.requests and (channel.last_activity < silent or channel.is_overdue(now)):
                    channel.will_close = True

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until a signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        ready(url_of(self._servers[0].socket))
        self.turn_until(lambda: self._stopping)

    def turn_until(self, is_stopping: Callable[[], bool]) -> None:
        """Serve until told to stop, then answer what has been accepted."""
        while not is_stopping():
            self._turn(0.5)
        for server in self._servers:
            server.del_channel()
            server.socket.close()  # refuses new connections; open ones go on
        deadline = time.monotonic() + PATIENCE
        while self._busy() and time.monotonic() < deadline:
            self._turn(0.05)
        self._lanes.shutdown(timeout=5)

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=0 if self._lanes.has_quick else seconds, map=self._map, use_poll=True, count=1)
        self._lanes.answer_quick()

    def _busy(self) -> bool:
        return any(not channel.is_waiting for server in self._servers for channel in list(server.active_channels.values()))

    def _stop(self, *_: Any) -> None:
        self._stopping = True
        self._pull_trigger()

    def _wake(self) -> None:
        """Wake the loop, so that it looks at all connections again. Its own thread is about to do so anyway."""
        if threading.get_ident() != self._own:
            self._pull_trigger()

    def _pull_trigger(self) -> None:
        with suppress(BlockingIOError):  # a full pipe wakes it anyway; the thread that empties it must never block on it
            self._servers[0].trigger.pull_trigger()
