"""Issuers: lists of them, and of the teams and people that may use one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from api.state.accounts import IS_DISABLED
from api.state.counting import COUNTED, FEW, Count
from api.state.declared import Place, item_lines, read_place, shown_place
from api.state.pages import Page, among, contains
from api.state.reader import Reader, Row
from reconciler.access.state import earlier
from reconciler.store.rows import read_until
from reconciler.store.tables import instant_text

_ISSUERS = """SELECT i.id, i.name, i.display_name, i.description, i.enabled, i.file, i.line, r.commit_sha, r.author
FROM issuers i LEFT JOIN revisions r ON r.id = i.revision_id"""


class IssuerFilter(NamedTuple):
    """Which issuers are asked for. None leaves a part open."""

    search: str = ""
    """Text in the name, display name or description."""
    enabled: bool | None = None
    names: tuple[str, ...] | None = None
    """Only issuers that are among these."""


class IssuerSummary(NamedTuple):
    """An issuer in a list."""

    name: str
    display_name: str
    description: str
    enabled: bool
    teams: Count
    """Those that may use it now."""
    people: Count
    """The members of these teams, also those who are disabled."""
    file: str | None


class GrantedTeam(NamedTuple):
    """A team that may use an issuer, also one whose permission has ended."""

    team: str
    display_name: str
    members: Count
    until: datetime | None
    ended: bool
    place: Place | None


class Person(NamedTuple):
    """An account that is in a team that may use an issuer now."""

    user: str
    full_name: str | None
    enabled: bool
    through: tuple[str, ...]
    until: datetime | None
    """When the longest way ends; None: never."""


def list_issuers(reader: Reader, page: Page, now: datetime) -> dict[str, Any]:
    """A page of issuers by name, as the API shows them. Raises NotFound or StoreError."""
    rows = reader.rows(f"{_ISSUERS} WHERE i.name > ? ORDER BY i.name LIMIT ?", page.after_name, page.limit + 1)
    return page.cut(_shown(reader, rows, now), "name")


def find_issuer(reader: Reader, name: str, now: datetime) -> dict[str, Any] | None:
    """An issuer with the teams that may use it now. Raises StoreError."""
    shown = _shown(reader, reader.rows(f"{_ISSUERS} WHERE i.name = ?", name), now)
    return shown[0] if shown else None


def _shown(reader: Reader, rows: Sequence[Row], now: datetime) -> list[dict[str, Any]]:
    """Issuers as the API shows them, by as many queries as for one."""
    if not rows:
        return []
    teams: dict[int, list[str]] = {row[0]: [] for row in rows}
    for number, team in reader.rows(
        f"""SELECT p.issuer_id, t.name FROM permissions p JOIN teams t ON t.id = p.team_id
WHERE p.issuer_id IN ({", ".join("?" * len(teams))}) AND (p.until IS NULL OR p.until > ?) ORDER BY t.name""",
        *teams,
        instant_text(now),
    ):
        teams[number].append(team)
    return [
        {
            "name": name,
            "displayName": display_name or name,
            "description": description,
            "enabled": bool(enabled),
            "teams": teams[number],
            "declaredAt": shown_place(read_place(*place)),
        }
        for number, name, display_name, description, enabled, *place in rows
    ]


_TEAM_COUNT = f"""(SELECT count(*) FROM (SELECT 1 FROM permissions p
WHERE p.issuer_id = i.id AND (p.until IS NULL OR p.until > ?) LIMIT {COUNTED + 1}) AS granted)"""
_PEOPLE_OF = """SELECT DISTINCT m.user_id FROM permissions p JOIN {} m ON m.team_id = p.team_id
WHERE p.issuer_id = {} AND (p.until IS NULL OR p.until > ?)"""
_SEARCHED = ("i.name", "COALESCE(i.display_name, '')", "i.description")


def search_issuers(reader: Reader, page: Page, wanted: IssuerFilter, now: datetime) -> dict[str, Any]:
    """A page of the issuers that fit, by name: its `items` are summaries. Raises NotFound or StoreError."""
    where, values = _conditions(wanted)
    moment = instant_text(now)
    declared, directory = (_people_count(table, end) for table, end in _LINKS)
    rows = reader.rows(
        f"""SELECT i.name, i.display_name, i.description, i.enabled, {_TEAM_COUNT}, {declared} + {directory}, i.file
FROM issuers i WHERE i.id IN (SELECT i.id FROM issuers i WHERE i.name > ? AND {where} ORDER BY i.name LIMIT ?) ORDER BY i.name""",
        *[moment] * 4,
        page.after_name,
        *values,
        page.limit + 1,
    )
    return page.cut_by([_summary(row) for row in rows], lambda issuer: issuer.name)


_LINKS = (("memberships", " AND (m.until IS NULL OR m.until > ?)"), ("directory_memberships", ""))


def _people_count(table: str, end: str) -> str:
    """How many members of an issuer's teams there are in one of the tables of members."""
    return f"(SELECT count(*) FROM ({_PEOPLE_OF.format(table, 'i.id')}{end} LIMIT {COUNTED + 1}) AS of_{table})"


def _summary(row: Row) -> IssuerSummary:
    name, display_name, description, enabled, teams, people, file = row
    return IssuerSummary(name, display_name or name, description, bool(enabled), Count.of(teams), Count.of(people), file)


def count_issuers(reader: Reader, wanted: IssuerFilter) -> Count:
    """How many issuers fit. Raises StoreError."""
    where, values = _conditions(wanted)
    return Count.rows(reader, f"SELECT 1 FROM issuers i WHERE {where}", *values)


def _conditions(wanted: IssuerFilter) -> tuple[str, tuple[Any, ...]]:
    found: list[tuple[str, tuple[Any, ...]]] = [("TRUE", ())]
    if wanted.search:
        found.append(contains(_SEARCHED, wanted.search))
    if wanted.enabled is not None:
        found.append((f"{'' if wanted.enabled else 'NOT '}i.enabled", ()))
    if wanted.names is not None:
        found.append(among("i.name", wanted.names))
    return " AND ".join(text for text, _ in found), tuple(value for _, values in found for value in values)


_MEMBER_COUNT = f"""(SELECT count(*) FROM (SELECT 1 FROM memberships m
WHERE m.team_id = t.id AND (m.until IS NULL OR m.until > ?) LIMIT {COUNTED + 1}) AS of_git)
+ (SELECT count(*) FROM (SELECT 1 FROM directory_memberships d WHERE d.team_id = t.id LIMIT {COUNTED + 1}) AS of_directories)"""


_GRANTED_TEAMS = f"""SELECT t.name, t.display_name, {_MEMBER_COUNT}, f.until, t.item_lines, t.file, t.line,
r.commit_sha, r.author FROM (SELECT t.id, p.until FROM permissions p JOIN teams t ON t.id = p.team_id
WHERE p.issuer_id = (SELECT id FROM issuers WHERE name = ?) AND t.name > ? ORDER BY t.name LIMIT ?) f
JOIN teams t ON t.id = f.id LEFT JOIN revisions r ON r.id = t.revision_id ORDER BY t.name"""


def list_granted_teams(reader: Reader, issuer: str, page: Page, now: datetime) -> dict[str, Any]:
    """A page of the teams that may use an issuer, by name. Raises NotFound or StoreError."""
    rows = reader.rows(_GRANTED_TEAMS, instant_text(now), issuer, page.after_name, page.limit + 1)

    def team(row: Row) -> GrantedTeam:
        name, display_name, members, end, lines, *place = row
        until, at = read_until(end), read_place(*place)
        at = at and at.of_item(item_lines(lines, "issuers"), issuer)
        return GrantedTeam(name, display_name or name, Count.of(members), until, until is not None and until <= now, at)

    return page.cut_by([team(row) for row in rows], lambda each: each.team)


_MAY_USE = """(EXISTS (SELECT 1 FROM memberships m JOIN permissions p ON p.team_id = m.team_id WHERE m.user_id = u.id
AND u.source = 'declared' AND (m.until IS NULL OR m.until > ?) AND p.issuer_id = ? AND (p.until IS NULL OR p.until > ?))
OR EXISTS (SELECT 1 FROM directory_memberships d JOIN permissions p ON p.team_id = d.team_id WHERE d.user_id = u.id
AND u.source = 'directory' AND p.issuer_id = ? AND (p.until IS NULL OR p.until > ?)))"""


def list_people(reader: Reader, issuer: str, page: Page, now: datetime) -> dict[str, Any]:
    """A page of the accounts in teams that may use an issuer now, by name. Raises NotFound or StoreError."""
    row = reader.row("SELECT id FROM issuers WHERE name = ?", issuer)
    if row is None:
        return page.cut_by(list[Person](), lambda person: person.user)
    (number,), moment = row, instant_text(now)
    of_either = " UNION ".join(f"{_PEOPLE_OF.format(table, '?')}{end}" for table, end in _LINKS)
    few = (number, moment, moment, number, moment)
    values: tuple[Any, ...]
    where, values = f"u.id IN ({of_either})", few
    if len(reader.rows(f"SELECT user_id FROM ({of_either} LIMIT {FEW + 1}) AS found", *few)) > FEW:
        where, values = "TRUE", ()
    rows = reader.rows(
        f"""SELECT u.id, u.name, u.full_name, {IS_DISABLED} FROM users u LEFT JOIN account_states a ON a.user_id = u.id
WHERE u.name > ? AND {where} AND {_MAY_USE} ORDER BY u.name LIMIT ?""",
        page.after_name,
        *values,
        *(moment, number, moment, number, moment),
        page.limit + 1,
    )
    return page.cut_by(_people(reader, rows, number, moment), lambda each: each.user)


def _people(reader: Reader, rows: Sequence[Row], issuer: int, moment: str) -> list[Person]:
    if not rows:
        return []
    ways: dict[int, list[tuple[str, datetime | None]]] = {row[0]: [] for row in rows}
    these = ", ".join("?" * len(ways))
    for user, team, member_until, until in reader.rows(
        f"""SELECT m.user_id, t.name, m.until, p.until FROM (
SELECT user_id, team_id, until FROM memberships WHERE user_id IN ({these}) AND (until IS NULL OR until > ?)
UNION ALL SELECT user_id, team_id, NULL FROM directory_memberships WHERE user_id IN ({these})) m
JOIN permissions p ON p.team_id = m.team_id AND p.issuer_id = ? AND (p.until IS NULL OR p.until > ?)
JOIN teams t ON t.id = m.team_id ORDER BY t.name""",
        *ways,
        moment,
        *ways,
        issuer,
        moment,
    ):
        ways[user].append((team, earlier(read_until(member_until), read_until(until))))
    found = []
    for number, name, full_name, disabled in rows:
        ends = [end for _, end in ways[number]]
        until = None if None in ends or not ends else max(end for end in ends if end is not None)
        found.append(Person(name, full_name, not disabled, tuple(team for team, _ in ways[number]), until))
    return found
