"""The application for any WSGI server: `api.wsgi:app`, with the settings of the environment."""

from __future__ import annotations

import atexit
import gc
import os
from contextlib import ExitStack

from api import logs
from api.app import create_app
from api.http.headers import forget, wary
from api.service import Service
from api.serving.metrics import serving_metrics
from api.serving.waitress import serving_locally
from api.settings import read_settings

forget(os.environ)
_settings = read_settings({})
logs.configure(_settings.log_format, _settings.log_level)
_service = Service(_settings)
_service.start()
_parts = ExitStack()
_parts.callback(_service.stop)
_application = create_app(_service)
gc.freeze()  # what was read lives on; to look at it again would halt all threads for tens of milliseconds
app = wary(_application)
_parts.enter_context(serving_metrics(_application, _settings.metrics_listen, shared=True))
_parts.enter_context(serving_locally(_application, _settings))


def stop() -> None:
    """End what this process serves, then the service. Done once, however often it is asked for."""
    _parts.close()


atexit.register(stop)
