"""Teams: lists of them, and of the members and issuers of one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from api.state.accounts import IS_DISABLED
from api.state.counting import COUNTED, FEW, Count
from api.state.declared import item_lines, read_place, shown_place
from api.state.pages import Page, among, contains
from api.state.reader import Reader, Row
from reconciler.store.rows import read_until
from reconciler.store.tables import instant_text

_TEAMS = """SELECT t.id, t.name, t.display_name, t.description, t.administrator, t.ad_groups, t.permitted_ips, t.file, t.line,
r.commit_sha, r.author FROM teams t LEFT JOIN revisions r ON r.id = t.revision_id"""


class TeamFilter(NamedTuple):
    """Which teams are asked for. None leaves a part open."""

    search: str = ""
    """Text in the name, display name or description."""
    issuer: str | None = None
    """Teams that may use it now."""
    administrator: bool | None = None
    names: tuple[str, ...] | None = None
    """Only teams that are among these."""


class TeamSummary(NamedTuple):
    """A team in a list."""

    name: str
    display_name: str
    description: str
    administrator: bool
    members: Count
    issuers: Count
    """Those that it may use now."""
    ad_groups: int
    permitted_ips: int
    file: str | None


class Member(NamedTuple):
    """A member of a team, also one whose membership has ended."""

    user: str
    full_name: str | None
    source: str
    enabled: bool
    until: datetime | None
    ended: bool
    reason: str | None
    """Why it is a member; for a directory account, the AD group that makes it one."""
    line: int | None
    """In the team's file, or that of its AD groups; None: unknown."""


class Grant(NamedTuple):
    """An issuer that a team may use, also one whose permission has ended."""

    issuer: str
    display_name: str
    enabled: bool
    until: datetime | None
    ended: bool
    line: int | None
    """In the team's file; None: unknown."""


def list_teams(reader: Reader, page: Page, now: datetime) -> dict[str, Any]:
    """A page of teams by name, as the API shows them. Raises NotFound or StoreError."""
    rows = reader.rows(f"{_TEAMS} WHERE t.name > ? ORDER BY t.name LIMIT ?", page.after_name, page.limit + 1)
    return page.cut(_shown(reader, rows, now), "name")


def find_team(reader: Reader, name: str, now: datetime) -> dict[str, Any] | None:
    """A team with its AD groups, its members' number and the issuers they may use now. Raises StoreError."""
    shown = _shown(reader, reader.rows(f"{_TEAMS} WHERE t.name = ?", name), now)
    return shown[0] if shown else None


def _shown(reader: Reader, rows: Sequence[Row], now: datetime) -> list[dict[str, Any]]:
    """Teams as the API shows them, by as many queries as for one."""
    if not rows:
        return []
    moment, numbers = instant_text(now), [row[0] for row in rows]
    these = f"({', '.join('?' * len(numbers))})"
    issuers: dict[int, list[str]] = {number: [] for number in numbers}
    for team, issuer in reader.rows(
        f"""SELECT p.team_id, i.name FROM permissions p JOIN issuers i ON i.id = p.issuer_id
WHERE p.team_id IN {these} AND (p.until IS NULL OR p.until > ?) ORDER BY i.name""",
        *numbers,
        moment,
    ):
        issuers[team].append(issuer)
    counts = f"SELECT t.id, {_EXACT_COUNT} FROM teams t WHERE t.id IN {these}"
    members = {row[0]: row[1] for row in reader.rows(counts, moment, *numbers)}
    return [
        {
            "name": name,
            "displayName": display_name or name,
            "description": description,
            "administrator": bool(administrator),
            "members": members[number],
            "issuers": issuers[number],
            "adGroups": orjson.loads(groups),
            "permittedIPs": orjson.loads(ips),
            "declaredAt": shown_place(read_place(*place)),
        }
        for number, name, display_name, description, administrator, groups, ips, *place in rows
    ]


_EXACT_COUNT = """(SELECT count(*) FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.team_id = t.id AND u.source = 'declared' AND (m.until IS NULL OR m.until > ?))
+ (SELECT count(*) FROM directory_memberships d JOIN users u ON u.id = d.user_id
WHERE d.team_id = t.id AND u.source = 'directory')"""
_MEMBER_COUNT = f"""(SELECT count(*) FROM (SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.team_id = t.id AND u.source = 'declared' AND (m.until IS NULL OR m.until > ?) LIMIT {COUNTED + 1}) AS of_git)
+ (SELECT count(*) FROM (SELECT 1 FROM directory_memberships d JOIN users u ON u.id = d.user_id
WHERE d.team_id = t.id AND u.source = 'directory' LIMIT {COUNTED + 1}) AS of_directories)"""
_ISSUER_COUNT = f"""(SELECT count(*) FROM (SELECT 1 FROM permissions p
WHERE p.team_id = t.id AND (p.until IS NULL OR p.until > ?) LIMIT {COUNTED + 1}) AS granted)"""
_SEARCHED = ("t.name", "COALESCE(t.display_name, '')", "t.description")
_GRANTED = """t.id IN (SELECT p.team_id FROM permissions p JOIN issuers i ON i.id = p.issuer_id
WHERE i.name = ? AND (p.until IS NULL OR p.until > ?))"""


def search_teams(reader: Reader, page: Page, wanted: TeamFilter, now: datetime) -> dict[str, Any]:
    """A page of the teams that fit, by name: its `items` are summaries. Raises NotFound or StoreError."""
    where, values = _conditions(wanted, now)
    moment = instant_text(now)
    rows = reader.rows(
        f"""SELECT t.name, t.display_name, t.description, t.administrator, {_MEMBER_COUNT}, {_ISSUER_COUNT}, t.ad_groups,
t.permitted_ips, t.file FROM teams t WHERE t.id IN (SELECT t.id FROM teams t WHERE t.name > ? AND {where}
ORDER BY t.name LIMIT ?) ORDER BY t.name""",
        moment,
        moment,
        page.after_name,
        *values,
        page.limit + 1,
    )
    return page.cut_by([_summary(row) for row in rows], lambda team: team.name)


def _summary(row: Row) -> TeamSummary:
    name, display_name, description, administrator, members, issuers, groups, ips, file = row
    return TeamSummary(
        name,
        display_name or name,
        description,
        bool(administrator),
        Count.of(members),
        Count.of(issuers),
        len(orjson.loads(groups)),
        len(orjson.loads(ips)),
        file,
    )


def count_teams(reader: Reader, wanted: TeamFilter, now: datetime) -> Count:
    """How many teams fit. Raises StoreError."""
    where, values = _conditions(wanted, now)
    return Count.rows(reader, f"SELECT 1 FROM teams t WHERE {where}", *values)


def _conditions(wanted: TeamFilter, now: datetime) -> tuple[str, tuple[Any, ...]]:
    found: list[tuple[str, tuple[Any, ...]]] = [("TRUE", ())]
    if wanted.search:
        found.append(contains(_SEARCHED, wanted.search))
    if wanted.issuer is not None:
        found.append((_GRANTED, (wanted.issuer, instant_text(now))))
    if wanted.administrator is not None:
        found.append((f"{'' if wanted.administrator else 'NOT '}t.administrator", ()))
    if wanted.names is not None:
        found.append(among("t.name", wanted.names))
    return " AND ".join(text for text, _ in found), tuple(value for _, values in found for value in values)


_MEMBER = f"""SELECT u.name, u.full_name, u.source, {IS_DISABLED}, m.until, m.reason, d.ad_group
FROM {{}} LEFT JOIN memberships m ON m.user_id = u.id AND m.team_id = t.id AND u.source = 'declared'
LEFT JOIN directory_memberships d ON d.user_id = u.id AND d.team_id = t.id AND u.source = 'directory'
LEFT JOIN account_states a ON a.user_id = u.id"""
_LINKED = "SELECT user_id FROM memberships WHERE team_id = ? UNION SELECT user_id FROM directory_memberships WHERE team_id = ?"
_IS_MEMBER = "(m.user_id IS NOT NULL OR d.user_id IS NOT NULL)"


def list_members(reader: Reader, team: str, page: Page, now: datetime) -> dict[str, Any]:
    """A page of a team's members by name; empty without such a team. Raises NotFound or StoreError."""
    row = reader.row("SELECT id, line, item_lines FROM teams WHERE name = ?", team)
    if row is None:
        return page.cut_by(list[Member](), lambda member: member.user)
    number, line, lines = row
    some = f"SELECT user_id FROM ({_LINKED}) AS linked LIMIT {FEW + 1}"
    if len(reader.rows(some, number, number)) <= FEW:
        source = f"(SELECT * FROM users WHERE id IN ({_LINKED})) u JOIN teams t ON t.id = ?"
        values: tuple[Any, ...] = (number, number, number)
    else:  # by name, until there are enough: sorting all of them would take longer
        source, values = "users u CROSS JOIN (SELECT id FROM teams WHERE id = ?) t", (number,)
    rows = reader.rows(
        f"{_MEMBER.format(source)} WHERE u.name > ? AND {_IS_MEMBER} ORDER BY u.name LIMIT ?",
        *values,
        page.after_name,
        page.limit + 1,
    )
    members, groups = item_lines(lines, "members"), item_lines(lines, "adGroups")

    def member(row: Row) -> Member:
        name, full_name, kind, disabled, end, reason, group = row
        until = read_until(end)
        at = members.get(name, line) if kind == "declared" else groups.get((group or "").casefold(), line)
        return Member(name, full_name, kind, not disabled, until, until is not None and until <= now, reason or group, at)

    return page.cut_by([member(row) for row in rows], lambda each: each.user)


def list_grants(reader: Reader, team: str, page: Page, now: datetime) -> dict[str, Any]:
    """A page of the issuers that a team may use, by name. Raises NotFound or StoreError."""
    rows = reader.rows(
        """SELECT i.name, i.display_name, i.enabled, p.until, t.line, t.item_lines FROM permissions p
JOIN teams t ON t.id = p.team_id JOIN issuers i ON i.id = p.issuer_id
WHERE t.name = ? AND i.name > ? ORDER BY i.name LIMIT ?""",
        team,
        page.after_name,
        page.limit + 1,
    )
    lines = item_lines(rows[0][5], "issuers") if rows else {}

    def grant(row: Row) -> Grant:
        name, display_name, enabled, end, line, _ = row
        until = read_until(end)
        return Grant(name, display_name or name, bool(enabled), until, until is not None and until <= now, lines.get(name, line))

    return page.cut_by([grant(row) for row in rows], lambda each: each.issuer)
