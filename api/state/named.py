"""Which of some names are those of something that has a page."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from api.state.reader import Reader

_QUERIES: Mapping[str, str] = {
    "User": "SELECT name FROM users WHERE name IN ({})",
    "Team": "SELECT name FROM teams WHERE name IN ({})",
    "Issuer": "SELECT name FROM issuers WHERE name IN ({})",
    "Certificate": "SELECT id FROM certificates WHERE id IN ({})",
}
_LARGEST = 10**9
Key = tuple[str, str]
"""A kind and a name, as the audit log has them."""


def existing(reader: Reader, keys: Iterable[Key]) -> frozenset[Key]:
    """Those that exist now. A certificate's name is its number. Raises StoreError."""
    by_kind: dict[str, set[str]] = {}
    for kind, name in keys:
        if kind in _QUERIES and name:
            by_kind.setdefault(kind, set()).add(name)
    return frozenset((kind, name) for kind, names in by_kind.items() for name in _existing(reader, kind, names))


def _existing(reader: Reader, kind: str, names: Collection[str]) -> list[str]:
    wanted: list[str] | list[int] = sorted(names)
    if kind == "Certificate":
        wanted = [int(name) for name in names if name.isascii() and name.isdecimal() and len(name) < 10 and int(name) < _LARGEST]
    if not wanted:
        return []
    return [str(name) for (name,) in reader.rows(_QUERIES[kind].format(", ".join("?" * len(wanted))), *wanted)]
