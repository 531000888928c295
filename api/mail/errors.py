"""A message that was not delivered, and the side at fault, which decides when it is tried again."""

from __future__ import annotations

from typing import Literal, TypeAlias

Fault: TypeAlias = Literal["server", "connection", "temporary", "permanent"]
"""`server`: it failed before this message came up, so the next one would fail as well. `connection`: it was lost or timed out
during this message. `temporary`, `permanent`: the server refused this message, for now (4xx) or for good (5xx)."""


class Undelivered(Exception):
    """Says why, for operators. Holds no secrets, and no control characters from a server."""

    def __init__(self, why: str, fault: Fault) -> None:
        super().__init__(why)
        self.fault = fault
