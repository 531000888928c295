"""Fair shares of connections: without a proxy in front, one client must not hold them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from reconciler.access.permitted_ips import Rule, matching, network_of, parse_address

T = TypeVar("T")
SHARE = 4
"""A network may hold one of so many parts of all connections."""
_LOOKED_AT = 64
"""Connections that are looked at for one that waits: each accepted connection must cost little."""


class Connections(Generic[T]):
    """The open connections by network, oldest first. Those of trusted proxies and of the local socket are in nobody's way."""

    def __init__(self, most: int, trusted: tuple[Rule, ...]) -> None:
        self._most = most
        self._trusted = trusted
        self._held: dict[str, dict[int, T]] = {}
        self._total = 0

    def in_the_way_of(self, peer: str | None) -> Iterator[T]:
        """Connections, one of which has to go before another comes from this peer: its network's own if that has its share, or
        those of the network that holds most if there is no room at all."""
        network = self._network(peer)
        mine = self._held.get(network, {}) if network else {}
        if len(mine) >= self._most // SHARE:
            return islice(list(mine.values()), _LOOKED_AT)
        if self._total >= self._most and self._held:
            return islice(list(max(self._held.values(), key=len).values()), _LOOKED_AT)
        return iter(())

    def is_full_for(self, peer: str | None) -> bool:
        """Whether there is no room for another connection from this peer."""
        network = self._network(peer)
        return network is not None and (len(self._held.get(network, ())) >= self._most // SHARE or self._total >= self._most)

    def add(self, peer: str | None, connection: T) -> Callable[[], None]:
        """Count a connection; what it returns is to be called when the connection ends."""
        network = self._network(peer)
        self._total += 1
        if network is not None:
            self._held.setdefault(network, {})[id(connection)] = connection

        def ended() -> None:
            self._total -= 1
            if network is not None:
                held = self._held[network]
                del held[id(connection)]
                if not held:
                    del self._held[network]

        return ended

    def _network(self, peer: str | None) -> str | None:
        if peer is None:
            return None
        address = parse_address(peer.partition("%")[0])
        return None if matching(self._trusted, address) else network_of(address)
