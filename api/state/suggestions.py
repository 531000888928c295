"""Names that are offered while somebody types one."""

from __future__ import annotations

from typing import Literal

from api.state.reader import Reader

MOST = 50
_TABLES = {"User": "users", "Team": "teams", "Issuer": "issuers"}


def names_like(reader: Reader, kind: Literal["User", "Team", "Issuer"], text: str, limit: int = MOST) -> list[str]:
    """Names that begin with text, by name; if there is none, those that begin as it does. Raises StoreError."""
    for begun in dict.fromkeys((text, text[:3], text[:1])):
        query = f"SELECT name FROM {_TABLES[kind]} WHERE name >= ? AND name < ? ORDER BY name LIMIT ?"
        rows = reader.rows(query, begun, f"{begun}\U0010ffff", limit)
        if rows:
            return [name for (name,) in rows]
    return []
