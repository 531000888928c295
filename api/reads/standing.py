"""How an account stands, and what would end with it: what administrators look at before they act on it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from api.authentication import credentials
from api.authentication.credentials import Ended
from api.outbox.of_account import PasswordMail, newest_password_mail
from api.reads.users import UserView
from api.state import accounts, history
from api.state.pages import Page
from api.state.reader import Reader
from reconciler.store.minted import Minted, minted_for_others
from reconciler.store.tables import read_instant


class SwitchedOff(NamedTuple):
    """When administrators turned their switch of an account off, and which of them."""

    by: str
    at: datetime


class Standing(NamedTuple):
    """How an account stands."""

    password_mail: PasswordMail | None
    """The last mail that brings it a password."""
    switched_off: SwitchedOff | None
    """None: administrators have not disabled it, or the audit log does not say."""


def read_standing(reader: Reader, user: UserView) -> Standing:
    """How an account stands. Raises StoreError."""
    name = user.summary["name"]
    off = None
    if "administrator" in user.summary["disabledBy"]:
        wanted = {"kind": "User", "name": name, "action": "account.disable"}
        found = history.list_audit(reader, Page(None, 1), wanted)["items"]
        off = SwitchedOff(found[0]["actor"], read_instant(found[0]["at"])) if found else None
    return Standing(newest_password_mail(reader, name), off)


def minted_elsewhere(reader: Reader, user: UserView, now: datetime) -> list[Minted]:
    """The live tokens of other accounts that came of this one's credentials. Raises StoreError."""
    with reader.database.reading() as connection:
        account = accounts.find(connection, user.summary["name"])
        return [] if account is None else minted_for_others(connection, [account.id], now).get(account.id, [])


def came_of(reader: Reader, accessor: str, now: datetime) -> list[Ended]:
    """The live credentials that end with one, when an administrator revokes it. Raises StoreError."""
    with reader.database.reading() as connection:
        return credentials.came_of(connection, accessor, now)
