"""Serving the application with Granian's workers. Only the workers import the application, each for itself, and from where
this program is: Granian itself would look in the current folder first.

If there are several, prometheus-client must know before it is imported.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Event
from multiprocessing.util import Finalize
from typing import Any

from api.serving.listening import listen, url_of
from api.settings import Settings

PATIENCE = 30
"""Seconds for workers to finish when stopping."""
IDLE = 30
"""Seconds that the headers of a request may take."""
MAX_BUFFER = 64 * 1024
"""Bytes of headers, and of a body that nobody has read."""


def serve_granian(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve with Granian's worker processes until a signal. Raises ModuleNotFoundError or OSError."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings

    if settings.metrics_listen is not None:
        listen(*settings.metrics_listen).close()  # each worker will; a bad address is reported once
    with listen(settings.host, settings.port) as probe:  # raises if the address is bad, and finds a free port if none is given
        (host, port), url = probe.getsockname()[:2], url_of(probe)
    with tempfile.TemporaryDirectory(prefix="accord-metrics-") as folder:
        if settings.workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        os.environ["PYTHONSAFEPATH"] = "1"  # for workers that are programs of their own, from Python 3.14 on
        server = Granian(
            "api.wsgi:app",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=settings.workers,
            blocking_threads=settings.threads,
            backlog=1024,
            workers_kill_timeout=PATIENCE,
            log_access=False,
            log_dictconfig={"version": 1, "disable_existing_loggers": False, "loggers": {"_granian": {"propagate": True}}},
            websockets=False,
            http1_settings=HTTP1Settings(header_read_timeout=IDLE * 1000, max_buffer_size=MAX_BUFFER),
        )
        loaded = multiprocessing.Event()
        threading.Thread(target=_say_when, args=(loaded, ready, url), name="ready", daemon=True).start()
        server.serve(target_loader=partial(_load, loaded), wrap_loader=False)


def _say_when(loaded: Event, ready: Callable[[str], None], url: str) -> None:
    loaded.wait()
    ready(url)


def _load(loaded: Event) -> Any:
    """The application, in a worker. Until Granian takes care of signals, one of them ends the worker."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    wsgi = importlib.import_module("api.wsgi")
    Finalize(None, wsgi.stop, exitpriority=1)  # before Python 3.13, a forked process runs nothing else as it ends
    loaded.set()
    return wsgi.app
