"""The outbox for administrators: messages by what became of them, and never what they say."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple

from api.state.counting import Count
from api.state.pages import Page
from api.state.reader import Reader, Row
from reconciler.store.rows import read_until
from reconciler.store.tables import read_instant

MailState = Literal["waiting", "failed", "sent", "unwanted"]
"""`failed`: it failed and waits for the next attempt, or was given up; `waiting`: it waits, perhaps for the next attempt."""
_WAITS = "o.sent_at IS NULL AND o.ended_at IS NULL"
_CONDITIONS: dict[MailState, tuple[str, ...]] = {
    "waiting": (_WAITS,),
    "failed": (f"{_WAITS} AND o.last_error IS NOT NULL", "o.given_up AND o.sent_at IS NULL AND o.ended_at IS NOT NULL"),
    "sent": ("o.sent_at IS NOT NULL",),
    "unwanted": ("o.ended_at IS NOT NULL AND o.sent_at IS NULL AND NOT o.given_up",),
}
"""Each state as conditions of which each has an index, where there is one to have."""
_COLUMNS = """o.id, o.template, u.name, o.recipient, o.certificate_id, o.created_at, o.attempts, o.next_attempt_at, o.sent_at,
o.ended_at, o.given_up, o.last_error"""


class Mail(NamedTuple):
    """A message of the outbox."""

    id: int
    template: str
    user: str | None
    """The account that it is about, or goes to; None: deleted, or none."""
    recipient: str | None
    """None: the account's address at the time of delivery."""
    certificate_id: int | None
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    """None: at once, or never again."""
    sent_at: datetime | None
    ended_at: datetime | None
    given_up: bool
    error: str | None
    """Why the last attempt failed, or why it is not wanted any more."""

    @property
    def can_be_retried(self) -> bool:
        """Whether somebody may have it tried again."""
        return self.sent_at is None and (self.given_up or (self.ended_at is None and self.error is not None))


def list_mail(reader: Reader, page: Page, state: MailState) -> dict[str, Any]:
    """A page of the messages in a state, the newest first. Raises NotFound or StoreError."""
    before, limit = page.before_number, page.limit + 1
    rows: list[Row] = []
    for condition in _CONDITIONS[state]:
        rows += reader.rows(
            f"""SELECT {_COLUMNS} FROM (SELECT id FROM outbox o WHERE {condition} AND o.id < ? ORDER BY o.id DESC LIMIT ?) f
JOIN outbox o ON o.id = f.id LEFT JOIN users u ON u.id = o.user_id ORDER BY o.id DESC""",
            before,
            limit,
        )
    rows.sort(key=lambda row: -row[0])
    return page.cut_by([_mail(row) for row in rows[:limit]], lambda mail: str(mail.id))


def count_mail(reader: Reader, state: MailState) -> Count:
    """How many messages are in a state. Raises StoreError."""
    counts = [Count.rows(reader, f"SELECT 1 FROM outbox o WHERE {condition}") for condition in _CONDITIONS[state]]
    return Count.of(sum(each.number + each.is_more for each in counts))


def _mail(row: Row) -> Mail:
    number, template, user, recipient, certificate, created, attempts, following, sent, ended, given_up, error = row
    return Mail(
        number,
        template,
        user,
        recipient,
        certificate,
        read_instant(created),
        attempts,
        read_until(following),
        read_until(sent),
        read_until(ended),
        bool(given_up),
        error,
    )
