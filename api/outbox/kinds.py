"""What the sender has to be told of each kind of message: the people who put it into the outbox know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from api.outbox.claims import Claimed
from api.outbox.messages import Ending, Outcome
from reconciler.store.engine import Connection

Effect = Callable[[Connection, datetime], None]
"""What takes effect in the transaction that says that a message was sent."""


class Material(NamedTuple):
    """What a message says, and to whom."""

    address: str
    name: str
    """The recipient's, for the header; may be empty."""
    variables: Mapping[str, Any]
    make_password: Callable[[datetime], Password] | None = None
    """Makes the password that the message brings. It takes a while, so it is called outside any transaction."""


class Password(NamedTuple):
    """A generated password, for one message."""

    variables: Mapping[str, Any]
    take_effect: Effect


class Unsendable(Exception):
    """A message that will never be sent."""

    def __init__(self, why: str, outcome: Literal[Outcome.UNWANTED, Outcome.GIVEN_UP], *, tells_others: bool = False) -> None:
        super().__init__(why)
        self.ending = Ending(why, outcome, tells_others)


class Held(Exception):
    """A message that has to wait, because its account is disabled."""


class MessageKind(Protocol):
    """What is known of messages with certain templates."""

    def gather(self, connection: Connection, message: Claimed, now: datetime) -> Material:
        """What a message says, read at one moment. Raises Unsendable, Held or StoreError."""

    def replace(self, connection: Connection, message: Claimed, now: datetime) -> int:
        """Tell others instead, if the ending of a message says so; how many. Raises StoreError."""
