"""The networks that somebody logged in from, for places among those who log in.

They follow from what the database keeps of accounts, so that they survive a restart; each process reads again now and then what
others have added.
"""

from __future__ import annotations

import threading
from datetime import datetime

from api.authentication.account_failures import KNOWN_FOR
from api.authentication.places import Guest, site_of
from api.background import Periodic
from api.state.clock import AHEAD
from api.state.reader import Reader
from reconciler.access.permitted_ips import LOCAL, Address, network_of
from reconciler.store.tables import instant_text

EVERY = 60.0
MOST = 100_000
"""How many networks a process remembers: those of the newest logins."""
_READ = "SELECT network FROM account_networks WHERE last_login_at > ? AND last_login_at <= ? ORDER BY last_login_at DESC LIMIT ?"


class KnownNetworks:
    """The networks, as far as this process has read."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._networks: set[str] = set()
        self._added: set[str] = set()

    def reading(self) -> Periodic:
        """Reads again every minute."""
        return Periodic("reading known networks", self._task, every=EVERY)

    def read(self, now: datetime) -> None:
        """Read which networks are known. Raises StoreError."""
        self._added = set()  # what is committed from here on may be missing below
        rows = self._reader.rows(_READ, instant_text(now - KNOWN_FOR), instant_text(now + AHEAD), MOST)
        self._networks = {network for (network,) in rows}

    def add(self, address: Address | None) -> None:
        """Somebody has logged in from an address."""
        if address is not None:
            self._added.add(network_of(address))

    def guest(self, address: Address | None) -> Guest:
        """Who calls from an address."""
        if address is None:
            return Guest(site_of(None), False)
        network = network_of(address)
        return Guest(site_of(address), address is LOCAL or network in self._added or network in self._networks)

    def _task(self, now: datetime, _: threading.Event) -> None:
        self.read(now)
