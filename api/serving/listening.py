"""The address that a server listens on."""

from __future__ import annotations

import socket


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Listen on an address; if it is `shared`, other processes may do the same. Raises OSError, which names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024, reuse_port=shared)


def url_of(listening: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
