"""The surroundings of a change, to check it without reading everything: which names exist and who refers to them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import collate, func, or_, select

from reconciler.access.login_names import folded
from reconciler.access.references import references
from reconciler.access.resources import Kind, Settings
from reconciler.store import tables
from reconciler.store.chunks import in_chunks, select_rows
from reconciler.store.engine import Connection
from reconciler.store.rows import COLUMNS, read_settings, read_texts
from reconciler.store.tables import TABLES


def settings_in_force(connection: Connection) -> list[Settings]:
    """Read the declared settings, at most one; others, written by hand, come last, so that they never take effect."""
    rows = select_rows(connection, COLUMNS["settings"], "settings", "id", None)
    return sorted(map(read_settings, rows), key=lambda settings: settings.name != "default")


def names_existing(connection: Connection, kind: Kind, names: Collection[str]) -> frozenset[str]:
    """Return those of the names that declared resources have."""
    table = TABLES[kind]
    query = select(table.c.name) if kind != "User" else select(table.c.name).where(table.c.source == "declared")
    return frozenset(
        name for chunk in in_chunks(names) for name in connection.execute(query.where(table.c.name.in_(chunk))).scalars()
    )


def directory_names(connection: Connection, logins: Collection[str]) -> set[str]:
    """Return the names of directory accounts that are, folded, one of these logins, and written otherwise: `straße`."""
    query = select(tables.users.c.name).where(tables.users.c.source == "directory")
    names = connection.execute(query).scalars() if logins else ()
    return {name for name in names if not name.isascii() and folded(name) in logins}  # those of ASCII are in lower case


def all_names(connection: Connection, kind: Kind) -> list[str]:
    """Return every name of a kind, for suggestions."""
    return list(connection.execute(select(TABLES[kind].c.name)).scalars())


def teams_referring(connection: Connection, kind: Kind, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Map each name to the teams (or `Settings`) that refer to it, without names that nobody refers to."""
    found = _teams_linked(connection, kind, names) if kind != "Team" else _teams_named(connection, names)
    for settings in settings_in_force(connection) if names else ():
        for of, _, named in references(settings):
            for name in set(named) & set(names) if of == kind else ():
                found.setdefault(name, []).append("Settings")
    return {name: tuple(teams) for name, teams in found.items()}


def _teams_linked(connection: Connection, kind: Kind, names: Collection[str]) -> dict[str, list[str]]:
    """Map each user to the teams that have it as a member, or each issuer to those that may use it."""
    if not names or kind in ("EmailTemplate", "Settings"):
        return {}
    link, column, table = (
        (tables.memberships, tables.memberships.c.user_id, tables.users)
        if kind == "User"
        else (tables.permissions, tables.permissions.c.issuer_id, tables.issuers)
    )
    joined = tables.teams.join(link, link.c.team_id == tables.teams.c.id).join(table, column == table.c.id)
    found: dict[str, list[str]] = {}
    for chunk in in_chunks(names):
        query = select(table.c.name, tables.teams.c.name).select_from(joined).where(table.c.name.in_(chunk))
        for name, team in connection.execute(query.order_by(tables.teams.c.name)):
            found.setdefault(name, []).append(team)
    return found


def _teams_named(connection: Connection, names: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    query = select(tables.teams.c.name, tables.teams.c.may_decide_for).where(
        tables.teams.c.may_decide_for.not_in(["[]", '"everyone"'])
    )
    for team, decide_for in connection.execute(query.order_by(tables.teams.c.name)):
        for name in set(read_texts(decide_for)) & set(names):
            found.setdefault(name, []).append(team)
    return found


def display_names(connection: Connection, kind: Kind) -> dict[str, str]:
    """Map each casefolded name and display name to its issuer or team."""
    columns = TABLES[kind].c
    found: dict[str, str] = {}
    for name, display in connection.execute(select(columns.name, columns.display_name)):
        found[name.casefold()] = name
        if display is not None:
            found[display.casefold()] = name
    return found


def certdog_ids(connection: Connection, kind: Kind, identifiers: Collection[str]) -> dict[str, str]:
    """Map each of the identifiers that a resource declares for existing clients to that resource."""
    columns = TABLES[kind].c
    query = select(columns.certdog_id, columns.name)
    return {
        row[0]: row[1]
        for chunk in in_chunks(identifiers)
        for row in connection.execute(query.where(columns.certdog_id.in_(chunk)))
    }


def previous_names(connection: Connection, kind: Kind, names: Collection[str]) -> dict[str, str]:
    """Map each earlier name to the resource that claims it in `metadata.previously`."""
    columns = tables.previous_names.c
    query = select(columns.previous, columns.name).where(columns.kind == kind)
    return {row[0]: row[1] for chunk in in_chunks(names) for row in connection.execute(query.where(columns.previous.in_(chunk)))}


def identities(connection: Connection, wanted: Collection[str]) -> dict[str, str]:
    """Map each of the casefolded identities to the user who has it.

    Databases fold only the letters of ASCII alike: identities with others are read, and folded here.
    """
    name, identity = tables.users.c.name, tables.users.c.identity
    sqlite = connection.dialect.name == "sqlite"
    folded = func.lower(identity if sqlite else collate(identity, "C"))
    beyond = identity.op("GLOB")("*[^ -~]*") if sqlite else identity.op("~")("[^ -~]")
    query = select(identity, name).where(identity.is_not(None))
    rows = [row for chunk in in_chunks(wanted) for row in connection.execute(query.where(or_(folded.in_(chunk), beyond)))]
    return {row[0].casefold(): row[1] for row in rows if row[0].casefold() in wanted}


def granted_issuers(connection: Connection, names: Collection[str], excluding_teams: Collection[str]) -> frozenset[str]:
    """Return those of the issuers that teams other than the excluded ones may use."""
    granted = _teams_linked(connection, "Issuer", names)
    return frozenset(name for name, teams in granted.items() if not set(teams) <= set(excluding_teams))
