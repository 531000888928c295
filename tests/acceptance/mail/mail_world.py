"""The API over a database. Tests decide when its outbox is delivered, by senders that do not wait long."""

from __future__ import annotations

import email
import email.policy
import re
import sys
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from sqlalchemy import select

sys.path.append(str(Path(__file__).parent.parent / "api"))

from client import World
from mail_server import PASSWORD, USERNAME, Received, parts
from waiting import LONG

from api import administration
from api.authentication.authority import OperatorsAuthority
from api.mail.delivery import Delivery
from api.mail.retry_policy import RetryPolicy
from api.mail.settings import MailSettings, SmtpServer
from reconciler.store import tables

_NONE = timedelta(0)
AT_ONCE = RetryPolicy(*(_NONE,) * 3, 3, *(timedelta(milliseconds=1),) * 2, 10)
"""Messages that failed are due again at once."""
_SECRET = re.compile(r"\b([a-z2-9]{5}(?:-[a-z2-9]{5}){5,})\b")


class MailWorld(World):
    """A world whose first mails were deleted."""

    def start(self) -> None:
        super().start()
        self.folder = Path()
        self.set_password("root")  # without an administrator who can log in nothing more could be applied
        self.execute("DELETE FROM outbox")

    def mail_settings(self, port: int = 0, ca_file: Path | None = None, **more: Any) -> MailSettings:
        """Settings for a server on a port, or for a maildir."""
        server = SmtpServer(
            host="127.0.0.1", port=port, security="starttls", username=USERNAME, password=PASSWORD, ca_file=str(ca_file or "")
        )
        server = server._replace(**{name: more.pop(name) for name in SmtpServer._fields if name in more})
        settings = MailSettings(
            delivers=True,
            server=server if port else None,
            maildir=self.folder / "mail",
            sender="accord@example.org",
            timeout=LONG,
            give_up=timedelta(days=3),
            public_url="",
        )
        return settings._replace(**more)

    def sender(self, settings: MailSettings, policy: RetryPolicy = AT_ONCE) -> Delivery:
        """A sender that delivers when it is told to."""
        service = self.service
        return Delivery(settings, service.reader, service.message_kinds, service.metrics, policy=policy)

    def deliver(self, settings: MailSettings, policy: RetryPolicy = AT_ONCE, times: int = 1) -> None:
        """Deliver the messages that are due, this many times."""
        sender = self.sender(settings, policy)
        for _ in range(times):
            sender.deliver(datetime.now(UTC))

    def reset(self, name: str = "alice") -> None:
        """Ask for a new password by mail, as another administrator does."""
        administration.reset_password(OperatorsAuthority(self.service.database, "another"), name)

    def put(self, template: str, name: str | None = None, **values: Any) -> int:
        """Put a message straight into the outbox; returns its ID."""
        with self.service.database.noting() as connection:
            user_id = connection.execute(select(tables.users.c.id).where(tables.users.c.name == (name or ""))).scalar()
            values = {"template": template, "user_id": user_id, "created_at": datetime.now(UTC), **values}
            found = connection.execute(tables.outbox.insert().values(**values))
            return int(found.inserted_primary_key[0])

    def row(self, number: int | None = None) -> Any:
        """A message of the outbox, by default the newest."""
        query = select(tables.outbox).order_by(tables.outbox.c.id.desc())
        with self.service.database.reading() as connection:
            return connection.execute(query if number is None else query.where(tables.outbox.c.id == number)).first()

    def rows(self) -> list[Any]:
        with self.service.database.reading() as connection:
            return list(connection.execute(select(tables.outbox).order_by(tables.outbox.c.id)))

    def account(self, name: str) -> Any:
        from api.state import accounts

        with self.service.database.reading() as connection:
            return accounts.find(connection, name)

    def make_due(self) -> None:
        """Make all waiting messages due."""
        self.execute("UPDATE outbox SET next_attempt_at = NULL, claim = NULL WHERE sent_at IS NULL AND ended_at IS NULL")


def in_maildir(folder: Path) -> list[EmailMessage]:
    """The messages of a maildir."""
    files = sorted((folder / "new").iterdir()) if (folder / "new").is_dir() else []
    found = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
    assert all(isinstance(each, EmailMessage) for each in found)
    return found  # type: ignore[return-value]


def password_in(message: EmailMessage | Received) -> str:
    """The password in a message, the same in both its parts."""
    plain, html = parts(message.parsed if isinstance(message, Received) else message)
    (found,) = _SECRET.findall(plain)
    assert found in html
    return str(found)
