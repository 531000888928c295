"""The outbox as pages show it: to whom which kind of message goes, and what became of it. Never what it says."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple

from api.state.counting import Count
from api.state.pages import Page
from api.state.reader import Reader, Row
from reconciler.store.rows import read_until
from reconciler.store.tables import WAITING, read_instant

State = Literal["waiting", "failing", "given-up", "sent", "unwanted"]
"""`failing`: it waits for another try. `given-up`: nobody tries again by itself. `unwanted`: nobody wants it any more."""
CONDITIONS: dict[State, str] = {
    "waiting": WAITING,
    "failing": f"{WAITING} AND last_error IS NOT NULL",
    "given-up": "given_up AND sent_at IS NULL AND ended_at IS NOT NULL",
    "sent": "sent_at IS NOT NULL",
    "unwanted": "sent_at IS NULL AND ended_at IS NOT NULL AND NOT given_up",
}
_COLUMNS = """id, template, recipient, (SELECT name FROM users u WHERE u.id = user_id), certificate_id, created_at, attempts,
next_attempt_at, sent_at, ended_at, given_up, last_error"""


class MailFilter(NamedTuple):
    """Which messages are asked for. None leaves a part open."""

    state: State | None = None
    template: str | None = None
    certificate: int | None = None


class Message(NamedTuple):
    """A message."""

    id: int
    template: str
    recipient: str | None
    """None: the account's address at the time of delivery."""
    user: str | None
    certificate: int | None
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    """None: at once, or never."""
    state: State
    state_at: datetime
    """Since when it is sent, given up or unwanted; else when it was put in."""
    why: str | None
    """Why it is not sent, or not yet, in words."""

    @property
    def can_be_retried(self) -> bool:
        """Whether it failed and nobody has sent it since."""
        return self.state in ("failing", "given-up")


def list_messages(reader: Reader, page: Page, wanted: MailFilter) -> dict[str, Any]:
    """A page of messages, newest first. Raises NotFound or StoreError."""
    tests: list[tuple[str, tuple[Any, ...]]] = [("id < ?", (page.before_number,))]
    if wanted.state is not None:
        tests.append((CONDITIONS[wanted.state], ()))
    if wanted.template is not None:
        tests.append(("template = ?", (wanted.template,)))
    if wanted.certificate is not None:
        tests.append(("certificate_id = ?", (wanted.certificate,)))
    rows = reader.rows(
        f"SELECT {_COLUMNS} FROM outbox WHERE {' AND '.join(text for text, _ in tests)} ORDER BY id DESC LIMIT ?",
        *(value for _, values in tests for value in values),
        page.limit + 1,
    )
    return page.cut_by([_message(row) for row in rows], lambda each: str(each.id))


def count_messages(reader: Reader, state: State) -> Count:
    """How many messages are in a state. Raises StoreError."""
    return Count.rows(reader, f"SELECT 1 FROM outbox WHERE {CONDITIONS[state]}")


def _message(row: Row) -> Message:
    number, template, recipient, user, certificate, created, attempts, following, sent, ended, given_up, why = row
    state: State = "waiting" if why is None else "failing"
    if sent is not None:
        state = "sent"
    elif ended is not None:
        state = "given-up" if given_up else "unwanted"
    at = read_instant(sent or ended or created)
    return Message(
        number, template, recipient, user, certificate, read_instant(created), attempts, read_until(following), state, at, why
    )
