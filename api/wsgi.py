"""The application for any WSGI server: `api.wsgi:app`, with the settings of the environment."""

from __future__ import annotations

import atexit

from api import logs
from api.app import create_app
from api.service import Service
from api.settings import read_settings

_settings = read_settings({})
logs.configure(_settings.log_format, _settings.log_level)
_service = Service(_settings)
_service.start()
atexit.register(_service.stop)
app = create_app(_service)
