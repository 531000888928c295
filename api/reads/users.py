"""One user with everything that is known of it: for JSON as the API promises it, and for pages with more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row

from api.authentication import account_failures, credentials
from api.authentication.sessions import live_sessions
from api.errors import NotFound
from api.reads.access import Link, Reach, reach_of, shown_access
from api.state import accounts, declared, history, users
from api.state.declared import Place, team_places
from api.state.reader import Reader
from api.state.snapshots import AccessKeeper, AccessSnapshot
from reconciler.access.instants import format_instant
from reconciler.access.state import ended
from reconciler.store.rows import read_until
from reconciler.store.tables import instant_text, read_instant

FEW = 10
"""How many certificates and audit entries of a user are shown beside everything else."""


class TeamOf(NamedTuple):
    """A team that a user is in, or was until the membership ended."""

    team: str
    display_name: str
    administrator: bool
    member: Link


class DirectoryAccount(NamedTuple):
    """Where a directory's account comes from; it cannot be edited in Git."""

    domain: str
    dn: str
    read_at: datetime
    missing_since: datetime | None
    groups: tuple[str, ...]
    """The AD groups that make it a member of teams."""


class UserView(NamedTuple):
    """Everything about a user. Instants in mappings are as the API shows them."""

    summary: dict[str, Any]
    """As in the list: `name`, `fullName`, `email`, `type`, `source`, `logins`, `enabled`, `disabledBy` (`git`, `directory`,
    `administrator`), `lastLoginAt`, `lastLoginAddress`."""
    place: Place | None
    """Where Git declares it; None: a directory's account, or one that somebody wrote into the database."""
    directory: DirectoryAccount | None
    administrator: bool
    teams: tuple[TeamOf, ...]
    reach: Reach
    has_password: bool
    password_set_at: datetime | None
    password_expires_at: datetime | None
    password_change_required: bool
    failed_logins: int
    next_login_at: datetime | None
    """When the network that must wait longest may try again; None: at once."""
    tokens: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    certificates: list[dict[str, Any]]
    """Its own, those that have not expired first: `id`, `subject`, `issuer`, `team`, `notAfter`, `revokedAt`."""
    audit: list[dict[str, Any]]
    """The newest entries about it."""


def access_with(keeper: AccessKeeper, name: str) -> AccessSnapshot:
    """The current access snapshot with an account. Raises NotFound if there is no such account, or StoreError."""
    access = keeper.now(name)
    if name not in access.accounts:
        raise NotFound(f"there is no account `{name}`")
    return access


class _Known(NamedTuple):
    access: AccessSnapshot
    summary: dict[str, Any]
    account: Row[Any]
    failures: int
    next_login: datetime | None


def _known(reader: Reader, keeper: AccessKeeper, name: str, now: datetime) -> _Known:
    access = access_with(keeper, name)
    summary = users.find_user(reader, name)
    with reader.database.reading() as connection:
        account = accounts.find(connection, name)
        key = "" if account is None else account_failures.key_of(account.id, account.guid)
        failures, next_login = account_failures.overview(connection, key, access.policies, now)
    if summary is None or account is None:
        raise NotFound(f"there is no account `{name}`")
    return _Known(access, summary, account, failures, next_login)


def shown_user(reader: Reader, keeper: AccessKeeper, name: str, now: datetime) -> dict[str, Any]:
    """A user as the API shows it. Raises NotFound or StoreError."""
    access, summary, account, failures, next_login = _known(reader, keeper, name, now)
    teams = access.teams(name, now)
    return {
        **summary,
        "teams": [team.name for team in teams],
        "administrator": any(team.administrator for team in teams),
        "issuers": shown_access(access, name, now),
        "declaredAt": declared.declared_at(reader, "User", name),
        "passwordSetAt": account.password_set_at and format_instant(account.password_set_at),
        "passwordExpiresAt": account.password_expires_at and format_instant(account.password_expires_at),
        "passwordChangeRequired": accounts.must_change_password(account, now),
        "failedLogins": failures,
        "nextLoginAt": next_login and format_instant(next_login),
        "tokens": credentials.list_credentials(reader, account.id, now),
    }


def view_user(reader: Reader, keeper: AccessKeeper, name: str, now: datetime) -> UserView:
    """A user as pages show it. Raises NotFound or StoreError."""
    access, summary, account, failures, next_login = _known(reader, keeper, name, now)
    return UserView(
        summary=summary,
        place=declared.place_of(reader, "User", name),
        directory=_directory_account(reader, account.id),
        administrator=any(team.administrator for team in access.teams(name, now)),
        teams=teams_with_places(reader, access, name, now),
        reach=reach_of(reader, access, name, now),
        has_password=bool(account.has_password),
        password_set_at=account.password_set_at,
        password_expires_at=account.password_expires_at,
        password_change_required=accounts.must_change_password(account, now),
        failed_logins=failures,
        next_login_at=next_login,
        tokens=credentials.list_credentials(reader, account.id, now),
        sessions=live_sessions(reader, account.id, access.policies, now),
        certificates=_certificates(reader, account.id, now),
        audit=history.newest_about(reader, "User", name, FEW),
    )


def teams_with_places(reader: Reader, access: AccessSnapshot, name: str, now: datetime) -> tuple[TeamOf, ...]:
    """The teams of an account by name, also those that its membership of has ended. Raises StoreError."""
    memberships = access.state.memberships.get(name, {})
    places = team_places(reader, sorted(memberships)[:MOST_TEAMS])
    is_directory = access.is_directory_account(name)
    found = []
    for team in sorted(places):
        if team not in access.state.teams or team not in memberships:
            continue
        _, until, reason = memberships[team]
        at = places[team].of("adGroups", reason or "") if is_directory else places[team].of("members", name)
        declared_team = access.state.teams[team]
        link = Link(until, ended(until, now), reason, at)
        found.append(TeamOf(team, declared_team.display_name or team, declared_team.administrator, link))
    return tuple(found)


MOST_TEAMS = 1_000
"""So many teams of one account are shown."""


def _directory_account(reader: Reader, user_id: int) -> DirectoryAccount | None:
    row = reader.row("SELECT domain, dn, read_at, missing_since FROM directory_accounts WHERE user_id = ?", user_id)
    if row is None:
        return None
    groups = reader.rows("SELECT DISTINCT ad_group FROM directory_memberships WHERE user_id = ? ORDER BY ad_group", user_id)
    domain, dn, read, missing = row
    return DirectoryAccount(
        domain, dn, read_instant(read), read_until(missing), tuple(group for (group,) in groups if group is not None)
    )


def _certificates(reader: Reader, user_id: int, now: datetime) -> list[dict[str, Any]]:
    """The next to expire of an owner, then those that expired last."""
    columns = """c.id, c.subject, COALESCE(i.name, c.issuer_name), COALESCE(t.name, c.team_name), c.not_after, c.revoked_at
FROM certificates c LEFT JOIN issuers i ON i.id = c.issuer_id LEFT JOIN teams t ON t.id = c.team_id WHERE c.owner_id = ?"""
    names, moment = ("id", "subject", "issuer", "team", "notAfter", "revokedAt"), instant_text(now)
    rows: Sequence[tuple[Any, ...]] = reader.rows(
        f"SELECT {columns} AND c.not_after > ? ORDER BY c.not_after, c.id LIMIT {FEW}", user_id, moment
    )
    if len(rows) < FEW:
        past = f"SELECT {columns} AND c.not_after <= ? ORDER BY c.not_after DESC, c.id DESC LIMIT ?"
        rows = [*rows, *reader.rows(past, user_id, moment, FEW - len(rows))]
    return [dict(zip(names, row, strict=True)) for row in rows]
