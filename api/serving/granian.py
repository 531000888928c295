"""Serving the application with Granian's workers. Only the workers import the application, each for itself.

If there are several, prometheus-client must know before it is imported.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable

from api.serving.listening import listen, url_of
from api.settings import Settings

PATIENCE = 30
"""Seconds for workers to finish when stopping. A worker that has just started may have missed the signal."""


def serve_granian(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve with Granian's worker processes until a signal. Raises ModuleNotFoundError or OSError."""
    from granian import Granian
    from granian.constants import Interfaces

    if settings.metrics_listen is not None:
        listen(*settings.metrics_listen).close()  # each worker will; a bad address is reported once
    with listen(settings.host, settings.port) as probe:  # raises if the address is bad, and finds a free port if none is given
        (host, port), url = probe.getsockname()[:2], url_of(probe)
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
            workers_kill_timeout=PATIENCE,
            log_access=False,
            log_dictconfig={"version": 1, "disable_existing_loggers": False, "loggers": {"_granian": {"propagate": True}}},
            websockets=False,
        )
        ready(url)
        server.serve()
