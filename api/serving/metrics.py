"""A listener that serves `/metrics` and nothing else, for networks that only a scraper can reach."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from waitress import wasyncore
from waitress.server import create_server

from api.http.headers import Wsgi
from api.resources.health import ON_OWN_LISTENER
from api.serving.listening import listen

_CONNECTIONS = 20
_IDLE = 10
"""Seconds of silence after which a connection is closed."""
_TURN = 0.5


def only_metrics(app: Wsgi) -> Wsgi:
    """The part of an application that is for scrapers."""

    def answer(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environment.get("PATH_INFO") == "/metrics":
            return app({**environment, ON_OWN_LISTENER: True}, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []

    return answer


@contextmanager
def serving_metrics(app: Wsgi, address: tuple[str, int] | None, *, shared: bool = False) -> Iterator[None]:
    """Serve an application's metrics at an address, if there is one, in a thread of this process.

    The workers of one server share an address: each answers for all. Raises OSError, which names the address.
    """
    if address is None:
        yield
        return
    with listen(*address, shared=shared) as listening:
        stopping = threading.Event()
        thread = threading.Thread(target=_serve, args=(only_metrics(app), listening, stopping), name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join(2 * _TURN)


def _serve(app: Wsgi, listening: socket.socket, stopping: threading.Event) -> None:
    connections: dict[int, Any] = {}
    server = create_server(
        app,
        map=connections,
        sockets=[listening],
        threads=1,
        connection_limit=_CONNECTIONS,
        channel_timeout=_IDLE,
        max_request_body_size=1024,
        asyncore_use_poll=True,
        ident=None,
        expose_tracebacks=False,
    )
    while not stopping.is_set():
        wasyncore.loop(timeout=_TURN, map=connections, use_poll=True, count=1)
    server.task_dispatcher.shutdown(timeout=_TURN)
    wasyncore.close_all(connections)
