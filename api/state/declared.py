"""What Git declares, as the database holds it: teams, issuers, and the file that declares a resource."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import orjson

from api.state.accounts import MEMBERS
from api.state.pages import Page
from api.state.reader import Reader, Row
from reconciler.store.tables import instant_text

Kind = Literal["User", "Team", "Issuer"]
_TABLES: dict[Kind, str] = {"User": "users", "Team": "teams", "Issuer": "issuers"}
_TEAMS = """SELECT t.id, t.name, t.display_name, t.description, t.administrator, t.ad_groups, t.permitted_ips, t.file,
r.commit_sha FROM teams t LEFT JOIN revisions r ON r.id = t.revision_id"""
_ISSUERS = """SELECT i.id, i.name, i.display_name, i.description, i.enabled, i.file, r.commit_sha
FROM issuers i LEFT JOIN revisions r ON r.id = i.revision_id"""


def exists(reader: Reader, kind: Kind, name: str) -> bool:
    """Whether there is a resource of this kind and name, declared or not. Raises StoreError."""
    return reader.row(f"SELECT id FROM {_TABLES[kind]} WHERE name = ?", name) is not None


def declared_at(reader: Reader, kind: Kind, name: str) -> dict[str, Any] | None:
    """The file that declares a resource and the commit that was applied last with it; None if Git does not declare it."""
    row = reader.row(
        f"SELECT t.file, r.commit_sha FROM {_TABLES[kind]} t LEFT JOIN revisions r ON r.id = t.revision_id WHERE t.name = ?", name
    )
    return None if row is None else _place(*row)


def _place(file: str | None, commit: str | None) -> dict[str, Any] | None:
    return None if file is None else {"file": file, "commit": commit}


def list_teams(reader: Reader, page: Page, now: datetime) -> dict[str, Any]:
    """A page of teams by name. Raises NotFound or StoreError."""
    rows = reader.rows(f"{_TEAMS} WHERE t.name > ? ORDER BY t.name LIMIT ?", page.after_name, page.limit + 1)
    return page.cut([_team(reader, row, now) for row in rows], "name")


def find_team(reader: Reader, name: str, now: datetime) -> dict[str, Any] | None:
    """A team with its AD groups, its members' number and the issuers they may use now. Raises StoreError."""
    row = reader.row(f"{_TEAMS} WHERE t.name = ?", name)
    return None if row is None else _team(reader, row, now)


def _team(reader: Reader, row: Row, now: datetime) -> dict[str, Any]:
    number, name, display_name, description, administrator, groups, ips, file, commit = row
    moment = instant_text(now)
    issuers = reader.rows(
        "SELECT i.name FROM permissions p JOIN issuers i ON i.id = p.issuer_id WHERE p.team_id = ? "
        "AND (p.until IS NULL OR p.until > ?) ORDER BY i.name",
        number,
        moment,
    )
    (members,) = reader.rows(f"SELECT count(*) FROM {MEMBERS} WHERE team_id = ?", moment, number)
    return {
        "name": name,
        "displayName": display_name or name,
        "description": description,
        "administrator": bool(administrator),
        "members": members[0],
        "issuers": [issuer for (issuer,) in issuers],
        "adGroups": orjson.loads(groups),
        "permittedIPs": orjson.loads(ips),
        "declaredAt": _place(file, commit),
    }


def list_issuers(reader: Reader, page: Page, now: datetime) -> dict[str, Any]:
    """A page of issuers by name. Raises NotFound or StoreError."""
    rows = reader.rows(f"{_ISSUERS} WHERE i.name > ? ORDER BY i.name LIMIT ?", page.after_name, page.limit + 1)
    return page.cut([_issuer(reader, row, now) for row in rows], "name")


def find_issuer(reader: Reader, name: str, now: datetime) -> dict[str, Any] | None:
    """An issuer with the teams that may use it now. Raises StoreError."""
    row = reader.row(f"{_ISSUERS} WHERE i.name = ?", name)
    return None if row is None else _issuer(reader, row, now)


def _issuer(reader: Reader, row: Row, now: datetime) -> dict[str, Any]:
    number, name, display_name, description, enabled, file, commit = row
    teams = reader.rows(
        "SELECT t.name FROM permissions p JOIN teams t ON t.id = p.team_id WHERE p.issuer_id = ? "
        "AND (p.until IS NULL OR p.until > ?) ORDER BY t.name",
        number,
        instant_text(now),
    )
    return {
        "name": name,
        "displayName": display_name or name,
        "description": description,
        "enabled": bool(enabled),
        "teams": [team for (team,) in teams],
        "declaredAt": _place(file, commit),
    }
