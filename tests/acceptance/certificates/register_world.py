"""The API over a database, with a register to fill."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from issued import pem
from scenario import resource
from sqlalchemy import select

sys.path.append(str(Path(__file__).parent.parent / "api"))

from client import Caller, World

from api.certificates.notices import Notices, tell_administrators
from api.certificates.reminders import Scan, scan
from api.outbox.claims import Claimed
from api.outbox.kinds import Unsendable
from reconciler.store import tables
from reconciler.store.engine import Connection

DAY = timedelta(days=1)
Mail = tuple[str, str]
"""Its template and its recipient: an account's name, or an address."""


def claimed(row: Any) -> Claimed:
    """A message of the outbox, as its sender has it."""
    known = {name: getattr(row, name) for name in Claimed.__dataclass_fields__ if hasattr(row, name)}
    return Claimed(**{**known, "message_id": "", "claim": "", "claimed_at": row.created_at})


def why_unwanted(connection: Connection, message: Claimed) -> str | None:
    """Why a message must not be sent; None if it is sent."""
    try:
        Notices().gather(connection, message, datetime.now(UTC))
    except Unsendable as reason:
        return str(reason)
    return None


class RegisterWorld(World):
    """A world with certificates."""

    def body(self, subject: str = "www.example.org", **more: Any) -> dict[str, Any]:
        """A request that registers a new certificate of the team `web`."""
        made = {name: more.pop(name) for name in ("serial", "begins", "lives", "names") if name in more}
        return {"pem": pem(subject, **made), "issuer": "tls", "team": "web", **more}

    def register(self, who: str | Caller = "alice", **more: Any) -> int:
        """Register a new certificate; returns its ID."""
        caller = self.caller(who) if isinstance(who, str) else who
        return int(caller("POST", "/certificates", 201, json=self.body(**more))["id"])

    def settings(self, **mail: Any) -> None:
        """Declare what the Settings say about mails."""
        self.apply({"settings.yaml": resource("Settings", "default", {"mail": mail})})

    def mails(self, certificate: int | None = None) -> list[Mail]:
        """The mails in the outbox about certificates, or about one."""
        users, outbox = tables.users.c, tables.outbox.c
        query = select(outbox.template, outbox.recipient, users.name)
        query = query.select_from(tables.outbox.outerjoin(tables.users, users.id == outbox.user_id))
        query = query.where(outbox.certificate_id.is_not(None) if certificate is None else outbox.certificate_id == certificate)
        with self.service.database.reading() as connection:
            return [(template, recipient or name) for template, recipient, name in connection.execute(query.order_by(outbox.id))]

    def forget_mails(self) -> None:
        self.execute("DELETE FROM outbox WHERE certificate_id IS NOT NULL")

    def scan(self, now: datetime) -> Scan:
        return scan(self.service.database, now)

    def unwanted(self) -> list[str | None]:
        """Why each message about a certificate would not be delivered; None if it would."""
        with self.service.database.reading() as connection:
            rows = connection.execute(select(tables.outbox).where(tables.outbox.c.certificate_id.is_not(None))).all()
            return [why_unwanted(connection, claimed(row)) for row in rows]

    def tell_others(self) -> int:
        """Tell others instead of each recipient; returns how many."""
        with self.service.database.recording() as connection:
            rows = connection.execute(select(tables.outbox).where(tables.outbox.c.certificate_id.is_not(None))).all()
            for row in rows:
                tell_administrators(connection, datetime.now(UTC), message=claimed(row))
            found = connection.execute(select(tables.outbox.c.id).where(tables.outbox.c.certificate_id.is_not(None))).all()
            return len(found) - len(rows)

    def shown(self, certificate: int, who: str = "root") -> Any:
        return self.caller(who)("GET", f"/certificates/{certificate}", 200)

    def listed(self, who: str = "root", **query: Any) -> list[int]:
        """The IDs of the certificates that somebody finds."""
        return [item["id"] for item in self.caller(who)("GET", "/certificates", 200, params=query)["items"]]
