"""The composition root: the parts of one process, put together once, started and stopped."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from api import purge, token_reminders
from api.authentication.known_networks import KnownNetworks
from api.authentication.logins import COUNTED_TOGETHER, LoggedIn, LoginRefused, costliest_bcrypt, log_in, text_of
from api.authentication.owner_mails import MintedTokenMails, SetPasswordMails
from api.authentication.password_mails import PasswordMails
from api.authentication.passwords import Passwords
from api.authentication.places import Room
from api.authentication.principal import Authenticator
from api.authentication.refusals import LOGIN, Refusals
from api.authentication.tokens import Carrier
from api.authentication.uses import Uses
from api.background import Periodic
from api.certificates import reminders
from api.certificates.notices import Notices
from api.certificates.register import Register
from api.directory.controllers import DirectoryUnavailable
from api.directory.domains import Domains
from api.directory.logins import is_for_directory, pretend
from api.directory.logins import log_in as log_in_with_directory
from api.directory.resync import Resync, bound
from api.mail.delivery import Delivery
from api.metrics import Metrics
from api.outbox.kinds import MessageKind
from api.reads.access_map import AccessMaps
from api.refusal_log import WINDOW, RefusalLog
from api.settings import Settings, open_leaked
from api.state.clock import Clock
from api.state.drift import DriftWatch
from api.state.freshness import Freshness
from api.state.reader import Reader
from api.state.snapshots import AccessKeeper
from api.state.watch import Watch
from api.token_reminders import TokenNotices
from reconciler.access.mails import CERTIFICATE_MAILS, PASSWORD_MAILS, PASSWORD_SET, TOKEN_EXPIRING, TOKEN_MINTED
from reconciler.access.permitted_ips import Address
from reconciler.store import schema
from reconciler.store.engine import Database, open_database

REFUSAL = 0.2
"""Seconds that a refused login takes at least; half as many without directories, which are a search, a bind and a reading more.
What little still differs is less than that. The thread is held meanwhile: it is also what a flood of wrong passwords costs."""
_PATIENCE = 10.0
"""Seconds for each part to finish when stopping."""


class Service:
    """The parts that requests share."""

    def __init__(self, settings: Settings, *, places: int | None = None) -> None:
        """`places`: how many logins there may be at a time, if the server has threads for them."""
        self.settings = settings
        self.metrics = Metrics()
        self.database: Database = open_database(settings.database_url, pooled=True)
        self.reader = Reader(self.database)
        self.keeper = AccessKeeper(self.reader)
        self.clock = Clock(self.reader, settings.longest_pause)
        waiting = waiting_logins(settings.threads, settings.hashes) if places is None else places
        self.passwords = Passwords(settings.hashes, waiting=waiting, leaked=open_leaked(settings))
        self.known = KnownNetworks(self.reader)
        self.unknown = Room(max(1, settings.threads // 2))
        """Places for callers who are not known before the body of their request has arrived."""
        self.domains = Domains(settings.directories)
        self.drift = DriftWatch(self.reader)
        self.freshness = Freshness({each.dns_name: each.resync + each.grace for each in settings.directories})
        self.uses = Uses(self.database)
        self.refusals = Refusals(self.database)
        self.refusal_log = RefusalLog()
        self.authenticator = Authenticator(self.reader, self.keeper, self.uses, self.freshness)
        self.maps = AccessMaps(self.reader)
        self.register = Register(self.reader, self.freshness)
        self.resync = Resync(self.domains, self.reader, self.metrics)
        self.message_kinds: dict[str, MessageKind] = {
            **dict.fromkeys(PASSWORD_MAILS, PasswordMails(lambda: self.keeper.now().policies, self.passwords)),
            **dict.fromkeys(CERTIFICATE_MAILS, Notices()),
            TOKEN_EXPIRING: TokenNotices(),
            TOKEN_MINTED: MintedTokenMails(),
            PASSWORD_SET: SetPasswordMails(),
        }
        self.deliveries = [
            Delivery(settings.mail, self.reader, self.message_kinds, self.metrics, only_passwords=only) for only in (False, True)
        ]
        self._stopping = threading.Event()
        self._filling = threading.Thread(target=self.keeper.fill, args=(self._stopping,), name="access", daemon=True)
        self._watch = Watch(self.database)
        self._background: list[Periodic] = [
            *self._watch.tasks(),
            *(each.unless(self._doubt) for each in self.resync.tasks()),
            self.known.reading(),
            Periodic("telling what the log left out", lambda *_: self.refusal_log.tell(), every=WINDOW),
            purge.purging(self.reader).unless(self._doubt),
            reminders.reminding(self.database, self.metrics).unless(self._doubt),
            token_reminders.reminding(self.database, self.metrics).unless(self._doubt),
        ]

    def start(self) -> None:
        """Check the database and read the first access state, so that the first request need not. Raises StoreError."""
        schema.check(self.database)
        self.keeper.now()
        self.known.read(datetime.now(UTC))
        for directory in self.settings.directories:
            self.metrics.directory_bound.labels(directory.dns_name).set(bound(directory).total_seconds())
        self._filling.start()
        self.uses.start()
        self.refusals.start()
        for sender in self.deliveries:
            sender.start()
        for each in self._background:
            each.start()

    def log_in(self, name: str, password: str, address: Address | None, now: datetime, carrier: Carrier = "header") -> LoggedIn:
        """Open a session, which `carrier` brings, for a declared account or a directory's. Raises a Problem or StoreError."""
        with self.passwords.place(self.known.guest(address)):  # until the end: waiting to write to the database holds a thread
            found = self._log_in(name, password, address, now, carrier)
        self.known.add(address)
        return found

    def _log_in(self, name: str, password: str, address: Address | None, now: datetime, carrier: Carrier) -> LoggedIn:
        """A refused login takes the steps and the time of both kinds, and has their answer, so that it does not tell which of
        them has a name, nor whether any has."""
        earliest = time.monotonic() + (REFUSAL if self.domains else REFUSAL / 4)
        is_directorys = is_for_directory(self.domains, self.reader, name)
        try:
            if is_directorys:
                return log_in_with_directory(self.domains, self.reader, self.keeper, name, password, address, now, carrier)
            return log_in(self.reader, self.keeper, self.passwords, name, password, address, now, carrier)
        except (LoginRefused, DirectoryUnavailable) as refused:
            if refused.why in COUNTED_TOGETHER:
                self.refusals.count(LOGIN, refused.actor, refused.why, text_of(address), now)
            try:
                if is_directorys:
                    self.passwords.pretend(password, costliest_bcrypt(self.reader))
                elif self.domains:
                    pretend(self.domains, self.reader, name, now)  # if no controller answers, nobody hears more than that
            finally:
                time.sleep(max(0.0, earliest - time.monotonic()))
            raise

    def _doubt(self, now: datetime) -> str | None:
        why = self.clock.doubt(now)
        self.metrics.clock_doubted.set(why is not None)
        return why

    def stop(self) -> None:
        """Write what waits, and end."""
        self._stopping.set()
        for each in self._background:
            each.stop()
        self.keeper.stop()
        for sender in self.deliveries:
            sender.stop_soon()
        for sender in self.deliveries:
            sender.stop()
        for each in self._background:
            each.join(_PATIENCE)
        if self._filling.is_alive():
            self._filling.join(_PATIENCE)
        self.maps.stop(_PATIENCE)
        self.uses.stop()
        self.refusals.stop()
        self.domains.close()
        self._watch.close()
        self.reader.close()
        self.database.close()


def waiting_logins(threads: int, hashes: int) -> int:
    """How many logins of a process may wait for those that hash: a quarter of the threads, at least, is left to decide."""
    return max(0, threads - max(1, threads // 4) - hashes)
