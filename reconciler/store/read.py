"""Reading: the actual state, all of it or what a change can touch, and the revisions that were applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Table, func, select

from reconciler.access.resources import (
    DeclaredState,
    EmailTemplate,
    Guards,
    Issuer,
    Kind,
    Membership,
    Permission,
    Settings,
    Team,
    User,
)
from reconciler.plan.actual import Actual, Key, Revision, Runtime, Totals
from reconciler.store import tables
from reconciler.store.engine import Connection
from reconciler.store.tables import instant_text, read_instant

TABLES: Mapping[Kind, Table] = {
    "User": tables.users,
    "Team": tables.teams,
    "Issuer": tables.issuers,
    "EmailTemplate": tables.email_templates,
    "Settings": tables.settings,
}
_CHUNK = 500


class AppliedRevision(NamedTuple):
    """An entry of the history: a revision, how and when it was applied, and by whom."""

    id: int
    revision: Revision
    repository: str
    branch: str
    path: str
    applied_at: datetime
    applied_by: str
    plan_digest: str
    generation: int
    overrides: tuple[tuple[str, str], ...]
    """Guard and reason."""
    counts: dict[str, int]
    accord_version: str


class Scope(NamedTuple):
    """The part of the database that a change can touch, by the names it concerns."""

    users: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()
    whole_teams: frozenset[str] = frozenset()
    """Teams all of whose members are concerned."""
    guarded_teams: frozenset[str] = frozenset()
    """Teams whose duties are kept apart."""


def _applied(row: Any) -> AppliedRevision:
    return AppliedRevision(
        id=row.id,
        revision=Revision(row.commit_sha, row.author, row.committed_at, row.summary),
        repository=row.repository,
        branch=row.branch,
        path=row.path,
        applied_at=row.applied_at,
        applied_by=row.applied_by,
        plan_digest=row.plan_digest,
        generation=row.generation,
        overrides=tuple((item["guard"], item["reason"]) for item in orjson.loads(row.overrides)),
        counts=orjson.loads(row.counts),
        accord_version=row.accord_version,
    )


def read_applied(connection: Connection) -> AppliedRevision | None:
    """The revision that was applied last."""
    found = read_history(connection, 1)
    return found[0] if found else None


def read_history(connection: Connection, limit: int | None = None) -> list[AppliedRevision]:
    """What was applied, newest first."""
    query = select(tables.revisions).order_by(tables.revisions.c.id.desc())
    return [_applied(row) for row in connection.execute(query if limit is None else query.limit(limit))]


def find_revision(connection: Connection, prefix: str) -> AppliedRevision | None:
    """The newest application of the commit that begins so; None where there is none, or more than one commit does."""
    columns = tables.revisions.c
    if len(prefix) < 4 or not all(char in "0123456789abcdef" for char in prefix):
        return None
    query = select(tables.revisions).where(columns.commit_sha.startswith(prefix)).order_by(columns.id.desc())
    found = [_applied(row) for row in connection.execute(query)]
    return found[0] if len({applied.revision.commit for applied in found}) == 1 else None


def revision_at(connection: Connection, instant: datetime) -> AppliedRevision | None:
    """The revision in force at an instant."""
    columns = tables.revisions.c
    query = select(tables.revisions).where(columns.applied_at <= instant).order_by(columns.id.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _applied(row)


def read_generation(connection: Connection) -> int:
    """The counter that every write to declared or directory facts raises."""
    return int(connection.execute(select(tables.state.c.generation)).scalar_one())


def read_actual(connection: Connection, scope: Scope | None = None) -> Actual:
    """The actual state; with a scope only what that can touch, at a cost that grows with the scope.

    Foreign keys, totals, generation and the applied revision are of the whole database either way.
    """
    part = _everything() if scope is None else _part(connection, scope)
    applied = read_applied(connection)
    users, teams, issuers = (_rows(connection, table, ids) for table, ids in zip(_MAIN, part[:3], strict=True))
    user_names, team_names = {row[0]: row[1] for row in users}, {row[0]: row[1] for row in teams}
    declared_users = [row for row in users if row[_SOURCE] == "declared"]
    declared = DeclaredState(
        users={row[1]: _user(row) for row in declared_users},
        teams=_teams(connection, part, teams, user_names),
        issuers={row[1]: _issuer(row) for row in issuers},
        templates={row[1]: _template(row) for row in _rows(connection, tables.email_templates, None)},
        settings=next((_settings(row) for row in _rows(connection, tables.settings, None)), None),
    )
    located: list[tuple[Kind, list[Any]]] = [("User", declared_users), ("Team", teams), ("Issuer", issuers)]
    return Actual(
        declared=declared,
        runtime=_runtime(
            connection, part, user_names, team_names, frozenset(row[1] for row in users if row[_SOURCE] == "directory")
        ),
        foreign=_foreign(connection),
        files={(kind, row[1]): row[2] for kind, rows in located for row in rows if row[2] is not None} | _other_files(connection),
        totals=_totals(connection),
        generation=read_generation(connection),
        applied=None if applied is None else applied.revision,
    )


class _Part(NamedTuple):
    """Ids of the rows to read; None: all. Of `part_teams` only the members among `users_asked` are read."""

    users: set[int] | None
    teams: set[int] | None
    issuers: set[int] | None
    full_teams: set[int] | None
    users_asked: set[int] | None


_MAIN = (tables.users, tables.teams, tables.issuers)
_COMMON = "id, name, file, labels, previously"
_COLUMNS = {
    "users": f"{_COMMON}, source, email, full_name, type, disabled_by_git, initial_password, password_change_required_after",
    "teams": f"{_COMMON}, description, administrator, ad_groups, permitted_ips, may_decide_for, suppress_issued_emails, "
    "suppress_reminder_emails",
    "issuers": f"{_COMMON}, display_name, description, enabled",
    "email_templates": f"{_COMMON}, subject, text, html",
    "settings": f"{_COMMON}, guards, policies",
}
_SOURCE = 5


def _everything() -> _Part:
    return _Part(None, None, None, None, None)


def _part(connection: Connection, scope: Scope) -> _Part:
    asked = _ids(connection, tables.users, scope.users)
    issuers = _ids(connection, tables.issuers, scope.issuers)
    whole = _ids(connection, tables.teams, scope.whole_teams) | _column(
        connection, "permissions", "team_id", "issuer_id", issuers
    )
    for table in ("memberships", "directory_memberships"):
        asked |= _column(connection, table, "user_id", "team_id", whole)
    guarding = set(connection.execute(select(tables.teams.c.id).where(tables.teams.c.administrator)).scalars())
    full = whole | guarding | _ids(connection, tables.teams, scope.teams | scope.guarded_teams)
    teams = full.copy()
    users = asked.copy()
    for table in ("memberships", "directory_memberships"):
        teams |= _column(connection, table, "team_id", "user_id", asked)
        users |= _column(connection, table, "user_id", "team_id", full)
    issuers |= _column(connection, "permissions", "issuer_id", "team_id", teams)
    return _Part(users, teams, issuers, full, asked)


def _ids(connection: Connection, table: Table, names: Collection[str]) -> set[int]:
    found: set[int] = set()
    for chunk in _chunks(names):
        found.update(connection.execute(select(table.c.id).where(table.c.name.in_(chunk))).scalars())
    return found


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]


def _select(
    connection: Connection, columns: str, table: str, key: str, ids: Collection[int] | None, condition: str = ""
) -> Iterator[Any]:
    """The rows whose key is one of the ids (None: all), in chunks. Ids are numbers that came from the database itself."""
    if ids is None:
        yield from connection.exec_driver_sql(f"SELECT {columns} FROM {table}" + (f" WHERE {condition}" if condition else ""))
        return
    for chunk in _chunks(ids):
        where = f"{key} IN ({', '.join(map(str, chunk))})" + (f" AND {condition}" if condition else "")
        yield from connection.exec_driver_sql(f"SELECT {columns} FROM {table} WHERE {where}")


def _column(connection: Connection, table: str, column: str, key: str, ids: Collection[int]) -> set[int]:
    return {row[0] for row in _select(connection, f"DISTINCT {column}", table, key, ids)}


def _rows(connection: Connection, table: Table, ids: Collection[int] | None) -> list[Any]:
    return list(_select(connection, _COLUMNS[table.name], table.name, "id", ids))


def _instant(text: str | None) -> datetime | None:
    return None if text is None else read_instant(text)


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    return () if text == "{}" else tuple(sorted(orjson.loads(text).items()))


def _texts(text: str) -> tuple[str, ...]:
    return () if text == "[]" else tuple(orjson.loads(text))


def _user(row: Any) -> User:
    _, name, _, labels, previously, _, email, full_name, kind, disabled, initial, after = row
    return User(name, email, full_name, kind, not disabled, initial, _instant(after), _labels(labels), _texts(previously))


def _issuer(row: Any) -> Issuer:
    _, name, _, labels, previously, display_name, description, enabled = row
    return Issuer(name, display_name, description, bool(enabled), _labels(labels), _texts(previously))


def _template(row: Any) -> EmailTemplate:
    _, name, _, labels, previously, subject, text, html = row
    return EmailTemplate(name, subject, text, html, _labels(labels), _texts(previously))


def _settings(row: Any) -> Settings:
    _, name, _, labels, previously, guards, policies = row
    limits = orjson.loads(guards)
    limits["separation_of_duties"] = tuple(tuple(teams) for teams in limits["separation_of_duties"])
    return Settings(name, Guards(**limits), tuple(sorted(orjson.loads(policies).items())), _labels(labels), _texts(previously))


def _teams(connection: Connection, part: _Part, rows: list[Any], user_names: Mapping[int, str]) -> dict[str, Team]:
    members: dict[int, list[Membership]] = {row[0]: [] for row in rows}
    for team, user, until, reason in _membership_rows(connection, part, "memberships", "team_id, user_id, until, reason"):
        members[team].append(Membership(user_names[user], _instant(until), reason))
    permissions: dict[int, list[Permission]] = {row[0]: [] for row in rows}
    issuer_names = dict(_select(connection, "id, name", "issuers", "id", part.issuers))
    for team, issuer, until in _select(connection, "team_id, issuer_id, until", "permissions", "team_id", part.teams):
        permissions[team].append(Permission(issuer_names[issuer], _instant(until)))
    return {row[1]: _team(row, sorted(members[row[0]], key=_first), sorted(permissions[row[0]], key=_first)) for row in rows}


def _first(item: Sequence[Any]) -> str:
    return str(item[0])


def _membership_rows(connection: Connection, part: _Part, table: str, columns: str) -> Iterator[Any]:
    if part.teams is None:
        yield from _select(connection, columns, table, "team_id", None)
        return
    full = part.full_teams or set()
    yield from _select(connection, columns, table, "team_id", full)
    yield from (row for row in _select(connection, columns, table, "user_id", part.users_asked or set()) if row[0] not in full)


def _team(row: Any, members: list[Membership], permissions: list[Permission]) -> Team:
    _, name, _, labels, previously, description, administrator, groups, ips, decide_for, issued, reminder = row
    return Team(
        name=name,
        description=description,
        administrator=bool(administrator),
        members=tuple(members),
        permissions=tuple(permissions),
        ad_groups=_texts(groups),
        permitted_ips=_texts(ips),
        may_decide_for="everyone" if decide_for == '"everyone"' else _texts(decide_for),
        suppress_issued_emails=bool(issued),
        suppress_reminder_emails=bool(reminder),
        labels=_labels(labels),
        previously=_texts(previously),
    )


def _runtime(
    connection: Connection, part: _Part, user_names: Mapping[int, str], team_names: Mapping[int, str], directory: frozenset[str]
) -> Runtime:
    # names are looked up with care: an account may have appeared since the users were read, for a writer reads no snapshot
    columns = "user_id, password_hash IS NOT NULL, disabled_by_directory, disabled_by_administrator"
    states = [row for row in _select(connection, columns, "account_states", "user_id", part.users) if row[0] in user_names]
    waiting = _select(connection, "DISTINCT user_id", "outbox", "user_id", part.users, "sent_at IS NULL AND template = 'welcome'")
    directory_members: dict[str, list[str]] = {}
    for team, user in _membership_rows(connection, part, "directory_memberships", "team_id, user_id"):
        if user in user_names and team in team_names:
            directory_members.setdefault(team_names[team], []).append(user_names[user])
    sessions, tokens = _live_tokens(connection, part, user_names)
    return Runtime(
        disabled=frozenset(user_names[row[0]] for row in states if row[2] or row[3]),
        directory_accounts=directory,
        directory_members={team: tuple(sorted(names)) for team, names in directory_members.items()},
        can_set_password=frozenset(user_names[row[0]] for row in states if row[1])
        | frozenset(user_names[row[0]] for row in waiting if row[0] in user_names),
        sessions=sessions,
        tokens=tokens,
    )


def _live_tokens(connection: Connection, part: _Part, user_names: Mapping[int, str]) -> tuple[dict[str, int], dict[str, int]]:
    found: dict[str, dict[str, int]] = {"session": {}, "token": {}}
    alive = f"revoked_at IS NULL AND expires_at > '{instant_text(datetime.now(UTC))}'"
    for kind, user in _select(connection, "kind, user_id", "tokens", "user_id", part.users, alive):
        if user in user_names:
            name = user_names[user]
            found[kind][name] = found[kind].get(name, 0) + 1
    return found["session"], found["token"]


def _foreign(connection: Connection) -> frozenset[Key]:
    found: set[Key] = set()
    for kind, table in TABLES.items():
        query = select(table.c.name).where(table.c.file.is_(None))
        if table is tables.users:
            query = query.where(table.c.source == "declared")
        found.update((kind, name) for name in connection.execute(query).scalars())
    return frozenset(found)


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


def settings_in_force(connection: Connection) -> list[Settings]:
    """The declared settings: one, or none."""
    return [_settings(row) for row in _rows(connection, tables.settings, None)]


def names_existing(connection: Connection, kind: Kind, names: Collection[str]) -> frozenset[str]:
    """Those of the names that a declared resource has."""
    table = TABLES[kind]
    query = select(table.c.name) if kind != "User" else select(table.c.name).where(table.c.source == "declared")
    return frozenset(
        name for chunk in _chunks(names) for name in connection.execute(query.where(table.c.name.in_(chunk))).scalars()
    )


def all_names(connection: Connection, kind: Kind) -> list[str]:
    """Every name of a kind, to find the nearest in."""
    return list(connection.execute(select(TABLES[kind].c.name)).scalars())


def teams_referring(connection: Connection, kind: Kind, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Name -> the teams (or `Settings`) that refer to it; names nobody refers to are left out."""
    if not names or kind in ("EmailTemplate", "Settings"):
        return {}
    if kind == "Team":
        return _teams_named(connection, names)
    link, column, table = (
        (tables.memberships, tables.memberships.c.user_id, tables.users)
        if kind == "User"
        else (tables.permissions, tables.permissions.c.issuer_id, tables.issuers)
    )
    joined = tables.teams.join(link, link.c.team_id == tables.teams.c.id).join(table, column == table.c.id)
    found: dict[str, list[str]] = {}
    for chunk in _chunks(names):
        query = select(table.c.name, tables.teams.c.name).select_from(joined).where(table.c.name.in_(chunk))
        for name, team in connection.execute(query.order_by(tables.teams.c.name)):
            found.setdefault(name, []).append(team)
    return {name: tuple(teams) for name, teams in found.items()}


def _teams_named(connection: Connection, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    query = select(tables.teams.c.name, tables.teams.c.may_decide_for).where(
        tables.teams.c.may_decide_for.not_in(["[]", '"everyone"'])
    )
    for team, decide_for in connection.execute(query.order_by(tables.teams.c.name)):
        for name in set(_texts(decide_for)) & set(names):
            found.setdefault(name, []).append(team)
    for settings in settings_in_force(connection):
        for name in {team for teams in settings.guards.separation_of_duties for team in teams} & set(names):
            found.setdefault(name, []).append("Settings")
    return {name: tuple(teams) for name, teams in found.items()}


def display_names(connection: Connection) -> dict[str, str]:
    """Casefolded display name, or name where there is none -> issuer."""
    issuers = tables.issuers.c
    found: dict[str, str] = {}
    for name, display in connection.execute(select(issuers.name, issuers.display_name)):
        found[name.casefold()] = name
        if display is not None:
            found[display.casefold()] = name
    return found


def previous_names(connection: Connection, kind: Kind, names: Collection[str]) -> dict[str, str]:
    """Earlier name -> the resource that claims it in `metadata.previously`."""
    columns = tables.previous_names.c
    query = select(columns.previous, columns.name).where(columns.kind == kind)
    return {row[0]: row[1] for chunk in _chunks(names) for row in connection.execute(query.where(columns.previous.in_(chunk)))}


def granted_issuers(connection: Connection, names: Collection[str], excluding_teams: Collection[str]) -> frozenset[str]:
    """Those of the issuers that a team beside the excluded ones may use."""
    granted = teams_referring(connection, "Issuer", names)
    return frozenset(name for name, teams in granted.items() if not set(teams) <= set(excluding_teams))
