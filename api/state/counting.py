"""Counts that take no longer, however much there is to count."""

from __future__ import annotations

from typing import Any, NamedTuple

from api.state.reader import Reader

COUNTED = 1_000
"""How many items are counted at most: counting all of them would take as long as reading all of them."""
FEW = 2_000
"""Up to so many, it is quicker to read all that fit and sort them than to look for them in their order."""


class Count(NamedTuple):
    """How many items there are, counted up to a limit."""

    number: int
    is_more: bool
    """There are more than `number`."""

    def __str__(self) -> str:
        return f"{self.number:,}{'+' * self.is_more}"

    @classmethod
    def of(cls, number: int) -> Count:
        """The count of what was counted up to one more than the limit."""
        return cls(min(number, COUNTED), number > COUNTED)

    @classmethod
    def rows(cls, reader: Reader, rows: str, *values: Any) -> Count:
        """How many rows a query has. Raises StoreError."""
        row = reader.row(f"SELECT count(*) FROM ({rows} LIMIT {COUNTED + 1}) AS counted", *values)
        return cls.of(0 if row is None else row[0])
