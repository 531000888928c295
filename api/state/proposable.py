"""What forms for changes of declared users start from, and what ends with an account."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from api.state.pages import among
from api.state.reader import Reader
from reconciler.store.tables import instant_text


class DeclaredUser(NamedTuple):
    """A user as Git declares it, and the teams that Git puts it in, also those in which its membership has ended."""

    name: str
    email: str
    full_name: str
    type: str
    enabled: bool
    teams: tuple[str, ...]


class Ending(NamedTuple):
    """What an account has now, and what ends with it."""

    tokens: int
    sessions: int
    certificates: int
    """Certificates stay valid; nobody is reminded of them by name any more."""


class Link(NamedTuple):
    """A membership or a permission as Git declares it."""

    until: str | None
    reason: str | None


def declared_user(reader: Reader, name: str) -> DeclaredUser | None:
    """A user whom Git declares; None without one, also if a directory has it, or the database alone. Raises StoreError."""
    row = reader.row("SELECT id, email, full_name, type, disabled_by_git FROM users WHERE name = ? AND file IS NOT NULL", name)
    if row is None:
        return None
    number, email, full_name, kind, disabled = row
    teams = reader.rows(
        """SELECT t.name FROM memberships m JOIN teams t ON t.id = m.team_id
WHERE m.user_id = ? AND t.file IS NOT NULL ORDER BY t.name""",
        number,
    )
    return DeclaredUser(name, email, full_name or "", kind, not disabled, tuple(team for (team,) in teams))


def what_ends(reader: Reader, name: str, now: datetime) -> Ending:
    """What ends with an account: its live tokens and sessions, and its certificates that are still valid. Raises StoreError."""
    moment = instant_text(now)
    counted: dict[str, int] = dict(
        reader.rows(
            """SELECT t.kind, count(*) FROM tokens t JOIN users u ON u.id = t.user_id
WHERE u.name = ? AND t.revoked_at IS NULL AND t.expires_at > ? GROUP BY t.kind""",
            name,
            moment,
        )
    )
    (certificates,) = reader.rows(
        """SELECT count(*) FROM certificates c JOIN users u ON u.id = c.owner_id
WHERE u.name = ? AND c.revoked_at IS NULL AND c.not_after > ?""",
        name,
        moment,
    )
    return Ending(counted.get("token", 0), counted.get("session", 0), certificates[0])


def membership(reader: Reader, team: str, user: str) -> Link | None:
    """A declared membership. Raises StoreError."""
    row = reader.row(
        """SELECT m.until, m.reason FROM memberships m JOIN teams t ON t.id = m.team_id JOIN users u ON u.id = m.user_id
WHERE t.name = ? AND u.name = ?""",
        team,
        user,
    )
    return None if row is None else Link(*row)


def permission(reader: Reader, team: str, issuer: str) -> Link | None:
    """A declared permission. Raises StoreError."""
    row = reader.row(
        """SELECT p.until FROM permissions p JOIN teams t ON t.id = p.team_id JOIN issuers i ON i.id = p.issuer_id
WHERE t.name = ? AND i.name = ?""",
        team,
        issuer,
    )
    return None if row is None else Link(row[0], None)


def files_of_teams_alone(reader: Reader, teams: Iterable[str]) -> frozenset[str]:
    """The files that declare these teams, and nothing else that was applied. Raises StoreError.

    Each table is read once, however many teams there are.
    """
    named, names = among("name", sorted(set(teams)))
    files = [file for (file,) in reader.rows(f"SELECT DISTINCT file FROM teams WHERE {named} AND file IS NOT NULL", *names)]
    within, values = among("file", files)
    others = f"SELECT file FROM teams WHERE {within} AND NOT {named}"
    others += "".join(f" UNION SELECT file FROM {table} WHERE {within}" for table in _OTHERS)
    shared = {file for (file,) in reader.rows(others, *values, *names, *(values * len(_OTHERS)))}
    return frozenset(files) - shared


_OTHERS = ("users", "issuers", "email_templates", "settings")


def shares_address(reader: Reader, name: str, email: str) -> bool:
    """Whether another account has this e-mail address, too. Raises StoreError."""
    return reader.row("SELECT 1 FROM users WHERE email = ? AND name <> ? LIMIT 1", email, name) is not None


def team_names(reader: Reader, most: int) -> list[str]:
    """The names of teams that Git declares, if they are not more than so many; otherwise none. Raises StoreError."""
    rows = reader.rows("SELECT name FROM teams WHERE file IS NOT NULL ORDER BY name LIMIT ?", most + 1)
    return [] if len(rows) > most else [name for (name,) in rows]
