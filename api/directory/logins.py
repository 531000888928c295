"""Logging in with a directory account."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from ldap3.utils.conv import escape_filter_chars
from sqlalchemy import Row, select

from api.authentication import account_failures
from api.authentication.account_failures import Tries
from api.authentication.logins import LoggedIn, LoginRefused, open_session, record_failure, refuse_address
from api.directory import accounts as directory_accounts
from api.directory import lockout
from api.directory.controllers import Undecided
from api.directory.domains import NOBODY, NOBODY_CONDITION, NOBODYS_PASSWORD, Domain, Domains
from api.directory.entries import WRONG, Entry
from api.directory.lockout import DirectoryCount, Reserve
from api.directory.settings import can_be_password
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
from reconciler.wording.text import printable

_log = logging.getLogger("accord.api")


class _Verified(NamedTuple):
    """What the directory says of the account that logs in."""

    domain: Domain
    entry: Entry
    sids: frozenset[str]
    previous: Entry | None
    """The account that had this name here before, as the directory has it now; None if it is gone, or if there was none."""


class _Refused(NamedTuple):
    """A login that the directory refuses, or that it must not be asked about; of an account, if it has one."""

    reason: str
    domain: Domain | None = None
    entry: Entry | None = None
    password_was_right: bool = False


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
    verified = _verify(domains, reader, name, password, address, policies, now)
    if isinstance(verified, _Verified):
        directory_accounts.resolve_groups(reader, reader.database, domains, verified.domain, now)
    with reader.database.recording() as connection:
        now = max(now, datetime.now(UTC))  # it has waited since
        found = _account(connection, domains, verified, now) if isinstance(verified, _Verified) else verified.reason
        if isinstance(found, directory_accounts.Known):
            account = accounts.require(accounts.find(connection, found.name), found.name)
            refusal = _standing(connection, account, address)
            if refusal is None:
                return open_session(connection, account, None, address, policies, now)
            found = refusal
        name = _fail(connection, domains, verified, found, address, policies, now)
    raise LoginRefused(found, name)


def _verify(
    domains: Domains, reader: Reader, name: str, password: str, address: Address | None, policies: Policies, now: datetime
) -> _Verified | _Refused:
    """What the directory says of the account, or why the login is refused. Raises DirectoryUnavailable.

    Every way to a refusal takes the same steps, so that the time says nothing of the name: a search, a bind, a reading.
    """
    target = domains.target(name)
    domain, condition = target or (domains.all[0], NOBODY_CONDITION)
    entry, count = domain.find(condition)
    if entry.guid == NOBODY:
        password = NOBODYS_PASSWORD  # what was typed is nobody else's business
    with reader.database.reading() as connection:
        tries = account_failures.read_tries(connection, entry.guid, address, now)
    refusal: str | None
    if tries.must_wait(policies, now):
        refusal = "too-many-failures"
        domain.bind_as_nobody()
    elif not can_be_password(password):
        refusal = WRONG
        domain.bind_as_nobody()
    else:
        refusal = _send(domain, reader, entry, count, password, _reserve(tries), now)
    found = domain.read(entry.guid)  # after the bind, which may have locked or unlocked the account
    if found is None or entry.guid == NOBODY:
        return _Refused("unknown-account")
    if refusal is not None:
        return _Refused(refusal, domain, entry)
    refusal = found.entry.refusal(now)
    if refusal is not None:
        return _Refused(refusal, domain, entry, password_was_right=True)
    return _Verified(domain, *found, _previous(domains, reader, domain, found.entry))


def _reserve(tries: Tries) -> Reserve:
    if not tries.anywhere:
        return Reserve.NOBODY
    return Reserve.OWN if tries.known else Reserve.OTHERS


def _send(
    domain: Domain, reader: Reader, entry: Entry, count: DirectoryCount, password: str, reserve: Reserve, now: datetime
) -> str | None:
    """Send an account's password unless that could lock it; why it is refused, if it is. Raises DirectoryUnavailable."""
    if count.policy.threshold == 0:
        return domain.controllers.refuses(entry.dn, password)
    refusal: str | None = "near-lock-out-in-directory"
    with lockout.attempting(reader, entry.guid, count, now, reserve) as attempt:
        if attempt is not None and attempt.earlier.may_be_missing(now) and entry.guid != NOBODY:
            count = domain.lockout(entry.dn)
        if attempt is not None and not lockout.could_lock(count, attempt.earlier, now, reserve):
            try:
                refusal = domain.controllers.refuses(entry.dn, password)
            except Undecided:
                attempt.wrong_for = count.policy.window
                raise
            attempt.right = refusal is None
            if refusal == WRONG and entry.guid != NOBODY:
                attempt.wrong_for = count.policy.window
            return refusal
    domain.bind_as_nobody()
    return refusal


def pretend(domains: Domains, reader: Reader, name: str, now: datetime) -> None:
    """Take the time that a directory takes to refuse a login, without the password. Raises DirectoryUnavailable."""
    domain = domains.all[0]
    domain.find(f"(sAMAccountName={escape_filter_chars(name)})")
    with reader.database.reading() as connection:
        account_failures.read_tries(connection, NOBODY, None, now)
    domain.bind_as_nobody()
    domain.read(NOBODY)


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
    lockout.forget(connection, entry.guid)
    name = domains.account_name(domain, entry)
    other = directory_accounts.find(connection, name=name)
    known = directory_accounts.find(connection, guid=entry.guid)
    if any(each is not None and each.domain != domain.settings.dns_name for each in (other, known)):
        return "account-of-another-domain"  # a domain's controllers can claim any name and GUID
    events = []
    if other is not None and other.guid != entry.guid:
        if verified.previous is None:
            events += directory_accounts.remove(connection, other, "another account of its name is in its place", now)
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
    directory_accounts.record(connection, domain.settings.dns_name, events, now)
    return directory_accounts.find(connection, guid=entry.guid) or "unknown-account"


def _standing(connection: Connection, account: Row[Any], address: Address | None) -> str | None:
    """Why an account that its directory accepts may not log in here."""
    if accounts.is_disabled(account):
        return "account-disabled"
    query = select(tables.teams.c.permitted_ips).join(tables.directory_memberships)
    lists = connection.execute(query.where(tables.directory_memberships.c.user_id == account.id)).scalars()
    teams = [Team("", permitted_ips=tuple(orjson.loads(text))) for text in lists]
    return None if permits(teams, address)[0] else "address-not-permitted"


def _fail(
    connection: Connection,
    domains: Domains,
    verified: _Verified | _Refused,
    refusal: str,
    address: Address | None,
    policies: Policies,
    now: datetime,
) -> str:
    """Record a failure. Returns the account's name, if it has one here."""
    name, source = "", ""
    if verified.domain is not None and verified.entry is not None:
        entry, dns_name = verified.entry, verified.domain.settings.dns_name
        known = directory_accounts.find(connection, guid=entry.guid)
        name = known.name if known else domains.account_name(verified.domain, entry)
        if known is None and (not directory_accounts.is_usable(name) or accounts.find(connection, name) is not None):
            name, source = "", f"{printable(entry.name)}@{dns_name}"
            if refusal in ("name-not-usable", "name-taken"):
                _log.warning("%s has the right password and cannot log in: %s", source, refusal)
        if refusal == WRONG:
            account_failures.record(connection, entry.guid, known and known.user_id, address, now)
        if isinstance(verified, _Refused) and verified.password_was_right:
            lockout.forget(connection, entry.guid)
    record_failure(connection, name, refusal, address, policies, now, source=source)
    return name
