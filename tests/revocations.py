"""Tokens that callers ask with while some are revoked at random, and a judge of every answer.

A token may not be permitted by an answer whose request began after its revocation was acknowledged.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select

from api.authentication import credentials
from api.state import accounts
from reconciler.store import tables
from reconciler.store.engine import Database, open_database
from reconciler.store.errors import StoreError

_CALLERS = 6
_REVOKERS = 4
_PAUSE = 0.03
"""Seconds between two revocations of one revoker."""


@dataclass(slots=True, eq=False)
class Token:
    """A token of an account; a session ends itself, others are revoked by an operator."""

    account: str
    secret: str
    accessor: str
    is_session: bool
    is_touched: bool = False
    acknowledged: float | None = None
    """When its revocation was acknowledged, on the monotonic clock."""


class Permitted(NamedTuple):
    """An answer that permitted a token after its revocation was acknowledged."""

    token: Token
    began: float


class Revocations:
    """Callers and revokers at work on an API."""

    def __init__(self, url: str, port: int, issuer: str, accounts: Sequence[str], pause: float = 0.0) -> None:
        """`pause` is in seconds, between two questions of one caller."""
        self._url = url
        self._port = port
        self._issuer = issuer
        self._accounts = accounts
        self._pause = pause
        self._random = random.Random(0)
        self._stopping = threading.Event()
        self.tokens: list[Token] = []
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self.last_permitted = 0.0
        self.longest_gap = 0.0
        """Seconds between two answers that permitted something."""
        self.after: list[Permitted] = []
        self.refused: list[Token] = []
        """Tokens that were refused although nobody had touched them."""
        self.confirmed = 0
        """Revocations that were acknowledged."""
        self.unknown = 0
        """Revocations that had to be tried again, because it was not known whether they stood."""

    def mint(self, number: int) -> None:
        """Add tokens, most of them sessions: an account may not have many others."""
        now = datetime.now(UTC)
        with open_database(self._url) as database, database.recording() as connection:
            ids = dict(connection.execute(select(tables.users.c.name, tables.users.c.id)).all())
            for count in range(number):
                account = self._accounts[count % len(self._accounts)]
                kind = "session" if count % 3 else "token"
                made = credentials.mint(connection, ids[account], kind, now=now, expires_at=now + timedelta(days=1), name="t")
                self.tokens.append(Token(account, made.secret, made.accessor, kind == "session"))

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Ask and revoke meanwhile."""
        threads = [threading.Thread(target=self._ask) for _ in range(_CALLERS)]
        threads += [threading.Thread(target=self._revoke) for _ in range(_REVOKERS)]
        self._stopping.clear()
        self.last_permitted = 0.0
        for each in threads:
            each.start()
        try:
            yield
        finally:
            self._stopping.set()
            for each in threads:
                each.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._stopping.is_set():
            token = self._random.choice(self.tokens)
            acknowledged, untouched, began = token.acknowledged, not token.is_touched, time.monotonic()
            status = self._send(connection, "POST", "/api/v1/decisions", token, {"issuer": self._issuer})
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.statuses[status] += 1
            if status == 200:
                self.longest_gap = max(self.longest_gap, began - self.last_permitted) if self.last_permitted else 0.0
                self.last_permitted = max(self.last_permitted, began)
            if status == 200 and acknowledged is not None:
                self.after.append(Permitted(token, began))
            if status == 401 and untouched and not token.is_touched:
                self.refused.append(token)
            self._stopping.wait(0.02 if status == 503 else self._pause)
        connection.close()

    def _send(self, connection: http.client.HTTPConnection, method: str, path: str, token: Token, body: object = None) -> int:
        """The status, after the answer was read; 0 if the connection was lost."""
        headers = {"Authorization": f"Bearer {token.secret}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0
        return answer.status

    def _revoke(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with open_database(f"{self._url}?answer_timeout=5&timeout=5") as database:
            while not self._stopping.wait(_PAUSE):
                free = [token for token in self.tokens if not token.is_touched]
                if free:
                    token = self._random.choice(free)
                    token.is_touched = True
                    while not self._is_acknowledged(token, connection, database) and not self._stopping.is_set():
                        self.unknown += 1
        connection.close()

    def _is_acknowledged(self, token: Token, connection: http.client.HTTPConnection, database: Database) -> bool:
        if token.is_session:
            if self._send(connection, "DELETE", "/api/v1/sessions/current", token) not in (204, 401):
                return False
        else:
            try:
                with database.recording() as transaction:
                    account = accounts.require(accounts.find(transaction, token.account), token.account)
                    credentials.revoke(transaction, account.id, datetime.now(UTC), accessor=token.accessor)
            except StoreError:
                return False
        token.acknowledged = time.monotonic()
        self.confirmed += 1
        return True

    def asked(self) -> int:
        """How many questions were answered."""
        return self.statuses[200] + self.statuses[401]

    def lost(self, url: str) -> list[Token]:
        """The tokens whose acknowledged revocation a database does not have. They are revoked again from now on."""
        with open_database(url) as database, database.reading() as connection:
            live = set(connection.execute(select(tables.tokens.c.accessor).where(tables.tokens.c.revoked_at.is_(None))).scalars())
        found = [token for token in self.tokens if token.acknowledged is not None and token.accessor in live]
        for token in found:
            token.acknowledged, token.is_touched = None, False
        return found

    def wrongly_permitted(self, lost: Sequence[Token] = (), since: float = 0.0) -> list[Permitted]:
        """The answers that nothing excuses: a revocation may be lost since a fail-over, and only then. Begins anew."""
        found, self.after = self.after, []
        return [each for each in found if not (each.token in lost and each.began >= since)]
