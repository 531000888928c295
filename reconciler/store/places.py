"""Where declared facts stand: the file of each resource, its line, and those of the items in a team's lists.

They are bookkeeping: no digest covers them, and only what was read anew is written anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.access.resources import Key, Kind, Origin
from reconciler.store.engine import Connection
from reconciler.store.tables import TABLES


def place_columns(kind: Kind, origin: Origin | None) -> dict[str, Any]:
    """Return the columns that say where a resource is declared; None: nobody knows."""
    found: dict[str, Any] = {"file": origin and origin.file, "line": (origin and origin.line) or None}
    return {**found, "item_lines": (origin and origin.items) or None} if kind == "Team" else found


def write_shifts(connection: Connection, shifts: Iterable[tuple[Key, Origin]]) -> None:
    """Write the lines of resources that changed in nothing else."""
    by_kind: dict[Kind, list[tuple[Any, ...]]] = {}
    for (kind, name), origin in shifts:
        columns = place_columns(kind, origin)
        by_kind.setdefault(kind, []).append((*columns.values(), name))
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    for kind, rows in by_kind.items():
        names = ", ".join(f"{column} = {mark}" for column in place_columns(kind, None))
        connection.exec_driver_sql(f"UPDATE {TABLES[kind].name} SET {names} WHERE name = {mark}", rows)
