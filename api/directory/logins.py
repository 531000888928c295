"""Logging in with a directory account."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, select

from api.authentication.logins import LoggedIn, LoginRefused, is_delayed, open_session, record_failure, refuse_address
from api.directory import accounts as directory_accounts
from api.directory import lockout
from api.directory.controllers import Undecided
from api.directory.domains import Domain, Domains, can_be_password
from api.directory.entries import Entry
from api.directory.lockout import DirectoryCount
from api.state import accounts
from api.state.policies import Policies
from api.state.reader import Reader
from api.state.snapshots import AccessKeeper
from reconciler.access.decide import permits
from reconciler.access.permitted_ips import Address
from reconciler.access.resources import Team
from reconciler.store import tables
from reconciler.store.audit import Event
from reconciler.store.engine import Connection


class _Verified(NamedTuple):
    """What the directory says of the account that logs in."""

    domain: Domain
    entry: Entry
    sids: frozenset[str]
    previous: Entry | None
    """The account that had this name here before, as the directory has it now; None if it is gone, or if there was none."""


def is_for_directory(domains: Domains, reader: Reader, name: str) -> bool:
    """Whether a login name is for the directories. The name of a declared account is never tried there."""
    if not domains:
        return False
    if "\\" in name or "@" in name:
        return True
    return reader.row("SELECT id FROM users WHERE name = ? AND source = 'declared'", name.lower()) is None


def log_in(
    domains: Domains, reader: Reader, keeper: AccessKeeper, name: str, password: str, address: Address | None, now: datetime
) -> LoggedIn:
    """Open a session. Raises LoginRefused, TooManyFailures, DirectoryUnavailable or StoreError."""
    policies = keeper.now().policies
    refuse_address(reader, address, now)
    verified = _verify(domains, reader, name, password, now)
    if isinstance(verified, _Verified):
        directory_accounts.resolve_groups(reader, reader.database, domains, verified.domain, now)
    with reader.database.recording() as connection:
        found = _account(connection, domains, verified, now) if isinstance(verified, _Verified) else verified
        if isinstance(found, directory_accounts.Known):
            account = accounts.require(accounts.find(connection, found.name), found.name)
            refusal = _standing(connection, account, address, now)
            if refusal is None:
                return open_session(connection, account, None, address, policies, now)
            found = refusal
        name = _fail(connection, verified, found, address, policies, now)
    raise LoginRefused(found, name)


def _verify(domains: Domains, reader: Reader, name: str, password: str, now: datetime) -> _Verified | str:
    """What the directory says of the account, or why the login is refused. Raises DirectoryUnavailable."""
    target = domains.target(name)
    if target is None or not can_be_password(password):
        return "unknown-account" if target is None else "password-not-sent"
    domain = target.domain
    found_as = domain.find(target.condition)
    if found_as is None:
        return "unknown-account"
    entry, count = found_as
    refusal = _send(domain, reader, entry, count, password, now)
    if refusal is not None:
        return refusal
    found = domain.read(entry.guid)  # after the bind, which may have locked or unlocked the account
    if found is None:
        return "unknown-account"
    refusal = found.entry.refusal(now)
    return refusal or _Verified(domain, *found, _previous(domains, reader, domain, found.entry))


def _send(domain: Domain, reader: Reader, entry: Entry, count: DirectoryCount, password: str, now: datetime) -> str | None:
    """Send an account's password unless that could lock it; why it is refused, if it is. Raises DirectoryUnavailable."""
    if count.policy.threshold == 0:
        return None if domain.controllers.accepts(entry.dn, password) else "wrong-password"
    with lockout.attempting(reader, entry.guid, now) as attempt:
        if attempt.earlier.may_be_missing(now):
            count = domain.lockout(entry.dn)
        if lockout.could_lock(count, attempt.earlier, now):
            return "near-lock-out-in-directory"
        try:
            attempt.right = domain.controllers.accepts(entry.dn, password)
        except Undecided:
            attempt.wrong_for = count.policy.window
            raise
        if not attempt.right:
            attempt.wrong_for = count.policy.window
    return None if attempt.right else "wrong-password"


def _previous(domains: Domains, reader: Reader, domain: Domain, entry: Entry) -> Entry | None:
    row = reader.row(
        "SELECT d.guid FROM directory_accounts d JOIN users u ON u.id = d.user_id WHERE u.name = ? AND d.guid <> ?",
        domains.account_name(domain, entry),
        entry.guid,
    )
    found = domain.read(row[0]) if row is not None else None
    return found and found.entry


def _account(connection: Connection, domains: Domains, verified: _Verified, now: datetime) -> directory_accounts.Known | str:
    """The account that logs in, in sync with its directory, or why the login is refused."""
    domain, entry = verified.domain, verified.entry
    name = domains.account_name(domain, entry)
    other = directory_accounts.find(connection, name=name)
    known = directory_accounts.find(connection, guid=entry.guid)
    if any(each is not None and each.domain != domain.settings.dns_name for each in (other, known)):
        return "account-of-another-domain"  # a domain's controllers can claim any name and GUID
    events = []
    if other is not None and other.guid != entry.guid:
        if verified.previous is None:
            events += directory_accounts.remove(connection, other, "another account of its name is in its place")
        else:
            renamed = domains.account_name(domain, verified.previous)
            teams = directory_accounts.teams_of_account(connection, other.user_id)
            events += directory_accounts.sync(connection, other, renamed, verified.previous, teams, now)
    if known is None:
        provisioned = directory_accounts.provision(connection, name, domain.settings.dns_name, entry, now)
        if isinstance(provisioned, str):
            directory_accounts.record(connection, domain.settings.dns_name, events, now)
            return provisioned
        known = provisioned
        events.append(Event("account.appear", "User", name, {"domain": domain.settings.dns_name, "guid": entry.guid}))
    teams = directory_accounts.teams_of(verified.sids, directory_accounts.read_mapping(connection, domains, domain))
    events += directory_accounts.sync(connection, known, name, entry, teams, now)
    directory_accounts.mark_read(connection, [known.user_id], now)
    lockout.forget(connection, entry.guid)
    directory_accounts.record(connection, domain.settings.dns_name, events, now)
    return directory_accounts.find(connection, guid=entry.guid) or "unknown-account"


def _standing(connection: Connection, account: Row[Any], address: Address | None, now: datetime) -> str | None:
    """Why an account that its directory accepts may not log in here."""
    if accounts.is_disabled(account):
        return "account-disabled"
    if is_delayed(account, address, now):
        return "too-many-failures"
    query = select(tables.teams.c.permitted_ips).join(tables.directory_memberships)
    lists = connection.execute(query.where(tables.directory_memberships.c.user_id == account.id)).scalars()
    teams = [Team("", permitted_ips=tuple(orjson.loads(text))) for text in lists]
    return None if permits(teams, address)[0] else "address-not-permitted"


def _fail(
    connection: Connection, verified: _Verified | str, refusal: str, address: Address | None, policies: Policies, now: datetime
) -> str:
    """Record a failure. Returns the account's name, if it has one here."""
    account = None
    if isinstance(verified, _Verified):
        known = directory_accounts.find(connection, guid=verified.entry.guid)
        account = accounts.find(connection, known.name) if known else None
    record_failure(connection, account, refusal, address, policies, now)
    return "" if account is None else str(account.name)
