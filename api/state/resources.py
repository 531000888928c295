"""Declared resources as they are in the database, one at a time, and the folder's delegation that each is declared under."""

from __future__ import annotations

from api.state.declared import Place
from api.state.reader import Reader
from reconciler.access.delegation import Zones
from reconciler.access.resources import Delegation, Issuer, Team
from reconciler.store.rows import COLUMNS, read_issuer, read_settings, read_team


def team_of(reader: Reader, name: str) -> Team | None:
    """A team without its members and permissions, which have lists of their own. Raises StoreError."""
    row = reader.row(f"SELECT {COLUMNS['teams']} FROM teams WHERE name = ?", name)
    return None if row is None else read_team(row, (), ())


def issuer_of(reader: Reader, name: str) -> Issuer | None:
    """An issuer. Raises StoreError."""
    row = reader.row(f"SELECT {COLUMNS['issuers']} FROM issuers WHERE name = ?", name)
    return None if row is None else read_issuer(row)


def delegation_of(reader: Reader, place: Place | None) -> Delegation | None:
    """The delegation that limits what a resource's file may say, by the settings in force; None if none does.

    Raises StoreError.
    """
    if place is None:
        return None
    row = reader.row(f"SELECT {COLUMNS['settings']} FROM settings WHERE name = 'default'")
    return None if row is None else Zones(read_settings(row).delegation).of(place.file)
