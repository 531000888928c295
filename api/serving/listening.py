"""The address that a server listens on."""

from __future__ import annotations

import socket

from api.settings import Settings


def listen(settings: Settings) -> socket.socket:
    """Listen on the address of the settings. Raises OSError, which names the address."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=1024)


def url_of(listening: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
