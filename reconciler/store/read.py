"""Reads the actual state: all of it, or what a change can touch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Set
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import orjson
from sqlalchemy import Table, func, select

from reconciler.access.ad_groups import folded
from reconciler.access.mails import PASSWORD_MAILS
from reconciler.access.resources import DeclaredState, Key, Kind, Membership, Permission, Team
from reconciler.plan.actual import Actual, Clocks, Runtime, Totals
from reconciler.store import tables
from reconciler.store.chunks import ids_named, select_column, select_rows
from reconciler.store.engine import Connection
from reconciler.store.login_aliases import alias_owners
from reconciler.store.overrides import read_overrides
from reconciler.store.revisions import AppliedRevision, find_revision, read_applied, read_history, revision_at
from reconciler.store.rows import COLUMNS, read_issuer, read_team, read_template, read_until, read_user
from reconciler.store.surroundings import (
    all_names,
    certdog_ids,
    directory_names,
    display_names,
    granted_issuers,
    identities,
    names_existing,
    previous_names,
    settings_in_force,
    teams_referring,
)
from reconciler.store.tables import TABLES, instant_text

__all__ = [
    "AppliedRevision",
    "Scope",
    "alias_owners",
    "all_names",
    "certdog_ids",
    "directory_names",
    "display_names",
    "find_revision",
    "granted_issuers",
    "identities",
    "names_existing",
    "previous_names",
    "read_actual",
    "read_applied",
    "read_clocks",
    "read_generation",
    "read_history",
    "read_unmanaged",
    "revision_at",
    "settings_in_force",
    "teams_referring",
]


def read_clocks(connection: Connection) -> Clocks:
    """What the database knows of the time."""
    recorded = connection.execute(select(tables.audit.c.at).order_by(tables.audit.c.id.desc()).limit(1)).scalar()
    served = connection.execute(select(tables.state.c.reminded_until)).scalar()
    server = None if connection.dialect.name == "sqlite" else connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return Clocks(recorded, served, server)


class Scope(NamedTuple):
    """The part of the database that a change can touch, by name."""

    users: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()
    whole_teams: frozenset[str] = frozenset()
    """Teams whose members are all affected."""
    guarded_teams: frozenset[str] = frozenset()
    """Teams under separation of duties."""
    guarded_issuers: frozenset[str] = frozenset()
    """Issuers under separation of duties: whoever may use them is read."""
    granted_issuers: frozenset[str] = frozenset()
    """Issuers that an affected team gains; other users of these issuers do not matter."""
    groups: frozenset[str] = frozenset()
    """AD groups whose teams are all needed, with their cases folded."""
    bound_teams: frozenset[str] = frozenset()
    """Administrator teams, if it matters in which other teams their members are."""
    bound_groups: frozenset[str] = frozenset()
    """The AD groups that these teams list or will list, with their cases folded."""


def read_generation(connection: Connection) -> int:
    """Read the counter that every write to declared or directory facts raises."""
    return int(connection.execute(select(tables.state.c.generation)).scalar_one())


def read_actual(connection: Connection, scope: Scope | None = None, *, now: datetime) -> Actual:
    """Read the actual state at an instant; with a scope, only that part, at a cost that grows with the scope.

    Unmanaged rows, totals, the generation and the applied revision always cover the whole database.
    """
    part = _everything() if scope is None else _part(connection, scope)
    applied = read_applied(connection)
    users, teams, issuers = (_rows(connection, table, ids) for table, ids in zip(_MAIN, part[:3], strict=True))
    user_names, team_names = {row[0]: row[1] for row in users}, {row[0]: row[1] for row in teams}
    declared_users = [row for row in users if row[_SOURCE] == "declared"]
    declared = DeclaredState(
        users={row[1]: read_user(row) for row in declared_users},
        teams=_teams(connection, part, teams, user_names),
        issuers={row[1]: read_issuer(row) for row in issuers},
        templates={row[1]: read_template(row) for row in _rows(connection, tables.email_templates, None)},
        settings=next(iter(settings_in_force(connection)), None),
    )
    located: list[tuple[Kind, list[Any]]] = [("User", declared_users), ("Team", teams), ("Issuer", issuers)]
    return Actual(
        declared=declared,
        runtime=_runtime(
            connection, part, user_names, team_names, frozenset(row[1] for row in users if row[_SOURCE] == "directory"), now
        ),
        unmanaged=read_unmanaged(connection),
        files={(kind, row[1]): row[2] for kind, rows in located for row in rows if row[2] is not None} | _other_files(connection),
        totals=_totals(connection),
        generation=read_generation(connection),
        applied=None if applied is None else applied.revision,
        overrides=read_overrides(connection),
        lines=_lines(connection, part),
    )


class _Part(NamedTuple):
    """Ids of the rows to read; None means all. Teams outside `full_teams` are read only with members in `users_asked`, and those
    in `grouped_teams` with all their directory members."""

    users: set[int] | None
    teams: set[int] | None
    issuers: set[int] | None
    full_teams: set[int] | None
    users_asked: set[int] | None
    grouped_teams: set[int] | None


_MAIN = (tables.users, tables.teams, tables.issuers)
_SOURCE = COLUMNS["users"].split(", ").index("source")


def _everything() -> _Part:
    return _Part(None, None, None, None, None, None)


def _part(connection: Connection, scope: Scope) -> _Part:
    bound, their_groups = _bound(connection, scope)
    asked = ids_named(connection, tables.users, scope.users) | bound
    issuers = ids_named(connection, tables.issuers, scope.issuers)
    whole = ids_named(connection, tables.teams, scope.whole_teams) | select_column(
        connection, "permissions", "team_id", "issuer_id", issuers
    )
    for table in ("memberships", "directory_memberships"):
        asked |= select_column(connection, table, "user_id", "team_id", whole)
    guarding = set(connection.execute(select(tables.teams.c.id).where(tables.teams.c.administrator)).scalars())
    guarded = ids_named(connection, tables.issuers, scope.guarded_issuers)
    guarding |= select_column(connection, "permissions", "team_id", "issuer_id", guarded)
    full = whole | guarding | ids_named(connection, tables.teams, scope.teams | scope.guarded_teams)
    grouped = _grouped(connection, scope.groups | their_groups, full)
    teams = full | grouped
    users = asked.copy()
    for table in ("memberships", "directory_memberships"):
        teams |= select_column(connection, table, "team_id", "user_id", asked)
        users |= select_column(connection, table, "user_id", "team_id", full if table == "memberships" else full | grouped)
    issuers |= select_column(connection, "permissions", "issuer_id", "team_id", teams)
    issuers |= ids_named(connection, tables.issuers, scope.granted_issuers)
    return _Part(users, teams, issuers, full, asked, grouped)


def _bound(connection: Connection, scope: Scope) -> tuple[set[int], set[str]]:
    """Return the directory accounts that are in the bound teams or their groups, and all groups that these are known to be in."""
    ids = ids_named(connection, tables.teams, scope.bound_teams)
    users = select_column(connection, "directory_memberships", "user_id", "team_id", ids)
    if scope.bound_groups:
        listing = _grouped(connection, scope.bound_groups, set())
        rows = select_rows(connection, "user_id, ad_group", "directory_memberships", "team_id", listing)
        users.update(user for user, group in rows if group is not None and group.casefold() in scope.bound_groups)
    known = select_rows(connection, "DISTINCT ad_group", "directory_memberships", "user_id", users, "ad_group IS NOT NULL")
    return users, {row[0].casefold() for row in known}


def _grouped(connection: Connection, groups: Set[str], guarded: set[int]) -> set[int]:
    """Return the teams that list one of these groups, or one that an affected or guarded team lists."""
    found = [(row[0], _folded(row[1])) for row in select_rows(connection, "id, ad_groups", "teams", "id", guarded)]
    wanted = set(groups).union(*(names for _, names in found))
    if not wanted:
        return set()
    columns = tables.teams.c
    rows = connection.execute(select(columns.id, columns.ad_groups).where(columns.ad_groups != "[]"))
    return {row[0] for row in rows if not wanted.isdisjoint(_folded(row[1]))}


def _folded(text: str) -> frozenset[str]:
    return folded(orjson.loads(text))


def _rows(connection: Connection, table: Table, ids: Collection[int] | None) -> list[Any]:
    return list(select_rows(connection, COLUMNS[table.name], table.name, "id", ids))


def _teams(connection: Connection, part: _Part, rows: list[Any], user_names: Mapping[int, str]) -> dict[str, Team]:
    # skip rows that link to nothing: manual changes in SQLite can leave them
    members: dict[int, list[Membership]] = {row[0]: [] for row in rows}
    for team, user, until, reason in _membership_rows(connection, part, "memberships", "team_id, user_id, until, reason"):
        if user in user_names and team in members:
            members[team].append(Membership(user_names[user], read_until(until), reason))
    permissions: dict[int, list[Permission]] = {row[0]: [] for row in rows}
    issuer_names = dict(select_rows(connection, "id, name", "issuers", "id", part.issuers))
    for team, issuer, until in select_rows(connection, "team_id, issuer_id, until", "permissions", "team_id", part.teams):
        if issuer in issuer_names and team in permissions:
            permissions[team].append(Permission(issuer_names[issuer], read_until(until)))
    return {row[1]: read_team(row, _by_name(members[row[0]]), _by_name(permissions[row[0]])) for row in rows}


_Link = TypeVar("_Link", Membership, Permission)


def _by_name(links: list[_Link]) -> tuple[_Link, ...]:
    return tuple(sorted(links, key=itemgetter(0)))


def _membership_rows(connection: Connection, part: _Part, table: str, columns: str) -> Iterator[Any]:
    if part.teams is None:
        yield from select_rows(connection, columns, table, "team_id", None)
        return
    full = part.full_teams or set()
    if table == "directory_memberships":
        full = full | (part.grouped_teams or set())
    yield from select_rows(connection, columns, table, "team_id", full)
    yield from (
        row for row in select_rows(connection, columns, table, "user_id", part.users_asked or set()) if row[0] not in full
    )


def _runtime(
    connection: Connection,
    part: _Part,
    user_names: Mapping[int, str],
    team_names: Mapping[int, str],
    directory: frozenset[str],
    now: datetime,
) -> Runtime:
    # an account may have appeared since the users were read, because a writer does not read a snapshot
    # a mailed password counts until it expires unused, and a mail until it is given up
    counts = f"has_password AND (password_expires_at IS NULL OR password_expires_at > '{instant_text(now)}')"
    switches = ", ".join(f"disabled_by_{who}" for who in tables.RUNTIME_SWITCHES)
    columns = f"user_id, {counts}, {switches}"
    states = [row for row in select_rows(connection, columns, "account_states", "user_id", part.users) if row[0] in user_names]
    mailed = f"{tables.WAITING} AND template IN {PASSWORD_MAILS}"
    waiting = select_rows(connection, "DISTINCT user_id", "outbox", "user_id", part.users, mailed)
    directory_members: dict[str, dict[str, str | None]] = {}
    directory_groups: dict[str, set[str]] = {}
    for team, user, group in _membership_rows(connection, part, "directory_memberships", "team_id, user_id, ad_group"):
        if user in user_names and team in team_names:
            known = None if group is None else group.casefold()
            directory_members.setdefault(team_names[team], {})[user_names[user]] = known
            if known is not None:
                directory_groups.setdefault(known, set()).add(user_names[user])
    sessions, tokens = _live_tokens(connection, part, user_names, now)
    return Runtime(
        disabled=frozenset(user_names[row[0]] for row in states if any(row[2:])),
        directory_accounts=directory,
        directory_members=directory_members,
        can_set_password=frozenset(user_names[row[0]] for row in states if row[1])
        | frozenset(user_names[row[0]] for row in waiting if row[0] in user_names),
        sessions=sessions,
        tokens=tokens,
        directory_groups={group: tuple(sorted(names)) for group, names in directory_groups.items()},
    )


def _live_tokens(
    connection: Connection, part: _Part, user_names: Mapping[int, str], now: datetime
) -> tuple[dict[str, int], dict[str, int]]:
    found: dict[str, dict[str, int]] = {"session": {}, "token": {}}
    alive = f"revoked_at IS NULL AND expires_at > '{instant_text(now)}'"
    for kind, user in select_rows(connection, "kind, user_id", "tokens", "user_id", part.users, alive):
        if user in user_names:
            name = user_names[user]
            found[kind][name] = found[kind].get(name, 0) + 1
    return found["session"], found["token"]


def read_unmanaged(connection: Connection) -> frozenset[Key]:
    """Read which rows Git never declared."""
    found: set[Key] = set()
    for kind, table in TABLES.items():
        query = select(table.c.name).where(table.c.file.is_(None))
        if table is tables.users:
            query = query.where(table.c.source == "declared")
        found.update((kind, name) for name in connection.execute(query).scalars())
    return frozenset(found)


def _lines(connection: Connection, part: _Part) -> dict[Key, tuple[int | None, str]]:
    """Read on which lines resources and their items stand."""
    kinds: tuple[tuple[Kind, Collection[int] | None], ...] = (
        ("User", part.users),
        ("Team", part.teams),
        ("Issuer", part.issuers),
        ("EmailTemplate", None),
        ("Settings", None),
    )
    found: dict[Key, tuple[int | None, str]] = {}
    for kind, ids in kinds:
        columns = f"name, line, {'item_lines' if kind == 'Team' else 'NULL'}"
        for name, line, items in select_rows(connection, columns, TABLES[kind].name, "id", ids, "file IS NOT NULL"):
            found[kind, name] = line, items or ""
    return found


def _other_files(connection: Connection) -> dict[Key, str]:
    others: tuple[tuple[Kind, Table], ...] = (("EmailTemplate", tables.email_templates), ("Settings", tables.settings))
    return {
        (kind, name): file
        for kind, table in others
        for name, file in connection.execute(select(table.c.name, table.c.file).where(table.c.file.is_not(None)))
    }


def _totals(connection: Connection) -> Totals:
    return Totals(
        *(
            connection.execute(select(func.count()).select_from(table).where(table.c.file.is_not(None))).scalar_one()
            for table in _MAIN
        )
    )
