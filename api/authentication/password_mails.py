"""Mails that bring a generated password. It is made for one message, and only its hash is kept.

The hash takes effect in the transaction that says that the message was sent. If sending fails, the next attempt makes another.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row

from api.authentication import credentials
from api.authentication.generated import generate_password
from api.authentication.password_changes import replace_password
from api.authentication.passwords import Passwords
from api.outbox.claims import Claimed
from api.outbox.kinds import Held, Material, Password, Unsendable, user_variables
from api.outbox.messages import Ending, Outcome
from api.outbox.queue import end_password_mails
from api.state import accounts
from api.state.policies import Policies
from reconciler.access.mails import PASSWORD_RESET, WELCOME
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection
from reconciler.store.tables import instant_text

ACTOR = "mail"
"""Who sets mailed passwords, in the audit log. The log also names who asked for it."""


class _NewPassword(NamedTuple):
    hashed: str
    expires_at: datetime
    replaces: datetime | None
    """When the password that it replaces was set."""


class PasswordMails:
    """Welcomes, and resets that an administrator asked for."""

    def __init__(self, policies: Callable[[], Policies], passwords: Passwords) -> None:
        self._policies = policies
        self._passwords = passwords

    def gather(self, connection: Connection, message: Claimed, now: datetime) -> Material:
        """The account, to which a password is yet to be made. Raises Unsendable, Held or StoreError."""
        account = accounts.find_by_id(connection, message.user_id)
        if account is None:
            raise Unsendable(Ending("the account is gone", Outcome.UNWANTED))
        if accounts.is_disabled(account):
            raise Held
        if account.source == "directory":
            raise Unsendable(Ending("it is now a directory account; its password is kept in its directory", Outcome.UNWANTED))
        if message.template == WELCOME and account.password_hash and account.password_set_at >= message.created_at:
            raise Unsendable(Ending("the account already has a password", Outcome.UNWANTED))
        user = user_variables(account.name, account.full_name, account.email)
        make = partial(self._make, message, account.password_set_at)
        if message.recipient is not None:
            return Material(message.recipient, "", {"user": user}, make_password=make)
        return Material(account.email or "", account.full_name or account.name, {"user": user}, make_password=make)

    def tell_others(self, message: Claimed) -> None:
        """Nobody else is told a password."""

    def _make(self, message: Claimed, replaces: datetime | None, now: datetime) -> Password:
        policies = self._policies()
        secret = generate_password(policies.passwords.min_length)
        expires_at = now.replace(microsecond=0) + policies.generated_lifetime
        new = _NewPassword(self._passwords.hash_in_turn(secret), expires_at, replaces)
        return Password(secret, expires_at, partial(_take_effect, message=message, new=new))


def _take_effect(connection: Connection, now: datetime, *, message: Claimed, new: _NewPassword) -> None:
    """Give the account the password that was mailed to it.

    A reset overrides a password that the account's owner, or somebody who knew the old one, set in the meantime: an administrator
    asked for it. A welcome does not: the owner has found another way in.
    """
    account = accounts.find_by_id(connection, message.user_id)
    if account is None or account.source == "directory":
        return
    detail: dict[str, Any] = {"message": message.id, "template": message.template}
    if message.template == WELCOME and account.password_set_at != new.replaces:
        append(connection, [Event("password.generate-unused", "User", account.name, detail)], at=now, actor=ACTOR)
        return
    _replace(connection, account, message, new, now)
    tokens_too = message.template == PASSWORD_RESET and orjson.loads(message.detail).get("revokeTokens", True)
    ended = credentials.revoke(connection, account.id, now, kind=None if tokens_too else "session")
    detail |= {"expiresAt": instant_text(new.expires_at), "revokedCredentials": len(ended)}
    append(connection, [Event("password.generate", "User", account.name, detail)], at=now, actor=ACTOR)


def _replace(connection: Connection, account: Row[Any], message: Claimed, new: _NewPassword, now: datetime) -> None:
    replace_password(connection, account, new.hashed, now=now, change_required=True, expires_at=new.expires_at)
    # this message answers everybody who had asked before it was claimed
    why = "another message has brought a password since"
    end_password_mails(connection, account.id, why, now, before=message.claimed_at)
