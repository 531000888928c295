"""What became of the last mail that brings an account a password."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from api.state.reader import Reader
from reconciler.access.mails import PASSWORD_MAILS
from reconciler.store.rows import read_until
from reconciler.store.tables import read_instant


class PasswordMail(NamedTuple):
    """A mail that brings a generated password."""

    template: str
    asked_at: datetime
    sent_at: datetime | None
    ended_at: datetime | None
    """It will never be sent, because of `why`."""
    why: str | None
    """Why it was not sent, or not yet, in words."""


def newest_password_mail(reader: Reader, name: str) -> PasswordMail | None:
    """The last of an account's mails with a password; None if there is none, or only one of long ago. Raises StoreError."""
    row = reader.row(_NEWEST, name, *PASSWORD_MAILS)
    if row is None:
        return None
    template, asked, sent, ended, why = row
    return PasswordMail(template, read_instant(asked), read_until(sent), read_until(ended), why)


_NEWEST = f"""SELECT template, created_at, sent_at, ended_at, last_error FROM outbox
WHERE user_id = (SELECT id FROM users WHERE name = ?) AND template IN ({", ".join("?" * len(PASSWORD_MAILS))})
ORDER BY id DESC LIMIT 1"""
