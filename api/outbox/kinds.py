"""What the sender has to be told of each kind of message: the people who put it into the outbox know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from api.outbox.claims import Claimed
from api.outbox.messages import Ending
from reconciler.store.engine import Connection

Effect = Callable[[Connection, datetime], None]
"""What happens in the transaction that records what became of a message."""


class Material(NamedTuple):
    """What a message says, and to whom."""

    address: str
    name: str
    """The recipient's, for the header; may be empty."""
    variables: Mapping[str, Any]
    link_hosts: frozenset[str] = frozenset()
    """Where its links may lead, besides the hosts that the deployment names."""
    make_password: Callable[[datetime], Password] | None = None
    """Makes the password that the message brings. It takes a while, so it is called outside any transaction."""


def user_variables(name: str, full_name: str | None, email: str | None) -> dict[str, str | None]:
    """What every mail can say of the account that it is about, as `user`; None for what is not known."""
    return {"name": name, "fullName": full_name or None, "email": email or None}


class Password(NamedTuple):
    """A generated password, for one message."""

    secret: str
    expires_at: datetime
    take_effect: Effect

    @property
    def variables(self) -> dict[str, Any]:
        """What the mail says of it."""
        return {"password": self.secret, "passwordExpires": self.expires_at}


class Unsendable(Exception):
    """A message that will never be sent. `tell_others` tells others instead, in the transaction that ends it."""

    def __init__(self, ending: Ending, *, tell_others: Effect | None = None) -> None:
        super().__init__(ending.why)
        self.ending = ending
        self.tell_others = tell_others


class Held(Exception):
    """A message that has to wait, because its account is disabled."""


class MessageKind(Protocol):
    """What is known of messages with certain templates."""

    def gather(self, connection: Connection, message: Claimed, now: datetime) -> Material:
        """What a message says, read at one moment. Raises Unsendable, Held or StoreError."""

    def tell_others(self, message: Claimed) -> Effect | None:
        """What tells others in place of a recipient who cannot be reached; None if what it says is for nobody else."""
