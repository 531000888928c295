"""What came of sessions and tokens: the tokens that they minted, and these in turn."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, FromClause, select

from reconciler.store import tables
from reconciler.store.chunks import in_chunks
from reconciler.store.engine import Connection

Minted = dict[str, str]
"""A token as the audit log names it: its account's name and its accessor."""

MINTED_FOR_OTHERS = "mintedForOthers"
"""Where an audit entry lists them, if there are any."""


def kept(table: FromClause) -> list[ColumnElement[Any]]:
    """The columns of a credential in a tree."""
    return [table.c[name] for name in ("id", "accessor", "kind", "user_id", "expires_at", "revoked_at")]


def tree(chosen: ColumnElement[bool], *, everything: bool) -> CTE:
    """A choice of credentials with what the tokens among them minted, but for successors; or with `everything` of them.

    `root_id` is the account whose credential each came of.
    """
    minted, root = tables.tokens.alias("minted"), tables.tokens.c.user_id.label("root_id")
    found = select(*kept(tables.tokens), root).where(chosen).cte("tree", recursive=True)
    step = minted.c.minter == found.c.accessor
    if not everything:
        step &= (found.c.kind == "token") & ~minted.c.succeeds
    return found.union(select(*kept(minted), found.c.root_id).join(found, step))


def minted_for_others(
    connection: Connection, user_ids: Collection[int], now: datetime, *, only: ColumnElement[bool] | None = None
) -> dict[int, list[Minted]]:
    """The live tokens of others that came of each account's credentials, so that it may know their secrets.

    Accounts among `user_ids` are no others: if they end together, so do their tokens. `only` says which credentials count.
    """
    own, found = set(user_ids), dict[int, list[Minted]]()
    for some in in_chunks(user_ids):
        chosen = tables.tokens.c.user_id.in_(some)
        came = tree(chosen if only is None else chosen & only, everything=True)
        live = came.c.revoked_at.is_(None) & (came.c.expires_at > now) & (came.c.user_id != came.c.root_id)
        query = select(came.c.root_id, came.c.user_id, tables.users.c.name, came.c.accessor)
        query = query.join(tables.users, tables.users.c.id == came.c.user_id).where(live).order_by(came.c.id)
        for root_id, user_id, name, accessor in connection.execute(query):
            if user_id not in own:
                found.setdefault(root_id, []).append({"user": name, "token": accessor})
    return found


def minted_detail(
    connection: Connection, user_id: int, now: datetime, *, only: ColumnElement[bool] | None = None
) -> dict[str, list[Minted]]:
    """The same of one account, as the detail of an audit entry: nothing if there are none."""
    found = minted_for_others(connection, [user_id], now, only=only)
    return {MINTED_FOR_OTHERS: found[user_id]} if found else {}
