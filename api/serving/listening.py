"""The addresses that a server listens on: one for the world, and a socket for this machine alone."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

from api.settings import Settings


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Listen on an address; on `[::]`, over IPv4 as well. If it is `shared`, other processes may do the same.

    Raises OSError, which names the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = family == socket.AF_INET6 and ip_address(host).is_unspecified and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=1024, reuse_port=shared, dualstack_ipv6=both)


@contextmanager
def listen_locally(settings: Settings) -> Iterator[socket.socket | None]:
    """Listen on the local socket, if the deployment asks for one.

    Only the account that runs Accord can open it, and the group of the settings if they name one: whoever opens it counts as
    local, from the first moment on. Raises OSError if the path cannot be used, or another process serves it.
    """
    path = settings.local_socket
    if path is None:
        yield None
        return
    with _lock(path):
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise OSError(errno.EEXIST, "ACCORD_LOCAL_SOCKET is not a socket, and is left alone", str(path))
            path.unlink()  # of a process that was killed: we have the lock
        with socket.socket(socket.AF_UNIX) as listening:
            before = os.umask(0o177)
            try:
                listening.bind(str(path))
            finally:
                os.umask(before)
            try:
                if settings.local_socket_group:
                    shutil.chown(path, group=settings.local_socket_group)
                    path.chmod(0o660)
                listening.listen(128)
                yield listening
            finally:
                path.unlink(missing_ok=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Be the only process that serves a path. Of several workers, one is."""
    lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(errno.EADDRINUSE, "ACCORD_LOCAL_SOCKET is served by another process", str(path)) from None
        yield
    finally:
        os.close(lock)


def url_of(listening: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
