"""What all requests share: the database, the access state, the hasher, the settings. Made once a process."""

from __future__ import annotations

import threading
from datetime import datetime

from api.authentication.logins import LoggedIn, log_in
from api.authentication.passwords import Passwords
from api.authentication.principal import Authenticator
from api.authentication.uses import Uses
from api.certificates.reminders import remind_on
from api.directory.domains import Domains
from api.directory.logins import is_for_directory
from api.directory.logins import log_in as log_in_with_directory
from api.directory.resync import Resync, bound
from api.mail.delivery import Delivery
from api.metrics import Metrics
from api.purge import purge_on
from api.settings import Settings
from api.state.freshness import Freshness
from api.state.reader import Reader
from api.state.snapshots import AccessKeeper
from reconciler.access.permitted_ips import Address
from reconciler.store import schema
from reconciler.store.engine import Database, open_database


class Service:
    """The runtime's parts, put together."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database: Database = open_database(settings.database_url, pooled=True)
        self.reader = Reader(self.database)
        self.keeper = AccessKeeper(self.reader)
        self.passwords = Passwords(settings.hashes, waiting=(settings.threads - settings.hashes) // 2)  # the others decide
        self.domains = Domains(settings.directories)
        self.freshness = Freshness(settings.directories)
        self.uses = Uses(self.database)
        self.metrics = Metrics()
        self._stopping = threading.Event()
        self._filling = threading.Thread(target=self.keeper.fill, args=(self._stopping,), name="access", daemon=True)
        self.resync = Resync(self.domains, self.reader, self.metrics)
        self._resyncing = threading.Thread(target=self.resync.run, args=(self._stopping,), name="directory", daemon=True)
        self._purging = threading.Thread(target=purge_on, args=(self.reader, self._stopping), name="purge", daemon=True)
        reminding = (self.database, self.metrics, self._stopping)
        self._reminding = threading.Thread(target=remind_on, args=reminding, name="reminders", daemon=True)
        self.delivery = Delivery(settings.mail, self.reader, lambda: self.keeper.now().policies, self.passwords, self.metrics)
        self.authenticator = Authenticator(self.reader, self.keeper, self.uses, self.freshness)

    def start(self) -> None:
        """Check the database and read the first access state, so that the first request need not. Raises StoreError."""
        schema.check(self.database)
        self.keeper.now()
        for directory in self.settings.directories:
            self.metrics.directory_bound.labels(directory.dns_name).set(bound(directory).total_seconds())
        self.uses.start()
        self._filling.start()
        self._resyncing.start()
        self._purging.start()
        self.delivery.start()
        self._reminding.start()

    def log_in(self, name: str, password: str, address: Address | None, now: datetime) -> LoggedIn:
        """Open a session for a declared account, or for a directory's. Raises a Problem or StoreError."""
        if is_for_directory(self.domains, self.reader, name):
            with self.passwords.place():  # of as many threads as log in at all, whatever domains there are
                return log_in_with_directory(self.domains, self.reader, self.keeper, name, password, address, now)
        return log_in(self.reader, self.keeper, self.passwords, name, password, address, now)

    def stop(self) -> None:
        """Write what waits."""
        self._stopping.set()
        self.keeper.stop()
        self.delivery.stop()
        for thread in (self._filling, self._resyncing, self._purging, self._reminding):
            if thread.is_alive():
                thread.join(timeout=10)
        self.uses.stop()
        self.domains.close()
        self.reader.close()
        self.database.close()
