"""Re-reading directory accounts while they have sessions or tokens, so that what ends in the directory ends here.

Proof before punishment: only a complete answer without errors changes anything; an account is gone only if two readings lack it;
and a cycle that would disable suspiciously many accounts disables none, and logs it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from api.background import Periodic
from api.directory import accounts
from api.directory.accounts import Known
from api.directory.controllers import DirectoryUnavailable
from api.directory.domains import Domain, Domains
from api.directory.entries import Account
from api.directory.settings import DirectorySettings
from api.metrics import Metrics
from api.state.clock import is_from_the_future
from api.state.reader import Reader
from reconciler.store.audit import Event
from reconciler.store.tables import instant_text, read_instant

_log = logging.getLogger("accord.api")
_T = TypeVar("_T")
_PAGE = 25
"""Accounts read at a time. Their groups are read one by one, all within the time limit of a controller."""
_WRITTEN = 200
_ALWAYS = 5
"""A cycle may always disable this many accounts, whatever share that is."""


def bound(settings: DirectorySettings) -> timedelta:
    """The time within which what ends in a domain ends here, while its controllers answer.

    A cycle begins every third of `resync` and re-reads anything older than that. So a reading is at most two thirds of `resync`
    old, and an account that is gone needs one more cycle.
    """
    return settings.resync + timedelta(seconds=settings.total_time)


class Reading(NamedTuple):
    """What the directory said of an account that has access here; None if it has no account with this GUID."""

    known: Known
    account: Account | None
    asked_at: datetime
    """Before the directory was asked."""

    def switches_off(self, now: datetime) -> str | None:
        """Why this reading would disable the account; None if it would not."""
        if self.known.is_off:
            return None
        if self.account is None:
            return "gone-from-directory" if self.known.missing_since is not None else None
        return self.account.entry.ended(now)


def is_too_many(readings: Sequence[Reading], share: float, now: datetime) -> bool:
    """Whether a cycle would disable more accounts than a directory plausibly loses in that time; pure."""
    off = sum(reading.switches_off(now) is not None for reading in readings)
    return off > max(_ALWAYS, len(readings) * share / 100)


class Resync:
    """Reads the live accounts of all domains again and again."""

    def __init__(self, domains: Domains, reader: Reader, metrics: Metrics) -> None:
        self._domains = domains
        self._reader = reader
        self._metrics = metrics

    def tasks(self) -> list[Periodic]:
        """The cycles of each domain, each in a thread of its own."""
        return [
            Periodic(
                f"re-reading accounts of {domain.settings.dns_name}",
                partial(self._task, domain),
                every=domain.settings.resync.total_seconds() / 3,
            )
            for domain in self._domains.all
        ]

    def _task(self, domain: Domain, now: datetime, _: threading.Event) -> None:
        try:
            self.cycle(domain, now)
        except DirectoryUnavailable as error:
            _log.warning("accounts of %s were not re-read: %s", domain.settings.dns_name, error)

    def cycle(self, domain: Domain, now: datetime) -> None:
        """Read all live accounts of a domain once. Changes nothing if it raises DirectoryUnavailable or StoreError."""
        live = self._live(domain, now)
        self._show_age(domain, live, now)
        due = [
            each for each in live if now - each.read_at >= domain.settings.resync / 3 or is_from_the_future(each.read_at, now)
        ]  # not those that another replica has just read
        if not due:
            return
        self._resolve_groups(domain, now)
        readings = [reading for page in _pages(due, _PAGE) for reading in _read(domain, page)]
        stopped = is_too_many(readings, domain.settings.switch_off_share, now)
        self._metrics.directory_stopped.labels(domain.settings.dns_name).set(stopped)
        if stopped:
            _log.error(
                "%s would disable too many accounts at once, so none was disabled; examine the directory",
                domain.settings.dns_name,
            )
        for page in _pages(readings, _WRITTEN):
            self._sync(domain, [each for each in page if not (stopped and each.switches_off(now))], now)
        self._show_age(domain, self._live(domain, now), now)

    def _resolve_groups(self, domain: Domain, now: datetime) -> None:
        try:
            unresolved = accounts.resolve_groups(self._reader, self._reader.database, self._domains, domain, now)
        except DirectoryUnavailable as error:  # perhaps logins take all places; re-reading accounts matters more
            _log.warning("groups of %s were not resolved: %s", domain.settings.dns_name, error)
            return
        if unresolved:
            _log.warning("teams name groups that do not exist: %s", ", ".join(unresolved))

    def _live(self, domain: Domain, now: datetime) -> list[Known]:
        return [
            Known(user_id, name, guid, of, missing and read_instant(missing), ("", None, ""), bool(off), read_instant(read))
            for user_id, name, guid, of, read, missing, off in accounts.live(self._reader, instant_text(now))
            if of == domain.settings.dns_name
        ]

    def _show_age(self, domain: Domain, live: Sequence[Known], now: datetime) -> None:
        oldest = min((each.read_at for each in live if not each.is_off), default=now)
        self._metrics.directory_age.labels(domain.settings.dns_name).set(max(0.0, (now - oldest).total_seconds()))

    def _sync(self, domain: Domain, readings: Sequence[Reading], now: datetime) -> None:
        with self._reader.database.recording() as connection:
            events: list[Event] = []
            read: dict[datetime, list[int]] = {}
            mapping = accounts.read_mapping(connection, self._domains, domain)
            for before, account, asked_at in readings:
                known = accounts.find(connection, guid=before.guid)
                if known is None or known.was_read_since(asked_at, datetime.now(UTC)):
                    continue  # deleted meanwhile, or read again
                if account is None:
                    events += accounts.mark_missing(connection, known, asked_at, seen_missing=before.missing_since is not None)
                else:
                    name, teams = self._domains.account_name(domain, account.entry), accounts.teams_of(account.sids, mapping)
                    events += accounts.sync(connection, known, name, account.entry, teams, now)
                    read.setdefault(asked_at, []).append(known.user_id)
            for asked_at, user_ids in read.items():
                accounts.mark_read(connection, user_ids, asked_at)
            accounts.record(connection, domain.settings.dns_name, events, now)


def _read(domain: Domain, page: Sequence[Known]) -> Iterable[Reading]:
    asked_at = datetime.now(UTC)
    found = domain.read_all([known.guid for known in page])
    for known in page:
        account = found.get(known.guid)
        if account is not None or known.guid not in found:  # an incomplete account is neither read nor gone
            yield Reading(known, account, asked_at)


def _pages(items: Sequence[_T], size: int) -> Iterable[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
