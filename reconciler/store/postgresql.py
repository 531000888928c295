"""PostgreSQL's servers: which of them is the primary, and connections to it on which nobody waits for ever.

Directly or through a pooler such as PgBouncer. Behind one, a connection to the server is somebody else's in the next transaction,
so nothing here depends on the state of a session.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple
from weakref import WeakSet, finalize

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import URL

from reconciler.store.errors import SILENT, DatabaseUnreachable, NotPrimary, StoreError, store_error
from reconciler.store.urls import OUR_OPTIONS, hosts_of, shown
from reconciler.wording.nearest import did_you_mean

LOST = "the connection is lost"
_GRACE = 0.25
"""Seconds for the other hosts to answer when one has: the primary of the past may answer first."""
_RESOLVING = 1.0
"""Seconds for the look-up of a name, beside those for connecting."""
_DEFAULTS = {
    "application_name": "accord",
    "client_encoding": "UTF8",  # whatever PGCLIENTENCODING says
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",  # milliseconds
}
"""Options for all connections, unless the URL sets them: they notice a host that vanished."""
_SESSIONS = ("read-write", "primary", "any", "prefer-standby", "standby", "read-only")
"""Which servers will do, as libpq says it. Those after the first two are for commands that only read."""
_FORBIDDEN = {"replication", "client_encoding", "load_balance_hosts", *OUR_OPTIONS}
_FACTS = """SELECT pg_backend_pid(),
CASE WHEN pg_is_in_recovery() THEN 0 ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
(SELECT system_identifier FROM pg_control_system())"""
_FEWER_FACTS = "SELECT pg_backend_pid(), 0, 0"
"""For servers that keep these functions to themselves."""


class LimitedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is lost once the server has been silent for too long. Another thread may cut it off."""

    limit: float | None = None
    """Seconds in which the server must answer each statement."""
    system = 0
    """The identity of the database cluster; 0 if the server does not tell."""
    timeline = 0
    """The timeline of its history: each promotion begins the next."""
    is_pooled = False
    """Whether a pooler is between: the session is not ours alone."""
    was_confirmed = True
    """Whether the standby confirmed all commits that had to wait for it."""
    _wire: socket.socket | None = None

    @classmethod
    def between(cls, options: Mapping[str, str], limit: float) -> LimitedConnection:
        """Connect, in seconds, and find out with whom. Raises psycopg.Error."""
        connection = cls.connect(make_conninfo("", **options), connect_timeout=max(2, round(limit)), autocommit=True)
        # of our own: the driver's may be closed at any time, and be another file's when we come to shut it
        connection._wire = socket.socket(fileno=os.dup(connection.pgconn.socket))
        finalize(connection, connection._wire.close)  # who drops a connection that broke need not close it
        connection.limit = limit
        try:
            connection._ask()
        except BaseException:
            connection.close()
            raise
        return connection

    def _ask(self) -> None:
        try:
            found = self.execute(_FACTS).fetchone()
        except psycopg.Error:
            if self.closed:
                raise
            found = self.execute(_FEWER_FACTS).fetchone()
        process, self.timeline, self.system = found or (0, 0, 0)
        self.is_pooled = process != self.pgconn.backend_pid  # a pooler makes up the process that it shows
        if self.is_pooled:
            self.prepare_threshold = None
        self.add_notice_handler(self._notice)

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.source_function == "SyncRepWaitForLSN":  # its text is in the server's language
            self.was_confirmed = False

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server. Raises psycopg.Error, and closes the connection if it took too long."""
        try:
            return super().wait(gen, interval, self.limit if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:
            self.close()
            raise psycopg.OperationalError(SILENT) from None
        except psycopg.Error as error:
            if self.closed and error.sqlstate is None:
                raise psycopg.OperationalError(LOST) from None
            raise

    def cut(self) -> None:
        """End the connection, also for a thread that is waiting for the server."""
        if self._wire is not None:
            with suppress(OSError):
                self._wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        super().close()
        if self._wire is not None:
            self._wire.close()


class Servers:
    """The servers that a URL names."""

    def __init__(self, url: URL, text: str, *, connecting: float, read_only: bool) -> None:
        """Look for the primary. Who only reads takes a standby if there is no other; `connecting` is in seconds.

        Raises StoreError if the URL has options that cannot be used.
        """
        self._text = text
        self._connecting = connecting
        self._hosts = hosts_of(url)
        self._options = _options(url)
        session = self._options.setdefault("target_session_attrs", "any" if read_only else "read-write")
        permitted = _SESSIONS if read_only else _SESSIONS[:2]
        if session not in permitted:
            raise StoreError(
                f"`target_session_attrs` in the database URL must be {' or '.join(permitted)} here, not `{session}`"
                + ("" if read_only else ": a standby cannot be written to, and may not know yet what was revoked")
            )
        self._lock = threading.Lock()
        self._open: WeakSet[LimitedConnection] = WeakSet()
        self._timelines: dict[int, int] = {}
        self.is_silent = False
        """Whether nobody waits for them any more."""

    @property
    def are_several(self) -> bool:
        """Whether the URL names more than one."""
        return len(self._hosts) > 1

    def connect(self, limit: float, *, although_silent: bool = False) -> LimitedConnection:
        """Connect to the primary; its statements take at most `limit` seconds. Raises DatabaseUnreachable or StoreError.

        All hosts are asked at once. If several say that they are the primary, the one with the longest history is: the other was,
        before a fail-over. A primary older than one that was seen before is refused.
        """
        if self.is_silent and not although_silent:
            raise store_error(SILENT, self._text)
        connection = _Race(self._hosts, self._options, self._connecting, self._text).winner()
        self._require_utf8(connection)
        with self._lock:
            newest = self._timelines.setdefault(connection.system, connection.timeline)
            if 0 < connection.timeline < newest:
                connection.close()
                raise NotPrimary(
                    f"the database {shown(self._text)} leads to a server that was the primary before a fail-over (timeline "
                    f"{connection.timeline}, but {newest} exists); stop it, and make it a standby of the new one"
                )
            self._timelines[connection.system] = max(newest, connection.timeline)
            outdated = [each for each in self._open if each.system == connection.system and each.timeline < connection.timeline]
            self._open.add(connection)
        for each in outdated:
            each.cut()
        connection.limit = limit
        return connection

    def _require_utf8(self, connection: LimitedConnection) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding not in ("UTF8", None):
            connection.close()
            raise StoreError(
                f"the database {shown(self._text)} is encoded in {encoding}, which cannot hold every name; Accord needs UTF8. "
                "Create another with `CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0`, and move the data with pg_dump"
            )

    def give_up(self) -> None:
        """Wait for them no more, in any thread, until `answered`."""
        self.is_silent = True
        with self._lock:
            waiting = list(self._open)
        for each in waiting:
            each.cut()

    def answered(self) -> None:
        """Connect again when somebody asks."""
        self.is_silent = False


class _Failed(NamedTuple):
    error: StoreError


class _Race:
    """Connects to all hosts and all their addresses at once: one that is silent delays nobody, nor does a look-up of a name."""

    def __init__(self, hosts: list[dict[str, str]], options: Mapping[str, str], limit: float, text: str) -> None:
        self._options = options
        self._limit = limit
        self._text = text
        self._found: SimpleQueue[LimitedConnection | list[dict[str, str]] | _Failed] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_over = False
        self._running = 0
        for host in hosts:
            self._start(self._resolve if _is_name(host) else self._connect, host)

    def _start(self, target: Any, host: dict[str, str]) -> None:
        self._running += 1
        threading.Thread(target=target, args=(host,), name="connecting", daemon=True).start()

    def _resolve(self, host: dict[str, str]) -> None:
        try:
            found = socket.getaddrinfo(host["host"], host.get("port") or None, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError):
            self._found.put(_Failed(store_error("failed to resolve host", self._text)))
        else:
            addresses = dict.fromkeys(str(address[0]) for *_, address in found)
            self._found.put([{**host, "hostaddr": address} for address in addresses])

    def _connect(self, host: dict[str, str]) -> None:
        try:
            connection = LimitedConnection.between({**self._options, **host}, self._limit)
        except psycopg.Error as error:
            self._found.put(_Failed(store_error(str(error), self._text, error.sqlstate)))
        except Exception as error:  # noqa: BLE001 - whatever a bad option makes of the driver
            self._found.put(_Failed(store_error(f"an option of the URL has a bad value: {error}", self._text)))
        else:
            with self._lock:
                if not self._is_over:
                    self._found.put(connection)
                    return
            connection.close()

    def winner(self) -> LimitedConnection:
        """The connection to use. Raises StoreError."""
        best: LimitedConnection | None = None
        failures: list[StoreError] = []
        ends = time.monotonic() + self._limit + _RESOLVING
        try:
            while self._running and (left := ends - time.monotonic()) > 0:
                try:
                    found = self._found.get(timeout=left)
                except Empty:
                    break
                self._running -= 1
                if isinstance(found, list):
                    for host in found:
                        self._start(self._connect, host)
                elif isinstance(found, _Failed):
                    failures.append(found.error)
                else:
                    best, other = (found, best) if best is None or self._rank(best) < self._rank(found) else (best, found)
                    if other is not None:
                        other.close()
                    ends = min(ends, time.monotonic() + _GRACE)
        finally:
            self._end(best)
        if best is None:
            raise _most_telling(failures) if failures else store_error(SILENT, self._text)
        return best

    def _rank(self, connection: LimitedConnection) -> int:
        """A standby has no timeline of its own yet."""
        return -connection.timeline if self._options["target_session_attrs"] == "prefer-standby" else connection.timeline

    def _end(self, best: LimitedConnection | None) -> None:
        with self._lock:
            self._is_over = True
        with suppress(Empty):
            while True:
                late = self._found.get_nowait()
                if isinstance(late, LimitedConnection) and late is not best:
                    late.close()


def _most_telling(failures: list[StoreError]) -> StoreError:
    """A standby beside a dead host says more than the dead host, and a refusal more than either."""
    return max(failures, key=lambda error: (not isinstance(error, DatabaseUnreachable), type(error) is not DatabaseUnreachable))


def _is_name(host: Mapping[str, str]) -> bool:
    name = host.get("host", "")
    return bool(name) and not name.startswith(("/", "@")) and "hostaddr" not in host


def _options(url: URL) -> dict[str, str]:
    """The options of all hosts. Raises StoreError."""
    known = {each.keyword.decode() for each in pq.Conninfo.get_defaults()} - _FORBIDDEN
    options = dict(_DEFAULTS)
    for name, value in url.query.items():
        if name not in known:
            raise StoreError(
                f"the database URL sets `{name}`, which is not an option of PostgreSQL's connections"
                + did_you_mean(name, known | OUR_OPTIONS)
            )
        if not isinstance(value, str):
            raise StoreError(f"the database URL sets `{name}` more than once")
        options[name] = value
    named = {"user": url.username, "password": url.password, "dbname": url.database}
    options.update({name: str(value) for name, value in named.items() if value})
    return {name: value for name, value in options.items() if name not in ("host", "port", "hostaddr")}
