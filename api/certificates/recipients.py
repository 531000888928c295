"""Who is mailed about a certificate: decided by `recipients()`, which knows no database, out of what the rest reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Row, select

from api.outbox import queue
from api.outbox.queue import NewMessage
from api.state.accounts import DISABLED, members
from api.state.policies import MailPolicy, read_policies
from reconciler.access.mails import CERTIFICATE_ISSUED
from reconciler.store import tables
from reconciler.store.engine import Connection

GONE = "the account is gone, or switched off"
"""Why its owner is not told of a certificate."""
_users, _states, _teams, _certificates = tables.users.c, tables.account_states.c, tables.teams.c, tables.certificates.c


class Person(NamedTuple):
    """Somebody with an account, and the address that it has now."""

    user_id: int
    email: str


class Recipient(NamedTuple):
    """Whom a message goes to: an account, at the address that it has when the message is delivered; or an address."""

    user_id: int | None
    address: str | None


def recipients(
    owner: Person | None, administrators: Sequence[Person], extra: Iterable[str], always: Iterable[str]
) -> list[Recipient]:
    """The owner, or administrators in its place where it is gone or has no address; then addresses. Each address once."""
    people = [owner] if owner is not None and owner.email else [each for each in administrators if each.email]
    found: dict[str, Recipient] = {}
    for person in people:
        found.setdefault(_compared(person.email), Recipient(person.user_id, None))
    for address in (*extra, *always):
        found.setdefault(_compared(address), Recipient(None, address))
    return list(found.values())


def _compared(address: str) -> str:
    """Two addresses that differ in upper and lower case alone are one: no mail server in use takes them for two."""
    return address.lower()


class Administrators:
    """Those who are told in the place of an owner, by team; each looked up once. Raises StoreError."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._members = members(now)
        self._found: dict[int | None, list[Person]] = {}

    def of(self, team_id: int | None) -> list[Person]:
        """The enabled members of a team who are administrators; where there are none, all enabled administrators."""
        if team_id not in self._found:
            self._found[team_id] = (self._read(team_id) if team_id is not None else []) or self._read(None)
        return self._found[team_id]

    def _read(self, team_id: int | None) -> list[Person]:
        administrators = select(_teams.id).where(_teams.administrator)
        is_wanted = ~DISABLED & (_users.email != "") & self._in(administrators)
        if team_id is not None:
            is_wanted &= self._in([team_id])
        joined = tables.users.outerjoin(tables.account_states, _states.user_id == _users.id)
        query = select(_users.id, _users.email).select_from(joined).where(is_wanted).order_by(_users.id)
        return [Person(*row) for row in self._connection.execute(query)]

    def _in(self, teams: Any) -> ColumnElement[bool]:
        return _users.id.in_(select(self._members.c.user_id).where(self._members.c.team_id.in_(teams)))


def mail_policy(connection: Connection) -> MailPolicy:
    """What the declared Settings say of mails at this moment."""
    stored = connection.execute(select(tables.settings.c.policies).where(tables.settings.c.name == "default")).scalar()
    return read_policies(stored).mail


class Concerned(NamedTuple):
    """A certificate as far as it says who is to be told."""

    id: int
    team_id: int | None
    extra_addresses: str
    """JSON."""
    owner_id: int | None
    email: str | None
    disabled: bool

    @property
    def owner(self) -> Person | None:
        """The owner, where it is still there."""
        return Person(self.owner_id, self.email or "") if self.owner_id is not None and not self.disabled else None


CONCERNED = (
    _certificates.id,
    _certificates.team_id,
    _certificates.extra_addresses,
    _users.id.label("owner_id"),
    _users.email,
    DISABLED.label("disabled"),
)
"""The columns of a `Concerned`, of `JOINED`."""
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
) -> int:
    """Put messages into the outbox, of each certificate to all that are to be told; how many. Each comes with its detail."""
    administrators, always = Administrators(connection, now), tuple(always)
    messages: list[NewMessage] = []
    for certificate, detail in concerned:
        owner = certificate.owner
        in_place = () if owner is not None and owner.email else administrators.of(certificate.team_id)
        told = recipients(owner, in_place, orjson.loads(certificate.extra_addresses), always)
        text = orjson.dumps(detail).decode()
        messages += [NewMessage(template, each.user_id, certificate.id, each.address, text) for each in told]
    return queue.put(connection, messages, now)


def withdraw(connection: Connection, certificate_id: int, before: Iterable[str], after: Iterable[str], now: datetime) -> None:
    """End what was not sent yet to addresses that are not told of a certificate any more: one of them may have been a mistake."""
    gone = set(map(_compared, before)) - set(map(_compared, after))
    why = "the certificate has this address no more"
    queue.withdraw(connection, certificate_id, lambda address: _compared(address) in gone, why, now)


def still_wanted(connection: Connection, row: Row[Any]) -> str | None:
    """Why a message of the outbox about a certificate is not to be sent any more, asked as it is delivered; None: it is wanted.

    Where the reason is GONE, others are to be told in the account's place: see `tell_others`.
    """
    query = select(
        _certificates.renewed_at,
        _certificates.revoked_at,
        _certificates.tracked,
        _teams.suppress_issued_emails,
        _teams.suppress_reminder_emails,
    ).select_from(tables.certificates.outerjoin(tables.teams, _teams.id == _certificates.team_id))
    certificate = connection.execute(query.where(_certificates.id == row.certificate_id)).first()
    if certificate is None:
        return "the certificate is not registered any more"
    reason = _unwanted(row.template, certificate, mail_policy(connection))
    return reason or (GONE if row.recipient is None and not _is_reached(connection, row.user_id) else None)


def _unwanted(template: str, certificate: Any, policy: MailPolicy) -> str | None:  # noqa: PLR0911 - a reason a check
    if certificate.revoked_at is not None:
        return "the certificate was revoked"
    if template == CERTIFICATE_ISSUED:
        if certificate.suppress_issued_emails:
            return "the team suppresses mails about issued certificates"
        return None if policy.on_issue else "the Settings switch off mails about issued certificates"
    if certificate.renewed_at is not None:
        return "the certificate was renewed"
    if not certificate.tracked:
        return "the certificate's expiry is not tracked any more"
    if certificate.suppress_reminder_emails:
        return "the team suppresses reminders"
    return None if policy.on_expiry else "the Settings switch off reminders"


def _is_reached(connection: Connection, user_id: int | None) -> bool:
    joined = tables.users.outerjoin(tables.account_states, _states.user_id == _users.id)
    reached = (_users.id == user_id) & ~DISABLED & (_users.email != "")
    return connection.execute(select(_users.id).select_from(joined).where(reached)).first() is not None


def tell_others(connection: Connection, row: Row[Any], now: datetime) -> int:
    """Put messages to administrators into the outbox, in the place of one whose account is gone; how many. None is told twice."""
    query = select(*CONCERNED).select_from(JOINED).where(_certificates.id == row.certificate_id)
    found = connection.execute(query).first()
    if found is None:
        return 0
    certificate = Concerned(*found)
    like = NewMessage(row.template, None, row.certificate_id, None, row.detail)
    told = {_compared(address) if address is not None else user_id for user_id, address in queue.addressees(connection, like)}
    in_place = Administrators(connection, now).of(certificate.team_id)
    people = recipients(certificate.owner, [each for each in in_place if _compared(each.email) not in told], (), ())
    return queue.put(connection, [like._replace(user_id=each.user_id) for each in people if each.user_id not in told], now)
