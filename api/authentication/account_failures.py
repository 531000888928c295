"""Failed logins of one account, and how long the next login must wait for them; counted by the network that they come from.

Two promises meet here. No number of addresses guesses on: after `MOST` failures from wherever, tries become rare (NIST SP
800-63B-4, section 3.2.2, permits 100). And no stranger keeps anybody out: a network that fails waits by itself before it has
used up a quarter of these, and networks that the account logged in from are not held up by others at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, case, delete, func, literal, or_, select, update

from api.state.clock import is_from_the_future
from api.state.policies import Policies
from reconciler.access.permitted_ips import Address, network_of
from reconciler.store import tables
from reconciler.store.engine import Connection

MOST = 100
"""How many failures in a row an account may have at networks that it never logged in from, before all of these must wait."""
LONGEST = timedelta(days=1)
"""How long one such network may have to wait at most."""
LONGEST_FOR_ALL = timedelta(hours=1)
"""How long all of them may have to wait at most."""
KNOWN_FOR = timedelta(days=90)
"""How long a network stays known after a login."""
MOST_KNOWN = 50
"""How many networks of an account are known: those of the newest logins. Each login reads them all."""
_UNKNOWN = "unknown"
_columns = tables.account_networks.c


class Failures(NamedTuple):
    """How many in a row, and the last."""

    number: int = 0
    last: datetime | None = None

    def next_login(self, permitted: int, first: timedelta, longest: timedelta) -> datetime | None:
        """When the next login is allowed; None if at once. From the number permitted on, each failure doubles the delay."""
        if self.last is None or self.number < permitted:
            return None
        doubled = 2 ** min(self.number - permitted, 32)  # compare before multiplying: days doubled that often overflow
        return self.last + (first * doubled if doubled <= longest // first else longest)


class Tries(NamedTuple):
    """The earlier logins of an account, as they matter to one network."""

    known: bool
    """Whether it logged in from this network."""
    anywhere: bool
    """Whether it logged in from some network."""
    here: Failures
    strangers: Failures
    """At all networks that are not known, together."""

    def next_login(self, policies: Policies) -> datetime | None:
        """When this network may try again; None if at once. Only the address's own failures hold up a known network."""
        if self.known:
            return None
        alone = self.here.next_login(policies.max_failures, policies.delay, max(LONGEST, policies.max_delay))
        together = self.strangers.next_login(max(MOST, policies.max_failures), policies.delay, LONGEST_FOR_ALL)
        return max((each for each in (alone, together) if each is not None), default=None)

    def must_wait(self, policies: Policies, now: datetime) -> bool:
        """Whether a login from this network is refused for now, whatever the password."""
        after = self.next_login(policies)
        return after is not None and after > now


def key_of(user_id: int, guid: str | None = None) -> str:
    """What an account is counted by: the `objectGUID` of one in a directory, which may not exist here yet, or the ID."""
    return guid or str(user_id)


def network_key(address: Address | None) -> str:
    """What failures are counted by. All unknown callers count as one network."""
    return _UNKNOWN if address is None else network_of(address)


def read_tries(connection: Connection, key: str, address: Address | None, now: datetime) -> Tries:
    """What is known of an account that matters to an address."""
    network = network_key(address)
    known, strangers = _read(connection, key, now)
    return Tries(network in known, bool(known), strangers.get(network, Failures()), _together(strangers.values()))


def overview(connection: Connection, key: str, policies: Policies, now: datetime) -> tuple[int, datetime | None]:
    """How many logins failed in a row, and when the network that has to wait longest may try again, for administrators."""
    known, strangers = _read(connection, key, now)
    together = _together(strangers.values())
    waits = [Tries(False, bool(known), here, together).next_login(policies) for here in strangers.values()]
    longest = max((each for each in waits if each is not None and each > now), default=None)
    return _together((*known.values(), *strangers.values())).number, longest


def _read(connection: Connection, key: str, now: datetime) -> tuple[dict[str, Failures], dict[str, Failures]]:
    """Failures at networks that an account logged in from, and at others. Those from the future make nobody wait for it."""
    known: dict[str, Failures] = {}
    strangers: dict[str, Failures] = {}
    rows = select(_columns.network, _columns.last_login_at, _columns.failures, _columns.last_failed_at)
    for network, logged_in, number, last in connection.execute(rows.where(_columns.account == key)):
        failures = Failures(number, last) if _is_within(LONGEST, last, now) else Failures()
        is_known = _is_within(KNOWN_FOR, logged_in, now) and network != _UNKNOWN
        (known if is_known else strangers)[network] = failures
    return known, strangers


def _is_within(period: timedelta, instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant > now - period and not is_from_the_future(instant, now)


def _together(failures: Iterable[Failures]) -> Failures:
    found = [each for each in failures if each.last is not None]
    return Failures(sum(each.number for each in found), max((each.last for each in found if each.last), default=None))


def record(connection: Connection, key: str, user_id: int | None, address: Address | None, now: datetime) -> Failures:
    """Count a password that was wrong, or may turn out to be; the failures before it, which `take_back` restores.

    The count also goes on from failures from the future: the next one has a true time.
    """
    network = network_key(address)
    mine = (_columns.account == key) & (_columns.network == network)
    row = connection.execute(select(_columns.failures, _columns.last_failed_at).where(mine)).first()
    goes_on = row is not None and row.last_failed_at is not None and row.last_failed_at > now - LONGEST
    before = Failures(*row) if row is not None and goes_on else Failures()
    values = {"failures": before.number + 1, "last_failed_at": now, "user_id": user_id}
    if row is None:
        connection.execute(tables.account_networks.insert().values(account=key, network=network, **values))
    else:
        connection.execute(update(tables.account_networks).where(mine).values(**values))
    return before


def take_back(connection: Connection, key: str, address: Address | None, at: datetime, before: Failures) -> None:
    """Take back a password that was counted at an instant and was not wrong."""
    mine = (_columns.account == key) & (_columns.network == network_key(address)) & (_columns.failures > 0)
    last = case((_columns.last_failed_at == at, literal(before.last, tables.Instant)), else_=_columns.last_failed_at)
    connection.execute(update(tables.account_networks).where(mine).values(failures=_columns.failures - 1, last_failed_at=last))
    never_mattered = (_columns.failures == 0) & _columns.last_login_at.is_(None)
    connection.execute(delete(tables.account_networks).where(_columns.account == key, never_mattered))


def succeed(connection: Connection, key: str, user_id: int, address: Address | None, now: datetime) -> None:
    """Record that a login succeeded: its network is known from now on, and no failure counts any longer."""
    forget(connection, key)
    network = network_key(address)
    mine = (_columns.account == key) & (_columns.network == network)
    if connection.execute(update(tables.account_networks).where(mine).values(last_login_at=now, user_id=user_id)).rowcount == 0:
        values = {"account": key, "network": network, "user_id": user_id, "last_login_at": now}
        connection.execute(tables.account_networks.insert().values(**values))
        connection.execute(_FORGET_OLDEST, {"key": key})


def unlock(connection: Connection, key: str) -> None:
    """Forget an account's failed logins, also those that Accord counts so as not to lock it in its directory."""
    forget(connection, key)
    attempts = tables.directory_attempts
    connection.execute(update(attempts).where(attempts.c.guid == key).values(wrong=0, wrong_until=None))


def forget(connection: Connection, key: str) -> None:
    """Forget an account's failed logins."""
    for statement in _FORGET:
        connection.execute(statement, {"key": key})


_failed = (_columns.account == bindparam("key")) & (_columns.failures > 0)
_FORGET = (
    delete(tables.account_networks).where(_failed, _columns.last_login_at.is_(None)),
    update(tables.account_networks).where(_failed).values(failures=0, last_failed_at=None),
)
_of_mine = (_columns.account == bindparam("key")) & _columns.last_login_at.is_not(None)
_oldest_kept = (
    select(_columns.last_login_at).where(_of_mine).order_by(_columns.last_login_at.desc()).offset(MOST_KNOWN - 1).limit(1)
)
_FORGET_OLDEST = delete(tables.account_networks).where(_of_mine, _columns.last_login_at < _oldest_kept.scalar_subquery())


def forget_ended(connection: Connection, now: datetime) -> None:
    """Delete what no longer matters."""
    is_unknown = or_(_columns.last_login_at.is_(None), _columns.last_login_at <= now - KNOWN_FOR)
    is_forgotten = func.coalesce(_columns.last_failed_at, "") <= now - LONGEST
    connection.execute(delete(tables.account_networks).where(is_unknown, is_forgotten))
