"""Logging in. Every failed login gets the same answer after the same time; only the audit log holds the reason.

Failures delay the next login: those of an address here, those of an account in `account_failures`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, select

from api.authentication import account_failures, credentials
from api.authentication.account_failures import Failures, key_of, network_key
from api.authentication.credentials import Minted
from api.authentication.passwords import Passwords
from api.authentication.sessions import make_room
from api.authentication.tokens import Carrier
from api.errors import TooManyFailures, Unauthenticated
from api.state import accounts
from api.state.clock import is_from_the_future
from api.state.policies import Policies
from api.state.reader import Reader
from api.state.snapshots import AccessKeeper, AccessSnapshot
from reconciler.access.decide import permits
from reconciler.access.permitted_ips import Address
from reconciler.store import tables
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection

REFUSED = "the name or the password is wrong, or the account cannot log in now"
ADDRESS_FACTOR = 10
"""Many people may share an address: it may fail this many times as often as an account before it has to wait."""
COUNTED_TOGETHER = frozenset(("unknown-account", "too-many-failures", "near-lock-out-in-directory"))
"""Refusals that anybody can cause as often as they like, so that `refusals` counts them instead of an audit entry each."""
FORGOTTEN = timedelta(hours=1)
"""Failures are forgotten after this long without another one."""
LONGEST_NAME = 256


class LoggedIn(NamedTuple):
    """A new session."""

    name: str
    session: Minted
    password_change_required: bool


class LoginRefused(Unauthenticated):
    """A login that failed. Account and reason are for logs; the answer is always the same."""

    def __init__(self, reason: str, account: str = "") -> None:
        super().__init__(REFUSED)
        self.of(account, reason)


def log_in(
    reader: Reader,
    keeper: AccessKeeper,
    passwords: Passwords,
    name: str,
    password: str,
    address: Address | None,
    now: datetime,
    carrier: Carrier = "header",
) -> LoggedIn:
    """Open a session for a declared account, by its name or an alias. The caller holds a place.

    Whatever somebody types, failures are those of the account. Raises LoginRefused, TooManyFailures, Busy or StoreError.
    """
    opened = _try(reader, keeper, passwords, name, password, address, now, carrier, again=True) or _try(
        reader, keeper, passwords, name, password, address, now, carrier, again=False
    )
    assert opened is not None
    return opened


def _try(
    reader: Reader,
    keeper: AccessKeeper,
    passwords: Passwords,
    login: str,
    password: str,
    address: Address | None,
    now: datetime,
    carrier: Carrier,
    *,
    again: bool,
) -> LoggedIn | None:
    """Open a session; None if the stored hash was replaced while it was verified, and one may try `again`: another login may
    have made a new hash of the same password."""
    name, _ = accounts.named_by_login(reader, login)
    with passwords.turn():
        refuse_address(reader, address, now)  # again: others may have failed while this one waited
        kept = reader.row(_KEPT_HASH, name)
        verified = passwords.verify(kept[0] if kept else None, password, costliest_bcrypt(reader))
        rehashed = passwords.rehash(kept[0], password) if verified and kept else None
    with reader.database.recording() as connection:
        with reader.within(connection):
            verified_for, (name, _) = name, accounts.named_by_login(reader, login)
            current = keeper.now(name)
        policies = current.policies
        now = max(now, datetime.now(UTC))  # it has waited since
        account = accounts.find(connection, name)
        key = "" if account is None else key_of(account.id, account.guid)
        tries = account_failures.read_tries(connection, key, address, now)
        kept = kept if name == verified_for else None  # the alias is another account's since
        if again and verified and account is not None and kept is not None and account.password_hash != kept[0]:
            return None
        refusal = _refusal(account, verified, kept, tries.must_wait(policies, now), current, address, now)
        if account is None or refusal is not None:
            if account is not None and refusal in _GUESSES:
                account_failures.record(connection, key, account.id, address, now)
            record_failure(connection, account and account.name, refusal or "", address, policies, now)
        else:
            return open_session(connection, account, rehashed, address, policies, now, carrier)
    raise LoginRefused(refusal or "unknown-account", "" if account is None else account.name)


def costliest_bcrypt(reader: Reader) -> int:
    """The highest cost of bcrypt's hashes that have not been replaced; 0 if there are none. One look at an index."""
    row = reader.row(_COSTLIEST)
    return int(row[0]) if row is not None and row[0].isdecimal() else 0


_COSTLIEST = "SELECT bcrypt_cost FROM account_states WHERE bcrypt_cost IS NOT NULL ORDER BY bcrypt_cost DESC LIMIT 1"
_GUESSES = frozenset(("wrong-password", "no-password"))
"""Refusals that count as a failure of the account: whoever knows its password does not guess."""
_KEPT_HASH = """SELECT a.password_hash FROM users u JOIN account_states a ON a.user_id = u.id
WHERE u.name = ? AND u.source = 'declared'"""


def _refusal(  # noqa: PLR0911 - one return per reason
    account: Row[Any] | None,
    verified: bool,
    kept: tuple[Any, ...] | None,
    must_wait: bool,
    current: AccessSnapshot,
    address: Address | None,
    now: datetime,
) -> str | None:
    """Why a login is refused, for the audit log; None if it is not."""
    if account is None:
        return "unknown-account"
    if account.source == "directory":
        return "directory-account"
    if not account.password_hash:
        return "no-password"
    if must_wait:
        return "too-many-failures"
    if not verified or kept is None or kept[0] != account.password_hash:
        return "wrong-password"
    expires_at, set_at = account.password_expires_at, account.password_set_at or now
    if expires_at is not None and (expires_at <= now or is_from_the_future(set_at, now)):
        return "password-expired"
    if accounts.is_disabled(account):
        return "account-disabled"
    if not permits(current.teams(account.name, now), address)[0]:
        return "address-not-permitted"
    return None


def open_session(
    connection: Connection,
    account: Row[Any],
    rehashed: str | None,
    address: Address | None,
    policies: Policies,
    now: datetime,
    carrier: Carrier,
) -> LoggedIn:
    """Open a session for an account whose password was right."""
    required = accounts.must_change_password(account, now)
    ended = make_room(connection, account, policies, now)
    session = credentials.mint(
        connection,
        account.id,
        "session",
        now=now,
        expires_at=now + policies.session_lifetime,
        password_change_required=required,
        carrier=carrier,
    )
    values = {"last_login_at": now, "last_login_address": text_of(address)}
    accounts.write(connection, account.id, values if rehashed is None else values | {"password_hash": rehashed})
    account_failures.succeed(connection, key_of(account.id, account.guid), account.id, address, now)
    detail = {"address": text_of(address), "session": session.accessor, "passwordChangeRequired": required}
    append(connection, [*ended, Event("login.succeed", "User", account.name, detail)], at=now, actor=account.name)
    return LoggedIn(account.name, session, required)


def record_failure(
    connection: Connection,
    name: str | None,
    refusal: str,
    address: Address | None,
    policies: Policies,
    now: datetime,
    *,
    source: str = "",
) -> None:
    """Count a failed login of an address, and record whose it was and why it failed.

    `source`: what the directory calls an account whose name cannot be used here.
    """
    # a name without an account is not recorded: it may be a password typed into the wrong field
    _record_address(connection, address, policies, now)
    if refusal in COUNTED_TOGETHER:
        return
    detail = {"address": text_of(address), "reason": refusal} | ({"nameInDirectory": source} if source else {})
    append(connection, [Event("login.fail", "User" if name else "", name or "", detail)], at=now, actor=name or "")


def _record_address(connection: Connection, address: Address | None, policies: Policies, now: datetime) -> None:
    forget_failures(connection, now)
    columns = tables.login_failures.c
    mine = columns.address == network_key(address)
    failures = (connection.execute(select(columns.failures).where(mine)).scalar() or 0) + 1
    until = Failures(failures, now).next_login(ADDRESS_FACTOR * policies.max_failures, policies.delay, policies.max_delay) or now
    values = {"failures": failures, "last_failed_at": now, "next_login_at": until}
    if failures == 1:
        connection.execute(tables.login_failures.insert().values(address=network_key(address), **values))
    else:
        connection.execute(tables.login_failures.update().where(mine).values(**values))


def forget_failures(connection: Connection, now: datetime) -> None:
    """Delete the failures of addresses that are forgotten and no longer make anybody wait."""
    columns = tables.login_failures.c
    connection.execute(
        delete(tables.login_failures).where(columns.last_failed_at <= now - FORGOTTEN, columns.next_login_at <= now)
    )


def refuse_address(reader: Reader, address: Address | None, now: datetime) -> None:
    """Raise TooManyFailures if logins from an address have to wait. Failures from the future make nobody wait for it."""
    row = reader.row("SELECT last_failed_at, next_login_at FROM login_failures WHERE address = ?", network_key(address))
    if row is None:
        return
    last, following = map(tables.read_instant, row)
    wait = 0.0 if is_from_the_future(last, now) else (following - now).total_seconds()
    if wait > 0:
        raise TooManyFailures("too many logins from this address have failed; wait before the next one", math.ceil(wait))


def text_of(address: Address | None) -> str:
    """An address as logs show it."""
    return "unknown" if address is None else address.text
