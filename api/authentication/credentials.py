"""Sessions and API tokens in the database: found by their fingerprint, listed and revoked by their accessor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from itertools import chain, repeat
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import Select, bindparam, func, select

from api.authentication.narrowing import Narrowing, narrowing_column, read_narrowing
from api.authentication.tokens import Carrier, fingerprint, new_accessor, new_secret
from api.errors import Conflict
from api.state import accounts
from api.state.reader import Reader, Row
from api.state.snapshots import STAMP_COLUMNS, Stamp
from reconciler.store import tables
from reconciler.store.audit import Event
from reconciler.store.engine import READ_ONLY, Connection
from reconciler.store.minted import kept, tree
from reconciler.store.tables import instant_text, read_instant

_columns = tables.tokens.c
MOST_TOKENS = 100
"""How many live API tokens an account may have."""


class Credential(NamedTuple):
    """A session or an API token, as far as its use needs it. Instants are the tables' texts, which sort like instants."""

    id: int
    kind: Literal["session", "token"]
    accessor: str
    created_at: str
    expires_at: str
    revoked_at: str | None
    last_used_at: str | None
    password_change_required: bool
    narrowing: Narrowing

    @property
    def began(self) -> datetime:
        """When it was made; of a session, when its password was given."""
        return read_instant(self.created_at)

    @property
    def ends(self) -> datetime:
        """When it ends by itself."""
        return read_instant(self.expires_at)


class Found(NamedTuple):
    """A presented credential with its account, and the stamp at which both were read."""

    credential: Credential
    user_id: int
    name: str
    enabled: bool
    stamp: Stamp
    domain: str | None
    """Of a directory account; `read_at` is when its directory was last asked."""
    read_at: str | None
    change_after: str | None
    """When Git requires another password than the present one."""


class Minted(NamedTuple):
    """A new credential. Its secret is shown only this once."""

    secret: str
    accessor: str
    expires_at: datetime


def find(reader: Reader, secret: str, carrier: Carrier = "header") -> Found | None:
    """The credential with this secret, valid or not, in one indexed read. Raises StoreError."""
    return _found(reader.row_of_primary(f"{_FIND} WHERE t.sha256 = ?", fingerprint(secret, carrier)))


def find_again(reader: Reader, accessor: str) -> Found | None:
    """The same by the accessor: SQLite gives the number of a deleted credential to the next one."""
    return _found(reader.row_of_primary(f"{_FIND} WHERE t.accessor = ?", accessor))


def _found(row: Row | None) -> Found | None:
    if row is None:
        return None
    credential = Credential._make((*row[:8], read_narrowing(row[8], row[9])))
    user_id, name, domain, read_at, change_after, generation, mark, revision, *switches = row[10:]
    return Found(credential, user_id, name, not any(switches), Stamp(generation, mark, revision), domain, read_at, change_after)


_FIND = f"""SELECT {READ_ONLY}, t.id, t.kind, t.accessor, t.created_at, t.expires_at, t.revoked_at, t.last_used_at,
t.password_change_required, t.issuers, t.permitted_ips,
u.id, u.name, d.domain, d.read_at,
CASE WHEN u.password_change_required_after > coalesce(a.password_set_at, '') THEN u.password_change_required_after END,
{STAMP_COLUMNS}, {accounts.SWITCH_COLUMNS}
FROM tokens t JOIN users u ON u.id = t.user_id LEFT JOIN account_states a ON a.user_id = u.id
LEFT JOIN directory_accounts d ON d.user_id = u.id"""


def mint(
    connection: Connection,
    user_id: int,
    kind: Literal["session", "token"],
    *,
    now: datetime,
    expires_at: datetime,
    name: str = "",
    issuers: Collection[str] | None = None,
    permitted_ips: Collection[str] | None = None,
    password_change_required: bool = False,
    minter: str | None = None,
    succeeds: bool = False,
    carrier: Carrier = "header",
    accessor: str | None = None,
) -> Minted:
    """Make a credential. `minter` is the accessor of the one that makes it, which it may succeed.

    Raises Conflict if the account already has as many tokens as it may have, or if its own `accessor` is given and taken.
    """
    if kind == "token" and live_tokens(connection, user_id, now) >= MOST_TOKENS:
        raise Conflict(f"the account already has {MOST_TOKENS} live tokens, and may not have more; revoke one")
    if accessor is not None and connection.execute(select(_columns.id).where(_columns.accessor == accessor)).first():
        raise Conflict("this form has made its token already, whose secret is shown only once; revoke it if you did not keep it")
    minted = Minted(new_secret(), accessor or new_accessor(), expires_at)
    connection.execute(
        tables.tokens.insert(),
        {
            "user_id": user_id,
            "kind": kind,
            "accessor": minted.accessor,
            "sha256": fingerprint(minted.secret, carrier),
            "name": name,
            "created_at": now,
            "expires_at": expires_at,
            "issuers": narrowing_column(issuers),
            "permitted_ips": narrowing_column(permitted_ips),
            "password_change_required": password_change_required,
            "minter": minter,
            "succeeds": succeeds,
        },
    )
    return minted


def live_tokens(connection: Connection, user_id: int, now: datetime) -> int:
    """How many live API tokens an account has."""
    columns = tables.tokens.c
    alive = (columns.user_id == user_id) & (columns.kind == "token") & columns.revoked_at.is_(None) & (columns.expires_at > now)
    return int(connection.execute(select(func.count()).where(alive)).scalar_one())


class Ended(NamedTuple):
    """A credential that was just revoked, and the name of its account."""

    accessor: str
    name: str


def revoke(
    connection: Connection,
    user_id: int,
    now: datetime,
    *,
    kind: str | None = None,
    accessor: str | None = None,
    with_minted: Literal["own", "all"] | None = None,
) -> list[Ended]:
    """Revoke an account's credentials: all, those of a kind, or the one with an accessor.

    What a token minted ends with it, but for its successor. That goes on, and so does what a session minted, unless they are
    revoked `with_minted`: because somebody else may have used them. Then it does not matter whether they had ended before. With
    `own`, the tokens of other accounts go on: to end them is for whoever may act on these accounts.
    """
    values = {"user_id": user_id} | ({} if kind is None else {"of_kind": kind}) | ({} if accessor is None else {"one": accessor})
    still = _still_live(kind is not None, accessor is not None, with_minted, ends_more=bool(with_minted) or kind != "session")
    ended = [Ended(row.accessor, row.name) for row in connection.execute(still, values)]
    if ended:
        connection.execute(_REVOKE, [{"ended": each.accessor, "revoked_at": now} for each in ended])
    return ended


_REVOKE = tables.tokens.update().where(tables.tokens.c.accessor == bindparam("ended"))


@cache
def _still_live(of_kind: bool, one: bool, with_minted: Literal["own", "all"] | None, *, ends_more: bool) -> Select[Any]:
    """The choice that `revoke` makes, of an account's credentials and if it `ends_more`, of others: those not revoked before.

    It is built once: that takes longer than to execute it.
    """
    columns = tables.tokens.c
    chosen = columns.user_id == bindparam("user_id")
    if of_kind:
        chosen &= columns.kind == bindparam("of_kind")
    if one:
        chosen &= columns.accessor == bindparam("one")
    elif with_minted is None:
        chosen &= columns.revoked_at.is_(None)
    everything = with_minted is not None
    found = tree(chosen, everything=everything) if ends_more else select(*kept(tables.tokens)).where(chosen).subquery()
    owned = select(found.c.accessor, tables.users.c.name).join(tables.users, tables.users.c.id == found.c.user_id)
    if with_minted == "own":
        owned = owned.where(found.c.user_id == bindparam("user_id"))
    return owned.where(found.c.revoked_at.is_(None)).order_by(found.c.id)


def came_of(connection: Connection, accessor: str, now: datetime) -> list[Ended]:
    """The live credentials that came of one, of whichever account: what ends if it is revoked `with_minted` all."""
    found = tree(_columns.accessor == accessor, everything=True)
    owned = select(found.c.accessor, tables.users.c.name).join(tables.users, tables.users.c.id == found.c.user_id)
    live = found.c.revoked_at.is_(None) & (found.c.expires_at > now) & (found.c.accessor != accessor)
    return [Ended(row.accessor, row.name) for row in connection.execute(owned.where(live).order_by(found.c.id))]


def revoked_events(ended: Iterable[Ended], why: str, more: Mapping[str, Any] = MappingProxyType({})) -> list[Event]:
    """The audit entries for revoked credentials, the first with `more` detail."""
    details = chain([more], repeat({}))
    return [
        Event("credential.revoke", "User", each.name, {"accessor": each.accessor, "why": why, **detail})
        for each, detail in zip(ended, details, strict=False)
    ]


_LIST = """SELECT t.accessor, t.name, t.created_at, t.expires_at, t.last_used_at, t.last_used_address, t.issuers, t.permitted_ips,
t.minter, m.kind, u.name FROM tokens t LEFT JOIN tokens m ON m.accessor = t.minter LEFT JOIN users u ON u.id = m.user_id
WHERE t.user_id = ? AND t.kind = ? AND t.revoked_at IS NULL AND t.expires_at > ? ORDER BY t.id"""


def list_credentials(reader: Reader, user_id: int, now: datetime, kind: str = "token") -> list[dict[str, Any]]:
    """An account's live credentials of a kind, oldest first, as the API shows them: without secrets. Raises StoreError."""
    return [
        {
            "id": accessor,
            "name": name,
            "createdAt": created,
            "expiresAt": expires,
            "lastUsedAt": used,
            "lastUsedAddress": address,
            "issuers": issuers and orjson.loads(issuers),
            "permittedIPs": ips and orjson.loads(ips),
            "mintedBy": minter and {"user": minters_name, "credential": minter, "kind": minters_kind},
        }
        for (accessor, name, created, expires, used, address, issuers, ips, minter, minters_kind, minters_name) in reader.rows(
            _LIST, user_id, kind, instant_text(now)
        )
    ]
