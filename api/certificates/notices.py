"""Mails about certificates: put into the outbox, withdrawn, and gathered when they are delivered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Row, select

from api.certificates.recipients import Person, folded, recipients, unwanted
from api.certificates.search import verification
from api.outbox import queue
from api.outbox.claims import Claimed
from api.outbox.kinds import Effect, Material, Unsendable, user_variables
from api.outbox.messages import Ending, Outcome
from api.outbox.queue import NewMessage
from api.state.accounts import DISABLED, WITH_STATES, members
from api.state.policies import MailPolicy, read_policies
from reconciler.mail.addresses import mailbox
from reconciler.store import tables
from reconciler.store.engine import Connection

_users, _states, _teams = tables.users.c, tables.account_states.c, tables.teams.c
_issuers, _certificates = tables.issuers.c, tables.certificates.c

_MOST_TOLD = 20
"""Members of a team who are told in place of one at a time."""


class Administrators:
    """The administrators who are told in place of an owner, by team. Each team is read once. Raises StoreError.

    Somebody without an address that mail can be sent to is told nothing, so others are.
    """

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._members = members(now)
        self._found: dict[int | None, list[Person]] = {}

    def of(self, team_id: int | None) -> list[Person]:
        """The enabled administrators in a team; if there are none, all enabled administrators."""
        if team_id not in self._found:
            self._found[team_id] = (self._read(team_id) if team_id is not None else []) or self._read(None)
        return self._found[team_id]

    def _read(self, team_id: int | None) -> list[Person]:
        in_team = self._members.c
        administrators = select(in_team.user_id).where(in_team.team_id.in_(select(_teams.id).where(_teams.administrator)))
        is_wanted: ColumnElement[bool] = _users.id.in_(administrators)
        if team_id is not None:
            is_wanted &= _users.id.in_(select(in_team.user_id).where(in_team.team_id == team_id))
        return _people(self._connection, is_wanted)


def _people(connection: Connection, is_wanted: ColumnElement[bool], limit: int | None = None) -> list[Person]:
    """The enabled accounts among those wanted that mail can be sent to."""
    wanted = is_wanted & ~DISABLED & (_users.email != "")
    query = select(_users.id, _users.email).select_from(WITH_STATES).where(wanted).order_by(_users.id).limit(limit)
    return [Person(number, address) for number, email in connection.execute(query) if (address := mailbox(email))]


def mail_policy(connection: Connection) -> MailPolicy:
    """What the declared Settings say about mails now."""
    stored = connection.execute(select(tables.settings.c.policies).where(tables.settings.c.name == "default")).scalar()
    return read_policies(stored).mail


class Concerned(NamedTuple):
    """What a certificate says about its recipients."""

    id: int
    team_id: int | None
    extra_addresses: str
    """JSON."""
    owner_id: int | None
    email: str | None
    disabled: bool

    @property
    def owner(self) -> Person | None:
        """The owner, if the account still exists and is enabled; without an address if mail cannot be sent to what it has."""
        return Person(self.owner_id, mailbox(self.email) or "") if self.owner_id is not None and not self.disabled else None


CONCERNED = (
    _certificates.id,
    _certificates.team_id,
    _certificates.extra_addresses,
    _users.id.label("owner_id"),
    _users.email,
    DISABLED.label("disabled"),
)
"""The columns of a `Concerned`, out of `JOINED`."""
JOINED = (
    tables.certificates.outerjoin(tables.teams, _teams.id == _certificates.team_id)
    .outerjoin(tables.users, _users.id == _certificates.owner_id)
    .outerjoin(tables.account_states, _states.user_id == _users.id)
)


def put(
    connection: Connection,
    template: str,
    concerned: Iterable[tuple[Concerned, Mapping[str, Any]]],
    always: Iterable[str],
    now: datetime,
) -> list[NewMessage]:
    """Put messages about certificates, each with its detail, into the outbox; returns them."""
    administrators, always = Administrators(connection, now), tuple(always)
    messages: list[NewMessage] = []
    for certificate, detail in concerned:
        owner = certificate.owner
        in_place = () if owner is not None and owner.email else administrators.of(certificate.team_id)
        told = recipients(owner, in_place, orjson.loads(certificate.extra_addresses), always)
        text = orjson.dumps(detail).decode()
        messages += [NewMessage(template, each.user_id, certificate.id, each.address, text) for each in told]
    queue.put(connection, messages, now)
    return messages


def withdraw(connection: Connection, certificate_id: int, before: Iterable[str], after: Iterable[str], now: datetime) -> None:
    """End unsent messages to addresses that a certificate no longer has: one of them may have been a mistake."""
    gone = set(map(folded, before)) - set(map(folded, after))
    why = "the certificate no longer has this address"
    queue.withdraw(connection, certificate_id, lambda address: folded(address) in gone, why, now)


class Notices:
    """Mails about certificates, for the sender."""

    def gather(self, connection: Connection, message: Claimed, now: datetime) -> Material:
        """What a message says about its certificate, and to whom. Raises Unsendable or StoreError."""
        found = connection.execute(_CERTIFICATE.where(_certificates.id == message.certificate_id)).first()
        if found is None:
            raise Unsendable(Ending("the certificate is no longer registered", Outcome.UNWANTED))
        why = unwanted(message.template, found, mail_policy(connection))
        if why is not None:
            raise Unsendable(Ending(why, Outcome.UNWANTED))
        address, name = message.recipient, ""
        if address is None:
            account = _account(connection, message.user_id)
            if account is None or mailbox(account.email) is None:
                gone = Ending("the account is gone or disabled", Outcome.UNWANTED)
                raise Unsendable(gone, tell_others=partial(tell_administrators, message=message))
            address, name = account.email, account.full_name or account.name
        hosts = frozenset(orjson.loads(found.link_hosts or "[]"))
        return Material(address, name, _variables(found, now), hosts)

    def tell_others(self, message: Claimed) -> Effect:
        """The other members of the team are told, or else administrators."""
        return partial(tell_team, message=message)


def tell_team(connection: Connection, now: datetime, *, message: Claimed) -> None:
    """Tell the team's other members in place of somebody whom the mail server refuses, or else administrators.

    Nobody is told twice, and nobody at all if only an additional address is refused and others are reached.
    """
    found = connection.execute(select(*CONCERNED).select_from(JOINED).where(_certificates.id == message.certificate_id)).first()
    like = NewMessage(message.template, None, message.certificate_id, message.recipient, message.detail)
    if found is None or (message.recipient is not None and queue.reaches_anybody(connection, like)):
        return
    certificate = Concerned(*found)
    in_team = members(now).c
    team = select(in_team.user_id).where(in_team.team_id == certificate.team_id)
    told = queue.addressees(connection, like)
    accounts, addresses = {number for number, _ in told}, {folded(address) for _, address in told if address is not None}
    for people in (_people(connection, _users.id.in_(team), _MOST_TOLD), Administrators(connection, now).of(certificate.team_id)):
        others = [each for each in people if each.user_id not in accounts and folded(each.email) not in addresses]
        if others:
            queue.put(connection, [like._replace(user_id=each.user_id, recipient=None) for each in others], now)
            return


def tell_administrators(connection: Connection, now: datetime, *, message: Claimed) -> None:
    """Tell administrators in place of an account that is gone or disabled. Nobody is told twice."""
    found = connection.execute(select(*CONCERNED).select_from(JOINED).where(_certificates.id == message.certificate_id)).first()
    if found is None:
        return
    certificate = Concerned(*found)
    like = NewMessage(message.template, None, certificate.id, None, message.detail)
    told = queue.addressees(connection, like)
    accounts, addresses = {number for number, _ in told}, {folded(address) for _, address in told if address is not None}
    in_place = Administrators(connection, now).of(certificate.team_id)
    people = recipients(certificate.owner, [each for each in in_place if folded(each.email) not in addresses], (), ())
    messages = [like._replace(user_id=each.user_id) for each in people if each.user_id not in accounts]
    queue.put(connection, messages, now)


def _account(connection: Connection, user_id: int | None) -> Row[str, str | None, str] | None:
    """An account that can be told: it is there, enabled, and has an address."""
    reached = (_users.id == user_id) & ~DISABLED & (_users.email != "")
    query = select(_users.name, _users.full_name, _users.email).select_from(WITH_STATES).where(reached)
    return connection.execute(query).first()


_CERTIFICATE = select(
    tables.certificates,
    _teams.suppress_issued_emails,
    _teams.suppress_reminder_emails,
    _issuers.display_name,
    _issuers.name.label("issuer_now"),
    _issuers.link_hosts,
    _issuers.ca_certificates,
    _teams.name.label("team_now"),
    _users.name.label("owner_now"),
    _users.full_name,
    _users.email,
).select_from(
    tables.certificates.outerjoin(tables.issuers, _issuers.id == _certificates.issuer_id)
    .outerjoin(tables.teams, _teams.id == _certificates.team_id)
    .outerjoin(tables.users, _users.id == _certificates.owner_id)
)


def _variables(found: Row[Any], now: datetime) -> dict[str, Any]:
    names = tuple(orjson.loads(found.names))
    return {
        "user": user_variables(found.owner_now or found.owner_name, found.full_name, found.email),
        "certificate": {
            "subject": found.subject or next(iter(names), found.serial),
            "names": names,
            "issuer": found.display_name or found.issuer_now or found.issuer_name,
            "team": found.team_now or found.team_name,
            "serialNumber": found.serial,
            "verification": verification(found.verified_by, found.ca_certificates),
            "validFrom": found.not_before,
            "validTo": found.not_after,
            "daysToExpiry": (found.not_after - now) // timedelta(days=1),
            "url": found.url,
            "renewalUrl": found.renewal_url,
            "links": [link for link in (found.url, found.renewal_url) if link],
            "note": found.note or None,
            "describedBy": found.described_by or found.owner_now or found.owner_name,
            "pem": found.pem,
        },
    }
