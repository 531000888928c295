"""The loop that answers quick requests itself: nothing callers send can block it."""

from __future__ import annotations

import fcntl
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import pytest
from waiting import LONG, until
from waitress import wasyncore

from api.console import proposal_forms, proposals
from api.console.routes import ROUTES
from api.serving.lanes import FOR_PROPOSALS, PROPOSALS
from api.serving.waitress import FOR_CHANGES, _Channel, _is_quick, _Waitress
from api.settings import Settings, read_settings

QUICK = b"GET /api/v1/auth HTTP/1.1\r\n\r\n"
MANY = QUICK * (8192 // len(QUICK))
"""As many as are read at once."""


class Application:
    """Says hello, when it may; the ports that asked, in order."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked: list[str] = []

    def __call__(self, environment: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        self.asked.append(environment["REMOTE_PORT"])
        assert self.may.wait(LONG)
        start("200 OK", [("Content-Length", "5")])
        return [b"hello"]


@contextmanager
def looping(application: Application) -> Iterator[int]:
    """A server whose loop runs in a thread, with as small a pipe to wake it as the system makes; its port."""
    settings: Settings = read_settings({})
    stopping, ready = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def loop() -> None:
            server = _Waitress(cast(Any, application), settings, listening, _is_quick)
            fcntl.fcntl(server._servers[0].trigger.trigger, fcntl.F_SETPIPE_SZ, 4096)
            ready.set()
            while not stopping.is_set():
                server._turn(0.05)
            server._lanes.shutdown(timeout=LONG)
            wasyncore.close_all(server._map)
            server._servers[0].trigger.close()

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        assert ready.wait(LONG)
        try:
            yield listening.getsockname()[1]
        finally:
            stopping.set()
            thread.join(LONG)
            assert not thread.is_alive()


def answer(connection: socket.socket) -> None:
    """Assert that an answer arrives."""
    found = b""
    while not found.endswith(b"hello"):
        part = connection.recv(65536)
        assert part
        found += part


def connect(stack: ExitStack, port: int, sent: bytes) -> socket.socket:
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=LONG))
    connection.sendall(sent)
    return connection


def test_many_simultaneous_requests_do_not_fill_the_pipe_that_wakes_the_loop() -> None:
    application = Application()
    application.may.set()
    with looping(application) as port, ExitStack() as stack:
        greedy = [connect(stack, port, QUICK) for _ in range(40)]
        for each in greedy:
            answer(each)
        application.may.clear()
        modest = connect(stack, port, QUICK)
        until(lambda: len(application.asked) > len(greedy), "the modest request")
        for each in greedy:
            each.sendall(MANY)
        application.may.set()
        answer(modest)
        answer(connect(stack, port, QUICK))


def test_a_connection_that_sends_much_waits_behind_those_that_send_little() -> None:
    application = Application()
    with looping(application) as port, ExitStack() as stack:
        connect(stack, port, MANY)
        until(lambda: application.asked, "the first of many requests")
        modest = connect(stack, port, QUICK)
        application.may.set()
        answer(modest)
        assert application.asked.index(str(modest.getsockname()[1])) < 10


def test_a_fault_of_one_connection_does_not_end_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    service = _Channel.service

    def fail_once(channel: Any) -> None:
        monkeypatch.setattr(_Channel, "service", service)
        raise IndexError

    application = Application()
    application.may.set()
    with looping(application) as port, ExitStack() as stack:
        monkeypatch.setattr(_Channel, "service", fail_once)
        connect(stack, port, QUICK)
        answer(connect(stack, port, QUICK))


class Slow(Application):
    """As its parent, but quick requests are always answered at once."""

    def __call__(self, environment: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        if environment["PATH_INFO"].startswith("/api/v1/auth"):
            start("200 OK", [("Content-Length", "5")])
            return [b"hello"]
        return super().__call__(environment, start)


def test_an_answer_does_not_wait_for_the_next_request_of_its_connection() -> None:
    application = Slow()
    with looping(application) as port, ExitStack() as stack:
        both = connect(stack, port, QUICK + QUICK.replace(b"auth", b"users"))
        answer(both)
        until(lambda: application.asked, "the slow request")
        answer(connect(stack, port, QUICK))
        application.may.set()
        answer(both)


def test_an_answer_is_sent_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    send = _Channel.send

    def note(channel: Any, data: bytes, do_close: bool = True) -> Any:
        sent.append(bytes(data))
        return send(channel, data, do_close)

    monkeypatch.setattr(_Channel, "send", note)
    application = Slow()
    application.may.set()
    with looping(application) as port, ExitStack() as stack:
        for path in (b"auth", b"users"):
            answer(connect(stack, port, QUICK.replace(b"auth", path)))
    assert [each.startswith(b"HTTP/1.1 200 OK") and each.endswith(b"hello") for each in sent] == [True, True]


class Locked(Application):
    """As its parent, but only what may write waits."""

    def __call__(self, environment: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        if environment["REQUEST_METHOD"] == "GET":
            start("200 OK", [("Content-Length", "5")])
            return [b"hello"]
        return super().__call__(environment, start)


def test_changes_that_wait_for_a_lock_hold_up_no_reads() -> None:
    application = Locked()
    with looping(application) as port, ExitStack() as stack:
        for _ in range(40):
            connect(stack, port, b"DELETE /api/v1/me/sessions HTTP/1.1\r\n\r\n")
        until(lambda: len(application.asked) == FOR_CHANGES, "changes that wait")
        answer(connect(stack, port, b"GET /api/v1/users HTTP/1.1\r\n\r\n"))
        application.may.set()
        until(lambda: len(application.asked) == 40, "all changes")


class Endless(Application):
    """Answers without an end."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()

    def __call__(self, environment: dict[str, Any], start: Callable[..., Any]) -> Any:
        start("200 OK", [])

        def parts() -> Iterator[bytes]:
            try:
                while True:
                    yield bytes(1 << 16)
            finally:
                self.ended.set()

        return parts()


def test_who_does_not_read_an_answer_holds_no_thread_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.serving.waitress.IDLE", 0.5)
    application = Endless()
    with looping(application) as port, ExitStack() as stack:
        connect(stack, port, b"GET /audit.csv HTTP/1.1\r\n\r\n")
        assert application.ended.wait(LONG)


class WaitingForGit(Application):
    """As its parent, but only proposals wait."""

    def __call__(self, environment: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        if "proposals" in environment["PATH_INFO"] or environment["PATH_INFO"].startswith("/users/"):
            return super().__call__(environment, start)
        start("200 OK", [("Content-Length", "5")])
        return [b"hello"]


@pytest.mark.parametrize("path", ["/proposals/accord/x", "/propos%61ls", "/users/new", "/users/bob/edit"])
def test_proposals_that_wait_for_git_hold_up_neither_reads_nor_changes(path: str) -> None:
    application = WaitingForGit()
    with looping(application) as port, ExitStack() as stack:
        for method in ("GET", "POST") * 10:
            connect(stack, port, f"{method} {path} HTTP/1.1\r\n\r\n".encode())
        until(lambda: len(application.asked) == FOR_PROPOSALS, "proposals that wait")
        answer(connect(stack, port, b"GET /api/v1/users HTTP/1.1\r\n\r\n"))
        answer(connect(stack, port, b"DELETE /api/v1/me/sessions HTTP/1.1\r\n\r\n"))
        application.may.set()
        until(lambda: len(application.asked) == 20, "all proposals")


def test_every_page_that_runs_the_reconciler_waits_in_the_lane_for_it() -> None:
    running = [path for path, page in ROUTES if page.__module__ in (proposal_forms.__name__, proposals.__name__)]
    assert len(running) > 5
    assert [path for path, _ in ROUTES if PROPOSALS.fullmatch(path.replace("{", "").replace("}", ""))] == running
