"""Asking a domain's controllers in order, within a time limit for each and for all; a controller that just failed is skipped.

ldap3's own pool sleeps or hangs if all controllers are down, so this loop is ours. Referrals are never followed, because ldap3
would send the password along.
"""

from __future__ import annotations

import logging
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Literal, NamedTuple, TypeVar

from ldap3 import BASE, NONE, SUBTREE, SYNC, Connection, Server, Tls

from api.directory.entries import REFUSED, refusal_of
from api.directory.settings import Controller, DirectorySettings
from api.errors import Unavailable

_log = logging.getLogger("accord.api")
_T = TypeVar("_T")
Work = Literal["reading", "binding"]
_SUCCESS, _SIZE_LIMIT, _NO_SUCH_OBJECT, _INVALID_CREDENTIALS = 0, 4, 32, 49
_NO_ANSWER = frozenset((1, 2, 3, 7, 8, 10, 11, 13, 51, 52, 80))
"""Result codes of a bind (RFC 4511, appendix A) that describe the controller and not the account."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_IDLE = 30.0
"""Seconds after which an idle connection is not reused: firewalls in between may have dropped it."""


class DirectoryUnavailable(Unavailable):
    """No controller answered. This proves neither a wrong password nor a lost account."""

    name = "directory-unavailable"


class Undecided(DirectoryUnavailable):
    """A password was sent, and no answer came. The directory may have counted it as wrong, so no other controller gets it."""


class NotAnswered(Exception):
    """A controller did not answer, or not completely."""


class _Lost(NotAnswered):
    """The outcome of a bind is unknown."""


class Found(NamedTuple):
    """An entry as the controller sent it."""

    dn: str
    attributes: dict[str, list[bytes]]


class Controllers:
    """One domain's controllers."""

    def __init__(self, settings: DirectorySettings) -> None:
        self.settings = settings
        self._tls = _Tls(ca_certs_file=settings.ca_file)
        self._places = threading.BoundedSemaphore(settings.waiting)
        self._failures: dict[tuple[Controller, Work], tuple[int, float]] = {}
        """How often in a row a controller failed at some work, and when it may be tried again."""
        self._idle: dict[Controller, list[tuple[Connection, float]]] = {}

    def ask(self, question: Callable[[Session], _T], *, in_background: bool = False) -> _T:
        """The first answer that a controller gives. Raises DirectoryUnavailable.

        A login takes one of a few places, and is told to try again if all are taken; `in_background` takes none.
        """
        with nullcontext() if in_background else self._place():
            return self._first("reading", lambda controller, seconds: self._as_service(controller, seconds, question))

    def refuses(self, dn: str, password: str) -> str | None:
        """Why the directory refuses a login with a password, asked on a separate connection; None if it accepts.

        Raises DirectoryUnavailable, or Undecided if the password was sent but not answered.
        """

        def attempt(controller: Controller, seconds: float) -> str | None:
            with _Deadline(seconds) as deadline:
                connection = self._connect(controller, dn, password, seconds, deadline)
                try:
                    return _bind(connection)
                finally:
                    _close(connection)

        with self._place():
            return self._first("binding", attempt)

    def ask_one(self, controller: Controller, question: Callable[[Session], _T]) -> _T:
        """One controller's own answer. Raises NotAnswered."""
        return self._as_service(controller, self.settings.try_time, question)

    def close(self) -> None:
        """Close idle connections."""
        for kept in self._idle.values():
            while kept:
                _close(kept.pop()[0])

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise DirectoryUnavailable(f"too many logins wait for the directory {self.settings.dns_name}; try again in a second")
        try:
            yield
        finally:
            self._places.release()

    def _first(self, work: Work, attempt: Callable[[Controller, float], _T]) -> _T:
        deadline = time.monotonic() + self.settings.total_time
        for controller in self._in_order(work):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                found = attempt(controller, min(left, self.settings.try_time))
            except NotAnswered as error:
                sent = work == "binding" and isinstance(error, _Lost)
                self._failed(controller, "binding" if sent else "reading", error)
                if sent:
                    raise Undecided(f"no controller of {self.settings.dns_name} answers; try again later") from None
            else:
                self._failures.pop((controller, work), None)
                return found
        raise DirectoryUnavailable(f"no controller of {self.settings.dns_name} answers; try again later")

    def _in_order(self, work: Work) -> list[Controller]:
        """Controllers that may be tried now, in the configured order. One that cannot be read cannot be bound to either."""
        now, works = time.monotonic(), {"reading", work}
        paused = {each for (each, failed), (_, until) in self._failures.copy().items() if failed in works and until > now}
        return [each for each in self.settings.controllers if each not in paused]

    def _failed(self, controller: Controller, work: Work, error: NotAnswered) -> None:
        count = self._failures.get((controller, work), (0, 0.0))[0]
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**count)
        self._failures[controller, work] = count + 1, time.monotonic() + pause
        _log.warning("%s did not answer (%s); it is skipped for %.0f s", controller.shown, error, pause)

    def _as_service(self, controller: Controller, seconds: float, question: Callable[[Session], _T]) -> _T:
        with _Deadline(seconds) as deadline:
            connection = self._reusable(controller, deadline)
            if connection is not None:
                with suppress(NotAnswered):  # perhaps only this connection was lost while idle
                    return self._on(connection, controller, question)
            connection = self._connect(controller, self.settings.service_account, self.settings.secret, seconds, deadline)
            return self._on(connection, controller, question, bind=True)

    def _on(self, connection: Connection, controller: Controller, question: Callable[[Session], _T], *, bind: bool = False) -> _T:
        try:
            refusal = _bind(connection) if bind else None
            if refusal is not None:
                raise NotAnswered(f"it refuses the service account: {refusal}")
            found = question(Session(connection, self.settings))
        except BaseException:
            _close(connection)
            raise
        self._idle.setdefault(controller, []).append((connection, time.monotonic()))
        return found

    def _reusable(self, controller: Controller, deadline: _Deadline) -> Connection | None:
        kept = self._idle.get(controller, [])
        while kept:
            connection, since = kept.pop()
            if time.monotonic() - since < _IDLE:
                deadline.watch(connection)
                return connection
            _close(connection)
        return None

    def _connect(self, controller: Controller, user: str, password: str, seconds: float, deadline: _Deadline) -> Connection:
        server = Server(
            controller.host, controller.port, use_ssl=controller.tls, tls=self._tls, get_info=NONE, connect_timeout=seconds
        )
        connection = Connection(
            server,
            user,
            password.encode(),  # ldap3 would change text by SASLprep (RFC 4013), and refuse some that the directory accepts
            client_strategy=SYNC,
            auto_referrals=False,
            receive_timeout=math.ceil(seconds),
            check_names=False,
        )
        deadline.watch(connection)
        try:
            connection.open(read_server_info=False)
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else Nagle costs 40 ms a bind
            if not controller.tls and not connection.start_tls(read_server_info=False):
                raise NotAnswered("it refuses StartTLS")
        except Exception as error:  # noqa: BLE001 - as below
            _close(connection)
            raise NotAnswered(_reason(error)) from None
        return connection


class _Tls(Tls):  # type: ignore[misc]
    """Lets OpenSSL check names and dates; ldap3 would compare names itself, and leave the connection open."""

    def wrap_socket(self, connection: Connection, do_handshake: bool = False) -> None:
        context = ssl.create_default_context(cafile=self.ca_certs_file)
        connection.socket = context.wrap_socket(
            connection.socket, server_hostname=connection.server.host, do_handshake_on_connect=do_handshake
        )


class _Deadline:
    """Cuts a connection when its time is up, even while it trickles: a socket's own time limit restarts with every byte."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._watched: list[Connection] = []

    def watch(self, connection: Connection) -> None:
        self._watched.append(connection)

    def _cut(self) -> None:
        for connection in self._watched:
            with suppress(Exception):
                connection.socket.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


class Session:
    """A bound connection to one controller."""

    def __init__(self, connection: Connection, settings: DirectorySettings) -> None:
        self._connection = connection
        self.settings = settings

    def search(self, base: str, condition: str, attributes: list[str], *, most: int) -> list[Found] | None:
        """All matches below a base; None if there are more than `most`. Raises NotAnswered."""
        code, entries = self._search(base, condition, SUBTREE, attributes, most + 1)
        if len(entries) > most:
            return None
        if code != _SUCCESS:
            raise NotAnswered(f"it ended a search with code {code}")
        return entries

    def any(self, base: str, condition: str, attributes: list[str]) -> Found | None:
        """One match below a base; None if there is none. Raises NotAnswered."""
        code, entries = self._search(base, condition, SUBTREE, attributes, 1)
        if code not in (_SUCCESS, _SIZE_LIMIT):
            raise NotAnswered(f"it ended a search with code {code}")
        return entries[0] if entries else None

    def pages(self, base: str, condition: str, attributes: list[str]) -> list[Found]:
        """All matches below a base, read page by page. Raises NotAnswered."""
        found: list[Found] = []
        cookie: Any = None
        while True:
            code, entries = self._search(base, condition, SUBTREE, attributes, 0, cookie, self.settings.results)
            if code != _SUCCESS:
                raise NotAnswered(f"it ended a search with code {code}")
            found += entries
            controls = (self._connection.result or {}).get("controls") or {}
            cookie = controls.get("1.2.840.113556.1.4.319", {}).get("value", {}).get("cookie")
            if not cookie:
                return found

    def read(self, dn: str, attributes: list[str]) -> Found | None:
        """One entry by its DN; None if there is none. Raises NotAnswered."""
        code, entries = self._search(dn, "(objectClass=*)", BASE, attributes, 0)
        if code == _NO_SUCH_OBJECT:
            return None
        if code != _SUCCESS or len(entries) != 1:
            raise NotAnswered(f"it ended a read with code {code}")
        return entries[0]

    def _search(
        self, base: str, condition: str, scope: Any, attributes: list[str], most: int, cookie: Any = None, page: int | None = None
    ) -> tuple[int, list[Found]]:
        try:
            self._connection.search(
                base, condition, scope, attributes=attributes, size_limit=most, paged_size=page, paged_cookie=cookie,
                time_limit=int(self.settings.try_time) + 1,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - ldap3 raises KeyError and others for unexpected bytes
            raise NotAnswered(_reason(error)) from None
        result = self._connection.result or {}
        entries = [
            Found(each["dn"], {name.lower(): values for name, values in each["raw_attributes"].items()})
            for each in self._connection.response or []
            if each["type"] == "searchResEntry"  # continuation references are skipped, never followed
        ]
        return int(result.get("result", -1)), entries


def _bind(connection: Connection) -> str | None:
    """Why the directory refuses the name and the password; None if it accepts. Raises NotAnswered if it does not say."""
    try:
        if connection.bind(read_server_info=False):
            return None
    except Exception as error:  # noqa: BLE001 - as above
        raise _Lost(_reason(error)) from None
    result = connection.result or {}
    code = result.get("result")
    if code is None or code in _NO_ANSWER:
        raise NotAnswered(f"it ended a bind with code {code}")
    return refusal_of(str(result.get("message", ""))) if code == _INVALID_CREDENTIALS else REFUSED


def _close(connection: Connection) -> None:
    with suppress(Exception):
        connection.strategy.close()
    with suppress(Exception):
        connection.socket.close()  # ldap3 leaves it open if opening failed halfway


def _reason(error: Exception) -> str:
    """What a library says, without what was sent."""
    return f"{type(error).__name__}: {str(error)[:120]}"
