"""Where messages go: to a mail server, or into a maildir."""

from __future__ import annotations

from typing import Protocol

from api.mail.maildir import Maildir
from api.mail.settings import MailSettings
from api.mail.smtp import Smtp


class Transport(Protocol):
    """Takes messages."""

    def send(self, recipient: str, content: bytes, message_id: str, *, secret: bool) -> None:
        """Hand over one message. Raises Undelivered."""

    def close(self) -> None:
        """Close what is open, for now."""

    def cut(self) -> None:
        """Interrupt a delivery, from another thread."""


def open_transport(settings: MailSettings) -> Transport:
    """The transport of this deployment."""
    if settings.server is None:
        return Maildir(settings.maildir)
    return Smtp(settings.server, sender=settings.sender, timeout=settings.timeout)
