"""What all requests share: the database, the access state, the hasher, the settings. Made once a process."""

from __future__ import annotations

import threading

from api.access import AccessKeeper
from api.authentication.passwords import Passwords
from api.authentication.principal import Authenticator
from api.authentication.uses import Uses
from api.metrics import Metrics
from api.reader import Reader
from api.settings import Settings
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

    def stop(self) -> None:
        """Write what waits."""
        self._stopping.set()
        self.keeper.stop()
        if self._filling.is_alive():
            self._filling.join(timeout=10)
        self.uses.stop()
        self.reader.close()
