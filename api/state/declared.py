"""Where Git declares what the database holds: the file and line of a resource and of the items in its lists, and the commit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import orjson

from api.state.reader import Reader

Kind = Literal["User", "Team", "Issuer"]
_TABLES: dict[Kind, str] = {"User": "users", "Team": "teams", "Issuer": "issuers"}


class Place(NamedTuple):
    """Where a fact is declared, and the commit that changed its resource last."""

    file: str
    line: int | None
    """None: unknown, because no revision was applied since Accord keeps lines."""
    commit: str | None
    author: str | None

    def of_item(self, lines: Mapping[str, int], item: str) -> Place:
        """Where an item of a list in this resource stands, by `item_lines`."""
        return self._replace(line=lines.get(item.casefold(), self.line))


def read_place(file: str | None, line: int | None, commit: str | None, author: str | None) -> Place | None:
    """The place of a row; None if Git does not declare it."""
    return None if file is None else Place(file, line, commit, author)


ItemList = Literal["members", "issuers", "adGroups", "permittedIPs"]
"""The lists of a team whose items have lines, as YAML calls them."""


def item_lines(text: str | None, of: ItemList) -> Mapping[str, int]:
    """The lines of a team's items by their names, in small letters; empty if they are unknown."""
    try:
        found = orjson.loads(text or "{}")[of]
    except (ValueError, KeyError, TypeError):  # written by hand, perhaps
        return {}
    return found if isinstance(found, dict) else {}


def exists(reader: Reader, kind: Kind, name: str) -> bool:
    """Whether there is a resource of this kind and name, declared or not. Raises StoreError."""
    return reader.row(f"SELECT id FROM {_TABLES[kind]} WHERE name = ?", name) is not None


def declared_among(reader: Reader, kind: Kind, names: Collection[str]) -> frozenset[str]:
    """Those of these names that Git declares: a proposal can change nothing else. Raises StoreError."""
    if not names:
        return frozenset()
    query = f"SELECT name FROM {_TABLES[kind]} WHERE file IS NOT NULL AND name IN ({', '.join('?' * len(names))})"
    return frozenset(name for (name,) in reader.rows(query, *names))


def place_of(reader: Reader, kind: Kind, name: str) -> Place | None:
    """Where a resource is declared; None if Git does not declare it. Raises StoreError."""
    table = _TABLES[kind]
    row = reader.row(
        f"""SELECT t.file, t.line, r.commit_sha, r.author FROM {table} t LEFT JOIN revisions r ON r.id = t.revision_id
WHERE t.name = ?""",
        name,
    )
    return None if row is None else read_place(*row)


def declared_at(reader: Reader, kind: Kind, name: str) -> dict[str, Any] | None:
    """The file that declares a resource and the commit that was applied last with it; None if Git does not declare it."""
    return shown_place(place_of(reader, kind, name))


def shown_place(place: Place | None) -> dict[str, Any] | None:
    """The same as the API shows it."""
    return None if place is None else {"file": place.file, "commit": place.commit}


class TeamPlace(NamedTuple):
    """Where a team is declared, and its lists."""

    place: Place | None
    lines: str | None
    """For `item_lines`."""

    def of(self, items: ItemList, item: str) -> Place | None:
        """Where an item of one of its lists stands."""
        return self.place and self.place.of_item(item_lines(self.lines, items), item)


def team_places(reader: Reader, names: Sequence[str]) -> dict[str, TeamPlace]:
    """Where teams are declared, by name. Raises StoreError."""
    if not names:
        return {}
    rows = reader.rows(
        f"""SELECT t.name, t.item_lines, t.file, t.line, r.commit_sha, r.author FROM teams t
LEFT JOIN revisions r ON r.id = t.revision_id WHERE t.name IN ({", ".join("?" * len(names))})""",
        *names,
    )
    return {name: TeamPlace(read_place(*place), lines) for name, lines, *place in rows}
