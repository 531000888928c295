"""The application for any WSGI server: `api.wsgi:app`, with the settings of the environment."""

from __future__ import annotations

import atexit
from contextlib import ExitStack

from api import logs
from api.app import create_app
from api.service import Service
from api.serving.metrics import serving_metrics
from api.settings import read_settings

_settings = read_settings({})
logs.configure(_settings.log_format, _settings.log_level)
_service = Service(_settings)
_service.start()
atexit.register(_service.stop)
app = create_app(_service)
_listening = ExitStack()
atexit.register(_listening.close)  # before the service stops
_listening.enter_context(serving_metrics(app, _settings.metrics_listen, shared=True))
