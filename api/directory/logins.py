"""Logging in with a directory account."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from ldap3.utils.conv import escape_filter_chars
from sqlalchemy import Row, select

from api.authentication import account_failures
from api.authentication.logins import LoggedIn, LoginRefused, open_session, record_failure, refuse_address
from api.authentication.tokens import Carrier
from api.directory import accounts as directory_accounts
from api.directory import lockout
from api.directory.controllers import Undecided
from api.directory.domains import NOBODY_CONDITION, NOBODYS_PASSWORD, Domain, Domains
from api.directory.entries import WRONG, Entry
from api.directory.lockout import NOBODY, Attempt, DirectoryCount
from api.directory.settings import can_be_password
from api.errors import Busy
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
    asked_at: datetime
    """Before the directory was asked for any of this."""
    previous: _Previous | None
    """The account that had this name here before; None if there was none."""


class _Previous(NamedTuple):
    guid: str
    entry: Entry | None
    """As the directory has it now; None if it is gone."""


class _Refused(NamedTuple):
    """A login that the directory refuses, or that it must not be asked about; of an account, if it has one."""

    reason: str
    domain: Domain | None = None
    entry: Entry | None = None


def is_for_directory(domains: Domains, reader: Reader, name: str) -> bool:
    """Whether a login name is for the directories. The name or alias of a declared account is never tried there.

    A name with the domain that it belongs to is that domain's, even if a declared account has it as an alias: that would keep its
    owner in the directory out.
    """
    if not domains:
        return False
    return domains.serve(name) or not accounts.named_by_login(reader, name)[1]


def log_in(
    domains: Domains,
    reader: Reader,
    keeper: AccessKeeper,
    name: str,
    password: str,
    address: Address | None,
    now: datetime,
    carrier: Carrier = "header",
) -> LoggedIn:
    """Open a session. Raises LoginRefused, TooManyFailures, DirectoryUnavailable or StoreError."""
    refuse_address(reader, address, now)
    target = domains.target(name)
    domain, condition = target or (domains.all[0], NOBODY_CONDITION)
    entry, count = domain.find(condition)
    with lockout.attempting(reader, entry.guid, count, address, keeper.now().policies, now) as attempt:
        verified = _verify(domains, reader, domain, entry, count, attempt, password)
        if isinstance(verified, _Verified):
            directory_accounts.resolve_groups(reader, reader.database, domains, domain, now)
        with reader.database.recording() as connection:
            with reader.within(connection):
                policies = keeper.now().policies
            now = max(now, datetime.now(UTC))  # it has waited since
            attempt.end(connection)
            found = _account(connection, domains, verified, now) if isinstance(verified, _Verified) else verified.reason
            if isinstance(found, directory_accounts.Known):
                account = accounts.require(accounts.find(connection, found.name), found.name)
                refusal = _standing(connection, account, address)
                if refusal is None:
                    return open_session(connection, account, None, address, policies, now, carrier)
                found = refusal
            name = _fail(connection, domains, verified, found, address, policies, now)
    raise LoginRefused(found, name)


def _verify(
    domains: Domains, reader: Reader, domain: Domain, entry: Entry, count: DirectoryCount, attempt: Attempt, password: str
) -> _Verified | _Refused:
    """What the directory says of the account, or why the login is refused. Raises DirectoryUnavailable.

    Every way to a refusal takes the same steps, so that the time says nothing of the name: a search, a bind, a reading.
    """
    if entry.guid == NOBODY:
        password = NOBODYS_PASSWORD  # what was typed is nobody else's business
    refusal = _send(domain, entry, count, attempt, password)
    asked_at = datetime.now(UTC)
    found = domain.read(entry.guid)  # after the bind, which may have locked or unlocked the account
    if found is None or entry.guid == NOBODY:
        return _Refused("unknown-account")
    refusal = refusal or found.entry.refusal(asked_at)
    if refusal is not None:
        return _Refused(refusal, domain, entry)
    return _Verified(domain, *found, asked_at, _previous(domains, reader, domain, found.entry))


def _send(domain: Domain, entry: Entry, count: DirectoryCount, attempt: Attempt, password: str) -> str | None:
    """Send an account's password if that is permitted; why it is refused, if it is. Raises DirectoryUnavailable."""
    refusal = attempt.refusal
    if refusal is None and not can_be_password(password):
        refusal = WRONG
    elif refusal is None and count.policy.threshold > 0 and attempt.earlier.may_be_missing(attempt.at) and entry.guid != NOBODY:
        count = domain.lockout(entry.dn)
        if lockout.could_lock(count, attempt.earlier, attempt.at, attempt.reserve):
            refusal = lockout.NEAR_LOCK_OUT
    if refusal is not None:
        domain.bind_as_nobody()
        return refusal
    try:
        refusal = domain.controllers.refuses(entry.dn, password)
    except Undecided:
        attempt.wrong_for = count.policy.window
        raise
    attempt.right = refusal is None
    if refusal == WRONG and entry.guid != NOBODY:
        attempt.guessed, attempt.wrong_for = True, count.policy.window
    return refusal


def pretend(domains: Domains, reader: Reader, name: str, now: datetime) -> None:
    """Take the time that a directory takes to refuse a login, without the password. Raises DirectoryUnavailable."""
    domain = domains.all[0]
    domain.find(f"(sAMAccountName={escape_filter_chars(name)})")
    with reader.database.reading() as connection:
        account_failures.read_tries(connection, NOBODY, None, now)
    domain.bind_as_nobody()
    domain.read(NOBODY)


def _previous(domains: Domains, reader: Reader, domain: Domain, entry: Entry) -> _Previous | None:
    row = reader.row(
        "SELECT d.guid FROM directory_accounts d JOIN users u ON u.id = d.user_id WHERE u.name = ? AND d.guid <> ?",
        domains.account_name(domain, entry),
        entry.guid,
    )
    if row is None:
        return None
    found = domain.read(row[0])
    return _Previous(row[0], found and found.entry)


def _account(connection: Connection, domains: Domains, verified: _Verified, now: datetime) -> directory_accounts.Known | str:
    """The account that logs in, in sync with its directory, or why the login is refused.

    What was read of it since stands: the directory may have said something else by then. Raises Busy if somebody else with this
    name logged in since.
    """
    domain, entry = verified.domain, verified.entry
    name = domains.account_name(domain, entry)
    other = directory_accounts.find(connection, name=name)
    known = directory_accounts.find(connection, guid=entry.guid)
    if any(each is not None and each.domain != domain.settings.dns_name for each in (other, known)):
        return "account-of-another-domain"  # a domain's controllers can claim any name and GUID
    events = []
    if other is not None and other.guid != entry.guid:
        if verified.previous is None or verified.previous.guid != other.guid or other.was_read_since(verified.asked_at, now):
            raise Busy("the directory's accounts of this name changed meanwhile; try again in a second")
        if verified.previous.entry is None:
            events += directory_accounts.remove(connection, other, "another account of its name is in its place", now)
        else:
            renamed = domains.account_name(domain, verified.previous.entry)
            teams = directory_accounts.teams_of_account(connection, other.user_id)
            events += directory_accounts.sync(connection, other, renamed, verified.previous.entry, teams, now)
    if known is None:
        provisioned = directory_accounts.provision(connection, name, domain.settings.dns_name, entry, verified.asked_at)
        if isinstance(provisioned, str):
            directory_accounts.record(connection, domain.settings.dns_name, events, now)
            return provisioned
        known = provisioned
        events.append(Event("account.appear", "User", name, {"domain": domain.settings.dns_name, "guid": entry.guid}))
    if not known.was_read_since(verified.asked_at, now):
        teams = directory_accounts.teams_of(verified.sids, directory_accounts.read_mapping(connection, domains, domain))
        events += directory_accounts.sync(connection, known, name, entry, teams, now)
        directory_accounts.mark_read(connection, [known.user_id], verified.asked_at)
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
        if known is None and (not directory_accounts.is_usable(name) or accounts.is_taken(connection, name)):
            name, source = "", f"{printable(entry.name)}@{dns_name}"
            if refusal in ("name-not-usable", "name-taken"):
                _log.warning("%s has the right password and cannot log in: %s", source, refusal)
    record_failure(connection, name, refusal, address, policies, now, source=source)
    return name
