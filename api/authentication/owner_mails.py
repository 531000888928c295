"""Mails to people for whose account an administrator minted an API token or set the password."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, select

from api.outbox.claims import Claimed
from api.outbox.kinds import Effect, Material, Unsendable, user_variables
from api.outbox.messages import Ending, Outcome
from api.state import accounts
from reconciler.store import tables
from reconciler.store.engine import Connection


class MintedTokenMails:
    """They are sent even if the token is revoked by then: it may have been used."""

    def gather(self, connection: Connection, message: Claimed, now: datetime) -> Material:
        """The account and its new token. Raises Unsendable or StoreError."""
        detail = orjson.loads(message.detail)
        columns = tables.tokens.c
        token = connection.execute(select(columns.name, columns.expires_at).where(columns.accessor == detail["token"])).first()
        if token is None:
            raise Unsendable(Ending("the token is gone", Outcome.UNWANTED))
        told = {"name": token.name, "id": detail["token"], "expires": token.expires_at, "mintedBy": detail["by"]}
        return _to_owner(_owner(connection, message), {"token": told})

    def tell_others(self, message: Claimed) -> Effect | None:
        """Nobody: it is about the recipient's own account."""
        return None


class SetPasswordMails:
    """They are sent even if the password is another one by then: somebody may have logged in with it."""

    def gather(self, connection: Connection, message: Claimed, now: datetime) -> Material:
        """The account and who set its password. Raises Unsendable or StoreError."""
        return _to_owner(_owner(connection, message), {"setBy": orjson.loads(message.detail)["by"]})

    def tell_others(self, message: Claimed) -> Effect | None:
        """Nobody: it is about the recipient's own account."""
        return None


def _owner(connection: Connection, message: Claimed) -> Row[Any]:
    account = accounts.find_by_id(connection, message.user_id)
    if account is None:
        raise Unsendable(Ending("the account is gone", Outcome.UNWANTED))
    return account


def _to_owner(account: Row[Any], told: dict[str, Any]) -> Material:
    variables = {"user": user_variables(account.name, account.full_name, account.email), **told}
    return Material(account.email or "", account.full_name or account.name, variables)
