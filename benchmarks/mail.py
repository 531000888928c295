"""Mail: how many messages a second, and what becomes of them when senders are killed or are several.

    python -m benchmarks.mail                         # on SQLite
    python -m benchmarks.mail --database postgresql://…   # on an empty PostgreSQL database

Senders are `accord-api serve` processes, and the mail server is aiosmtpd on this machine. A killed sender's claim runs out after
five minutes; here it is ended at once, as if they had passed.
"""

from __future__ import annotations

import argparse
import email
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from argon2 import PasswordHasher
from sqlalchemy import select

from api.authentication.generated import GENERATED
from reconciler.store import tables
from reconciler.store.engine import Database, open_database
from reconciler.store.schema import upgrade

_PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


class Inbox:
    """A mail server that keeps what it gets, in its order."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, str | None]] = []
        """Message-ID, recipient, and the password in it."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._controller = Controller(self, "127.0.0.1", self.port)
        self._controller.start()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - its name
        """Keep a message."""
        message = email.message_from_bytes(envelope.content)
        text = next(part for part in message.walk() if part.get_content_type() == "text/plain").get_payload(decode=True)
        assert isinstance(text, bytes)
        found = GENERATED.search(text.decode())
        self.messages.append((str(message["Message-ID"]), envelope.rcpt_tos[0], found[0] if found else None))
        return "250 OK"

    def close(self) -> None:
        """Stop."""
        self._controller.stop()


def fill(database: Database, passwords: int, certificates: int) -> None:
    """Make accounts, and messages that are due: some that bring passwords, and some about a certificate."""
    now = datetime.now(UTC)
    with database.writing() as connection:
        first = connection.execute(select(tables.users.c.id).order_by(tables.users.c.id.desc())).scalar() or 0
        people = [
            {"id": first + n, "name": f"user{first + n}", "email": f"user{first + n}@example.org"}
            for n in range(1, passwords + 1)
        ]
        if people:
            connection.execute(tables.users.insert(), people)
            resets = [{"template": "password-reset", "user_id": each["id"], "created_at": now} for each in people]
            connection.execute(tables.outbox.insert(), resets)
        if certificates:
            values = {"issuer_name": "tls", "team_name": "web", "owner_name": "alice", "serial": str(first), "sha256": "0" * 64}
            values |= {"subject": "CN=www.example.org", "pem": _PEM}
            moments = {"not_before": now, "not_after": now, "registered_at": now}
            made = connection.execute(tables.certificates.insert().values(**values, **moments)).inserted_primary_key
            assert made is not None
            mails = [
                {"template": "certificate-issued", "certificate_id": made[0], "recipient": f"m{n}@example.com", "created_at": now}
                for n in range(certificates)
            ]
            connection.execute(tables.outbox.insert(), mails)


def waiting(database: Database) -> int:
    """How many messages are not sent yet."""
    with database.reading() as connection:
        return len(connection.execute(select(tables.outbox.c.id).where(tables.outbox.c.sent_at.is_(None))).all())


class Senders:
    """`accord-api serve` processes over one database."""

    def __init__(self, url: str, port: int, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "ACCORD_DATABASE_URL": url,
            "ACCORD_LISTEN": "127.0.0.1:0",
            "ACCORD_SMTP_HOST": "127.0.0.1",
            "ACCORD_SMTP_PORT": str(port),
            "ACCORD_SMTP_SECURITY": "none",
            "ACCORD_SMTP_FROM": "accord@example.org",
        }
        self.log = folder / "senders.log"

    def start(self) -> subprocess.Popen[bytes]:
        """One more."""
        with self.log.open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", "api", "serve"], env=self._environment, stdout=log, stderr=log)

    def until_sent(self, database: Database, number: int = 1) -> float:
        """Let so many senders deliver all; the seconds from the first message to the last."""
        processes = [self.start() for _ in range(number)]
        begun = 0.0
        total = waiting(database)
        try:
            while (left := waiting(database)) > 0:
                if left < total and not begun:
                    begun, total = time.monotonic(), left
                assert all(process.poll() is None for process in processes), self.log.read_text()[-2000:]
                time.sleep(0.05)
            return time.monotonic() - begun
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)


class Killed(NamedTuple):
    """What became of messages whose senders were killed."""

    kills: int
    lost: int
    unsent: int
    copies: int
    """Of messages that were under way when their sender was killed."""
    surplus: int
    """Copies of others."""
    wrong_passwords: int


def kill_senders(url: str, folder: Path, kills: int, messages: int, seed: int) -> Killed:
    """Kill the sender again and again, at random moments while it delivers, then let one finish."""
    chance = random.Random(seed)
    inbox = Inbox()
    senders = Senders(url, inbox.port, folder)
    done, under_way = 0, Counter[str]()
    try:
        with open_database(url) as database:
            fill(database, messages // 2, messages - messages // 2)
            share = messages / (kills + 1)
            while done < kills and waiting(database):
                process, before = senders.start(), len(inbox.messages)
                while len(inbox.messages) == before and process.poll() is None:
                    time.sleep(0.002)
                time.sleep(chance.uniform(0, share * 0.03))
                process.kill()
                process.wait()
                done += 1
                under_way.update(_claimed(database))
            if waiting(database):
                senders.until_sent(database)
            return _judge(database, inbox, done, under_way)
    finally:
        inbox.close()


def _claimed(database: Database) -> list[str]:
    """The messages that senders who are dead by now were delivering; their claims are ended, as by themselves after a while."""
    rows = tables.outbox.c
    mine = rows.claim.is_not(None) & rows.sent_at.is_(None)
    with database.noting() as connection:
        found = list(connection.execute(select(rows.message_id).where(mine)).scalars())
        connection.execute(tables.outbox.update().where(mine).values(next_attempt_at=None, claim=None))
    assert len(found) <= 2, found  # a process has two senders, one of them for passwords alone
    return found


def _judge(database: Database, inbox: Inbox, kills: int, under_way: Counter[str]) -> Killed:
    times = Counter(message_id for message_id, _, _ in inbox.messages)
    last = {recipient: password for _, recipient, password in inbox.messages if password}
    with database.reading() as connection:
        ids = connection.execute(select(tables.outbox.c.message_id)).scalars().all()
        hashes = connection.execute(
            select(tables.users.c.email, tables.account_states.c.password_hash).join(
                tables.account_states, tables.account_states.c.user_id == tables.users.c.id
            )
        ).all()
    hasher = PasswordHasher()
    wrong = sum(not _fits(hasher, kept, last.get(address)) for address, kept in hashes) + len(last) - len(hashes)
    return Killed(
        kills,
        lost=sum(times[each] == 0 for each in ids),
        unsent=waiting(database),
        copies=sum(min(number - 1, under_way[each]) for each, number in times.items()),
        surplus=sum(max(0, number - 1 - under_way[each]) for each, number in times.items()),
        wrong_passwords=wrong,
    )


def _fits(hasher: PasswordHasher, kept: str, password: str | None) -> bool:
    try:
        return password is not None and hasher.verify(kept, password)
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return False


def main() -> None:
    """Measure, and kill."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--database", default="")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="accord-mail-") as name:
        folder = Path(name)
        url = arguments.database or f"sqlite:///{folder}/accord.db"
        with open_database(url) as database:
            upgrade(database)
            for passwords, certificates, number in ((0, 1000, 1), (300, 0, 1), (0, 1000, 2)):
                inbox = Inbox()
                fill(database, passwords, certificates)
                seconds = Senders(url, inbox.port, folder).until_sent(database, number)
                times = Counter(each for each, _, _ in inbox.messages)
                inbox.close()
                kind = "with a password" if passwords else "about a certificate"
                print(
                    f"{number} senders: {(passwords + certificates) / seconds:.0f} messages/s {kind};"
                    f" {sum(count > 1 for count in times.values())} more than once"
                )
            with database.writing() as connection:
                for table in (tables.outbox, tables.users, tables.certificates):
                    connection.execute(table.delete())
        print(f"seed {arguments.seed}: {kill_senders(url, folder, arguments.kills, arguments.messages, arguments.seed)}")


if __name__ == "__main__":
    main()
