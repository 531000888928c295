"""A TCP proxy before a server, which makes what networks and hosts make: silence, delays, trickles, cuts."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Literal

Fault = Literal["none", "silence", "slow", "trickle", "cut", "refuse"]


class Listener:
    """Takes connections on a port of its own, each in a thread of its own."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._listening = socket.create_server((address, 0), backlog=100)
        self.port: int = self._listening.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Accept no more: whoever waits for that is woken, or would go on to hold the port."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        """What is done with a connection."""
        raise NotImplementedError


class FaultyProxy(Listener):
    """Passes connections on; new ones, and those that are open, with the fault of the moment."""

    def __init__(self, address: str, target: tuple[str, int]) -> None:
        self.fault: Fault = "none"
        self.connections = 0
        self._target = target
        super().__init__(address)

    def serve(self, client: socket.socket) -> None:
        self.connections += 1
        if self.fault == "refuse":
            client.close()
            return
        server = socket.create_connection(self._target)
        threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
        self._pass_on(server, client)

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                while self.fault == "silence":
                    time.sleep(0.02)
                if self.fault == "slow":
                    time.sleep(0.1)
                if self.fault == "cut":
                    other.sendall(data[: len(data) // 2])
                    break
                if self.fault == "trickle":
                    for byte in data[:50]:
                        other.sendall(bytes([byte]))
                        time.sleep(0.1)
                    break
                other.sendall(data)
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
