"""What all requests share: the database, the access state, the hasher, the settings. Made once a process."""

from __future__ import annotations

import threading
from datetime import datetime

from api.access import AccessKeeper
from api.authentication.logins import LoggedIn, log_in
from api.authentication.passwords import Passwords
from api.authentication.principal import Authenticator
from api.authentication.uses import Uses
from api.directory.domains import Domains
from api.directory.logins import is_for_directory
from api.directory.logins import log_in as log_in_with_directory
from api.metrics import Metrics
from api.reader import Reader
from api.settings import Settings
from reconciler.access.permitted_ips import Address
from reconciler.store import schema
from reconciler.store.engine import Database, open_database


class Service:
    """The runtime's parts, put together."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database: Database = open_database(settings.database_url)
        self.reader = Reader(self.database)
        self.keeper = AccessKeeper(self.reader)
        self.passwords = Passwords(settings.hashes, waiting=(settings.threads - settings.hashes) // 2)  # the others decide
        self.domains = Domains(settings.directories)
        self.uses = Uses(self.database)
        self.metrics = Metrics()
        self._stopping = threading.Event()
        self._filling = threading.Thread(target=self.keeper.fill, args=(self._stopping,), name="access", daemon=True)
        self.authenticator = Authenticator(self.reader, self.keeper, self.uses)

    def start(self) -> None:
        """Check the database and read the first access state, so that the first request need not. Raises StoreError."""
        schema.check(self.database)
        self.keeper.now()
        self.uses.start()
        self._filling.start()

    def log_in(self, name: str, password: str, address: Address | None, now: datetime) -> LoggedIn:
        """Open a session for a declared account, or for a directory's. Raises a Problem or StoreError."""
        if is_for_directory(self.domains, self.reader, name):
            return log_in_with_directory(self.domains, self.reader, self.keeper, name, password, address, now)
        return log_in(self.reader, self.keeper, self.passwords, name, password, address, now)

    def stop(self) -> None:
        """Write what waits."""
        self._stopping.set()
        self.keeper.stop()
        if self._filling.is_alive():
            self._filling.join(timeout=10)
        self.uses.stop()
        self.domains.close()
        self.reader.close()
