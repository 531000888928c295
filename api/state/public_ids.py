"""The identifiers by which existing clients know users, teams and issuers: 24 hexadecimal digits that stay."""

from __future__ import annotations

from collections.abc import Iterable

from api.state.reader import Reader
from reconciler.access.resources import Kind
from reconciler.store.tables import TABLES


def id_of(reader: Reader, kind: Kind, name: str) -> str | None:
    """The identifier of a user, team or issuer: the declared one, or the one derived when it was created.

    None if there is no such resource, or if a hand made it and no revision was applied since. Raises StoreError.
    """
    row = reader.row(f"SELECT certdog_id, public_id FROM {TABLES[kind].name} WHERE name = ?", name)
    return None if row is None else row[0] or row[1] or None


def name_of(reader: Reader, kind: Kind, identifier: str) -> str | None:
    """The name of the one resource that has an identifier, be it declared or derived: clients may have stored either.

    None if no resource has it, or more than one. Raises StoreError.
    """
    table = TABLES[kind].name
    names = {
        name
        for condition in ("certdog_id = ?", "public_id = ? AND public_id <> ''")
        for (name,) in reader.rows(f"SELECT name FROM {table} WHERE {condition}", identifier.lower())
    }
    return names.pop() if len(names) == 1 else None


def ids_of(reader: Reader, kind: Kind, names: Iterable[str]) -> list[str]:
    """The identifiers of those of the resources that have one. Raises StoreError."""
    return [found for name in names if (found := id_of(reader, kind, name)) is not None]
