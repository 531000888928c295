"""What a message needs from the database: whom it is for, the declared template, and what that may speak of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, select, text

from api.mail.message import Recipient
from api.outbox.claims import Claimed
from api.state import accounts
from reconciler.access.mails import PASSWORD_MAILS
from reconciler.access.resources import EmailTemplate
from reconciler.store import tables
from reconciler.store.engine import Connection
from reconciler.store.rows import COLUMNS, read_template

_users, _certificates, _issuers, _teams = tables.users.c, tables.certificates.c, tables.issuers.c, tables.teams.c


class Material(NamedTuple):
    """What there is to say, and to whom."""

    recipient: Recipient
    variables: Mapping[str, Any]
    """All but a password, which is made for the message."""
    declared: EmailTemplate | None
    account: Row[Any] | None
    """Whom the message is for, where that is an account."""


def gather(connection: Connection, message: Claimed, public_url: str, now: datetime) -> Material | None:
    """All that a message needs, of one moment; None where what it is about is gone."""
    account = accounts.find_by_id(connection, message.user_id)
    if message.template in PASSWORD_MAILS:
        if account is None:
            return None
        about: dict[str, Any] = {"user": _user(account.name, account.full_name, account.email)}
    else:
        certificate = _certificate(connection, message.certificate_id, now)
        if certificate is None:
            return None
        about = certificate
    address = message.recipient if message.recipient is not None else account.email if account else ""
    name = account.full_name or account.name if account and message.recipient is None else ""
    return Material(
        Recipient(address or "", name), about | {"url": public_url or None}, _declared(connection, message.template), account
    )


def _user(name: str, full_name: str | None, email: str | None) -> dict[str, Any]:
    return {"name": name, "fullName": full_name or None, "email": email or None}


def _certificate(connection: Connection, certificate_id: int | None, now: datetime) -> dict[str, Any] | None:
    query = (
        select(
            tables.certificates,
            _issuers.display_name,
            _issuers.name.label("issuer_now"),
            _teams.name.label("team_now"),
            _users.name.label("owner_now"),
            _users.full_name,
            _users.email,
        )
        .select_from(
            tables.certificates.outerjoin(tables.issuers, _issuers.id == _certificates.issuer_id)
            .outerjoin(tables.teams, _teams.id == _certificates.team_id)
            .outerjoin(tables.users, _users.id == _certificates.owner_id)
        )
        .where(_certificates.id == certificate_id)
    )
    found = connection.execute(query).first()
    if found is None:
        return None
    names = tuple(orjson.loads(found.names))
    return {
        "user": _user(found.owner_now or found.owner_name, found.full_name, found.email),
        "certificate": {
            "subject": found.subject or next(iter(names), found.serial),
            "names": names,
            "issuer": found.display_name or found.issuer_now or found.issuer_name,
            "team": found.team_now or found.team_name,
            "serialNumber": found.serial,
            "validFrom": found.not_before,
            "validTo": found.not_after,
            "daysToExpiry": (found.not_after - now) // timedelta(days=1),
            "url": found.url,
            "renewalUrl": found.renewal_url,
            "note": found.note or None,
            "pem": found.pem,
        },
    }


def _declared(connection: Connection, name: str) -> EmailTemplate | None:
    query = text(f"SELECT {COLUMNS['email_templates']} FROM email_templates WHERE name = :name")
    row = connection.execute(query, {"name": name}).first()
    return None if row is None else read_template(row)
