"""Directory accounts in the database: provisioned at their first login, and kept in sync with their directory.

An account is identified by its `objectGUID`, whatever its name and place in the directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import delete, select

from api.authentication import credentials
from api.directory.domains import Domain, Domains
from api.directory.entries import Entry
from api.state import accounts
from api.state.clock import is_from_the_future
from api.state.reader import Reader
from reconciler.access.touched import Touched
from reconciler.store import tables
from reconciler.store.audit import Event, append
from reconciler.store.bulk import new_ids
from reconciler.store.engine import Connection, Database
from reconciler.store.generations import raise_generation
from reconciler.store.minted import minted_detail
from reconciler.store.public_ids import new_public_ids

_users, _links, _known = tables.users.c, tables.directory_memberships.c, tables.directory_accounts.c


class Known(NamedTuple):
    """A directory account that was provisioned here."""

    user_id: int
    name: str
    guid: str
    domain: str
    missing_since: datetime | None
    profile: tuple[str, str | None, str]
    """What the directory last said of it: mail, full name, DN."""
    is_off: bool
    """Whether its directory has disabled it."""
    read_at: datetime

    def was_read_since(self, instant: datetime, now: datetime) -> bool:
        """Whether what is known of it comes from a reading that began after an instant, whatever the reading found."""
        readings = (self.read_at, *([self.missing_since] if self.missing_since else []))
        return any(each > instant and not is_from_the_future(each, now) for each in readings)


def find(connection: Connection, *, guid: str | None = None, name: str | None = None) -> Known | None:
    """A directory account by its GUID or its name here."""
    chosen = _known.guid == guid if guid is not None else _users.name == name
    row = connection.execute(_FIND.where(chosen)).first()
    return None if row is None else Known(*row[:5], tuple(row[5:8]), bool(row[8]), row[9])


_FIND = (
    select(
        _known.user_id, _users.name, _known.guid, _known.domain, _known.missing_since, _users.email, _users.full_name, _known.dn,
        tables.account_states.c.disabled_by_directory, _known.read_at,
    )
    .join_from(tables.directory_accounts, tables.users)
    .outerjoin(tables.account_states, tables.account_states.c.user_id == _known.user_id)
)  # fmt: skip


def is_usable(name: str) -> bool:
    """Whether an account can have this name here, which is not empty if its own is fit for it."""
    return accounts.NAME.fullmatch(name) is not None


def provision(connection: Connection, name: str, domain: str, entry: Entry, now: datetime) -> Known | str:
    """Make an account for a new entry, or return why that is not possible."""
    if not is_usable(name):
        return "name-not-usable"
    if accounts.is_taken(connection, name):
        return "name-taken"
    (user_id,), (public_id,) = new_ids(connection, tables.users, 1), new_public_ids(connection, "User", [name])
    values = {"id": user_id, "name": name, "source": "directory", "email": entry.mail, "public_id": public_id}
    connection.execute(tables.users.insert().values(**values))
    connection.execute(
        tables.directory_accounts.insert().values(user_id=user_id, guid=entry.guid, domain=domain, dn=entry.dn, read_at=now)
    )
    return Known(user_id, name, entry.guid, domain, None, (entry.mail, None, entry.dn), False, now)


def sync(connection: Connection, known: Known, name: str, entry: Entry, teams: Mapping[int, str], now: datetime) -> list[Event]:
    """Write what the directory now says of an account: its name, its teams by the group that gives them, whether it has ended."""
    events = _sync_name(connection, known, name)
    name = name if events else known.name
    if (entry.mail, entry.full_name, entry.dn) != known.profile:
        values = {"email": entry.mail, "full_name": entry.full_name}
        connection.execute(tables.users.update().where(_users.id == known.user_id).values(**values))
        connection.execute(tables.directory_accounts.update().where(_known.user_id == known.user_id).values(dn=entry.dn))
    events += _sync_teams(connection, known.user_id, name, teams)
    return events + switch(connection, known, name, entry.ended(now), now)


def _sync_name(connection: Connection, known: Known, name: str) -> list[Event]:
    if name == known.name or not is_usable(name) or accounts.is_taken(connection, name):
        return []
    connection.execute(tables.users.update().where(_users.id == known.user_id).values(name=name))
    return [Event("account.rename", "User", name, {"previousName": known.name})]


def _sync_teams(connection: Connection, user_id: int, name: str, teams: Mapping[int, str]) -> list[Event]:
    had = teams_of_account(connection, user_id)
    if had == dict(teams):
        return []
    connection.execute(delete(tables.directory_memberships).where(_links.user_id == user_id))
    for team_id, group in teams.items():
        connection.execute(tables.directory_memberships.insert().values(team_id=team_id, user_id=user_id, ad_group=group))
    columns = tables.teams.c
    rows = connection.execute(select(columns.id, columns.name).where(columns.id.in_({*had, *teams})))
    names = {row[0]: row[1] for row in rows}

    def called(ids: Iterable[int]) -> list[str]:
        return sorted(names[each] for each in ids)

    detail = {"joined": called(teams.keys() - had.keys()), "left": called(had.keys() - teams.keys())}
    return [Event("account.teams", "User", name, detail)]


def mark_read(connection: Connection, user_ids: Iterable[int], now: datetime) -> None:
    """Record that accounts were read completely at an instant."""
    read = _known.user_id.in_(list(user_ids))
    connection.execute(tables.directory_accounts.update().where(read).values(read_at=now, missing_since=None))


def switch(connection: Connection, known: Known, name: str, ended: str | None, now: datetime) -> list[Event]:
    """Set the directory's own switch: an account that has ended there is disabled here, and its sessions and tokens end."""
    if known.is_off is (ended is not None):
        return []
    user_id = known.user_id
    accounts.write(connection, user_id, {"disabled_by_directory": ended is not None})
    if ended is None:
        return [Event("account.enable", "User", name, {"by": "directory"})]
    revoked = credentials.revoke(connection, user_id, now)
    detail = {"by": "directory", "reason": ended, "revokedCredentials": len(revoked)}
    return [Event("account.disable", "User", name, detail | minted_detail(connection, user_id, now))]


def mark_missing(connection: Connection, known: Known, now: datetime, *, seen_missing: bool) -> list[Event]:
    """Record that a complete reading lacked an account. If an earlier reading lacked it as well, it is gone."""
    mine = _known.user_id == known.user_id
    connection.execute(tables.directory_accounts.update().where(mine).values(missing_since=now))
    if not seen_missing:
        return []
    return switch(connection, known, known.name, "gone-from-directory", now)


def remove(connection: Connection, known: Known, why: str, now: datetime) -> list[Event]:
    """Delete an account with its sessions, tokens and teams."""
    detail = {"why": why, "guid": known.guid, **minted_detail(connection, known.user_id, now)}
    connection.execute(delete(tables.users).where(_users.id == known.user_id))
    return [Event("account.delete", "User", known.name, detail)]


def record(connection: Connection, domain: str, events: Sequence[Event], now: datetime) -> None:
    """Write down what a directory changed here: for the audit log, and for whoever keeps what is known of these accounts."""
    names = {event.name for event in events} | {event.detail.get("previousName", event.name) for event in events}
    if names:
        raise_generation(connection, Touched(frozenset(names)))
    append(connection, events, at=now, actor=f"directory:{domain}")


def read_mapping(connection: Connection, domains: Domains, domain: Domain) -> Mapping[str, Mapping[int, str]]:
    """For each SID of a domain's groups, the teams it gives, and the name by which each team lists it."""
    groups = tables.directory_groups.c
    sid_of = {row[0]: row[1] for row in connection.execute(select(groups.name, groups.sid))}
    found: dict[str, dict[int, str]] = {}
    for team_id, names in _teams_with_groups(connection):
        for name in names:
            if name in sid_of and domains.domain_of_group(name) is domain:
                found.setdefault(sid_of[name], {}).setdefault(team_id, name)
    return found


def teams_of(sids: frozenset[str], mapping: Mapping[str, Mapping[int, str]]) -> dict[int, str]:
    """The teams that groups give, each with the group that gives it."""
    found: dict[int, str] = {}
    for sid in sorted(sids & mapping.keys()):
        for team_id, name in mapping[sid].items():
            found.setdefault(team_id, name)
    return found


def teams_of_account(connection: Connection, user_id: int) -> dict[int, str]:
    """The teams that an account's groups gave it at the last reading."""
    rows = connection.execute(select(_links.team_id, _links.ad_group).where(_links.user_id == user_id))
    return {row[0]: row[1] for row in rows}


def _teams_with_groups(connection: Connection) -> Iterable[tuple[int, list[str]]]:
    columns = tables.teams.c
    for team_id, text in connection.execute(select(columns.id, columns.ad_groups).where(columns.ad_groups != "[]")):
        yield team_id, orjson.loads(text)


def resolve_groups(reader: Reader, database: Database, domains: Domains, domain: Domain, now: datetime) -> list[str]:
    """Find the SIDs of a domain's groups that teams name and that are not known yet; returns the names not found.

    A group is resolved once: a group recreated under the same name is another group, and inherits nothing. Groups that no team
    names any more are forgotten. Raises DirectoryUnavailable or StoreError.
    """
    named: set[str] = set()
    for (text,) in reader.rows("SELECT ad_groups FROM teams WHERE ad_groups <> '[]'"):
        named.update(orjson.loads(text))
    known = {name for (name,) in reader.rows("SELECT name FROM directory_groups")}
    unresolved = [name for name in sorted(named - known) if domains.domain_of_group(name) in (domain, None)]
    found = {name: domains.group_sid(name) for name in unresolved}
    resolved = {name: sid for name, sid in found.items() if sid is not None}
    if resolved or known - named:
        with database.recording() as connection:
            groups = tables.directory_groups
            connection.execute(delete(groups).where(groups.c.name.in_((known - named) | resolved.keys())))
            for name, sid in resolved.items():
                connection.execute(groups.insert().values(name=name, sid=sid, resolved_at=now))
    return sorted(found.keys() - resolved.keys())


def live(reader: Reader, moment: str) -> list[tuple[Any, ...]]:
    """Directory accounts with a live session or token: id, name, GUID, domain, read at, missing since, disabled."""
    return reader.rows(_LIVE, moment)


_LIVE = """SELECT d.user_id, u.name, d.guid, d.domain, d.read_at, d.missing_since, a.disabled_by_directory
FROM directory_accounts d JOIN users u ON u.id = d.user_id LEFT JOIN account_states a ON a.user_id = d.user_id
WHERE EXISTS (SELECT 1 FROM tokens t WHERE t.user_id = d.user_id AND t.revoked_at IS NULL AND t.expires_at > ?)
ORDER BY d.user_id"""
