"""Mails to people for whom an administrator minted an API token."""

from __future__ import annotations

from datetime import datetime

import orjson
from sqlalchemy import select

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
        account = accounts.find_by_id(connection, message.user_id)
        columns = tables.tokens.c
        token = connection.execute(select(columns.name, columns.expires_at).where(columns.accessor == detail["token"])).first()
        if account is None or token is None:
            raise Unsendable(Ending("the account or the token is gone", Outcome.UNWANTED))
        told = {"name": token.name, "id": detail["token"], "expires": token.expires_at, "mintedBy": detail["by"]}
        variables = {"user": user_variables(account.name, account.full_name, account.email), "token": told}
        return Material(account.email or "", account.full_name or account.name, variables)

    def tell_others(self, message: Claimed) -> Effect | None:
        """Nobody: it is about the recipient's own account."""
        return None
