"""A message that was not delivered, and whose fault that was: on it depends when it is tried again."""

from __future__ import annotations

from typing import Literal, TypeAlias

Fault: TypeAlias = Literal["server", "connection", "temporary", "permanent"]
"""`server`: nothing was said of this message, and the next would fare no better. `connection`: it was lost, or took too long, in
the middle of this message. `temporary`, `permanent`: the server refused this message, for now (4xx) or for good (5xx)."""


class Undelivered(Exception):
    """Why, in words for an operator: no secret, and nothing of a server's that a terminal would obey."""

    def __init__(self, why: str, fault: Fault) -> None:
        super().__init__(why)
        self.fault = fault
