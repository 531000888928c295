"""What the first page shows: what ends soon for a person; for administrators, how the database and the mail stand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from api.authentication import credentials
from api.authentication.principal import Principal
from api.certificates.expiry import count_expiring
from api.outbox.listing import count_messages
from api.reads.access import Reached, reach_of
from api.reads.users import TeamOf, teams_with_places
from api.state.counting import Count
from api.state.drift import Drifted, DriftWatch
from api.state.history import Sync, sync_state
from api.state.reader import Reader
from reconciler.access.state import access_of
from reconciler.store.tables import OPEN, instant_text, read_instant

SOON = timedelta(days=30)
UNUSED = timedelta(days=90)


class PersonHome(NamedTuple):
    """What concerns the caller."""

    ending_teams: tuple[TeamOf, ...]
    """Memberships that end soon, the first to end first."""
    ending_issuers: tuple[Reached, ...]
    """Issuers whose last way ends soon."""
    expiring_tokens: tuple[dict[str, Any], ...]
    unused_tokens: tuple[dict[str, Any], ...]
    """Made more than 90 days ago, and not used for as long."""
    expiring_certificates: Count
    """The caller's own, within 30 days, that nobody renewed or revoked."""


class AdministratorHome(NamedTuple):
    """What concerns whoever runs this."""

    sync: Sync | None
    drift: Drifted
    given_up_mail: Count
    failing_mail: Count
    """What failed and waits for the next try."""
    waiting_mail: Count
    expiring_certificates: Count
    """Of everybody's, those that have to be renewed within 30 days."""


def home_of(reader: Reader, caller: Principal, now: datetime) -> PersonHome:
    """What ends soon for the caller, as of this call's access snapshot. Raises StoreError."""
    name, until = caller.name, now + SOON
    tokens = credentials.list_credentials(reader, caller.account.id, now)
    teams = [
        each
        for each in teams_with_places(reader, caller.access, name, now)
        if each.member.until is not None and now < each.member.until <= until
    ]
    usable = access_of(caller.access.state, name, now).values()
    ending = [each.issuer for each in usable if each.until is not None and each.until <= until]
    issuers = reach_of(reader, caller.access, name, now, only=ending).issuers
    return PersonHome(
        tuple(sorted(teams, key=lambda each: (each.member.until or now, each.team))),
        tuple(sorted(issuers, key=lambda each: (each.until or now, each.issuer))),
        tuple(each for each in tokens if read_instant(each["expiresAt"]) <= until),
        tuple(each for each in tokens if is_unused(each, now)),
        _own_expiring(reader, caller.account.id, now, until),
    )


def is_unused(token: dict[str, Any], now: datetime) -> bool:
    """Whether a token has not been used for 90 days, nor made within them."""
    return read_instant(token["lastUsedAt"] or token["createdAt"]) <= now - UNUSED


def _own_expiring(reader: Reader, user_id: int, now: datetime, until: datetime) -> Count:
    query = f"SELECT 1 FROM certificates WHERE owner_id = ? AND {OPEN} AND not_after > ? AND not_after <= ?"
    return Count.rows(reader, query, user_id, instant_text(now), instant_text(until))


def administrators_home(reader: Reader, caller: Principal, drift: DriftWatch, now: datetime) -> AdministratorHome:
    """How the database and the mail stand. Raises StoreError."""
    return AdministratorHome(
        sync_state(reader, now),
        drift.latest(now),
        count_messages(reader, "given-up"),
        count_messages(reader, "failing"),
        count_messages(reader, "waiting"),
        count_expiring(reader, caller, now, SOON),
    )
