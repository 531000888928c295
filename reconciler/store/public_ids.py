"""Derives identifiers for new rows: none is, or was when the transaction began, that of another row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import Boolean, literal_column, select

from reconciler.access.public_ids import IDENTIFIED, derived_ids
from reconciler.access.resources import Kind
from reconciler.store.chunks import in_chunks
from reconciler.store.engine import Connection
from reconciler.store.tables import TABLES

_UNDERIVED, _DERIVED = (literal_column(f"public_id {sign} ''", Boolean) for sign in ("=", "<>"))
"""Spelled as in the indexes: databases do not use them for a value that they are given."""


def new_public_ids(
    connection: Connection, kind: Kind, names: Sequence[str], declared: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """Return an identifier for each new row. A renamed row keeps its own, so a new one with its old name gets another.

    `declared` are identifiers that are declared at once, and whose they are.
    """
    columns = TABLES[kind].c
    taken: set[str] = set()
    usual = [next(derived_ids(kind, name)) for name in names]
    if usual and connection.execute(select(columns.id).limit(1)).first() is not None:
        for chunk in in_chunks(usual):
            taken |= _taken(connection, kind, chunk)
    chosen: list[str] = []
    for name, first in zip(names, usual, strict=True):
        is_free = first not in taken and declared.get(first, name) == name
        identifier = first if is_free else _free(connection, kind, name, taken | declared.keys())
        taken.add(identifier)
        chosen.append(identifier)
    return chosen


def _taken(connection: Connection, kind: Kind, identifiers: Sequence[str]) -> set[str]:
    """Return those of the identifiers that a row has, derived or declared."""
    columns = TABLES[kind].c
    derived = select(columns.public_id).where(columns.public_id.in_(identifiers), _DERIVED)
    declared = select(columns.certdog_id).where(columns.certdog_id.in_(identifiers))
    return {*connection.execute(derived).scalars(), *connection.execute(declared).scalars()}


def _free(connection: Connection, kind: Kind, name: str, taken: Collection[str]) -> str:
    candidates = (each for each in derived_ids(kind, name) if each not in taken)
    return next(each for each in candidates if not _taken(connection, kind, [each]))


def derive_missing(connection: Connection) -> None:
    """Derive identifiers for rows that were made by hand, and have none."""
    for kind in IDENTIFIED:
        table = TABLES[kind]
        rows = connection.execute(select(table.c.id, table.c.name).where(_UNDERIVED)).all()
        for row, identifier in zip(rows, new_public_ids(connection, kind, [row.name for row in rows]), strict=True):
            connection.execute(table.update().where(table.c.id == row.id).values(public_id=identifier))
