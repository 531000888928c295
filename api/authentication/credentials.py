"""Sessions and API tokens in the database: found by their fingerprint, listed and revoked by their accessor."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import func, select

from api.authentication.narrowing import Narrowing, narrowing_column, read_narrowing
from api.authentication.tokens import fingerprint, new_accessor, new_secret
from api.errors import Conflict, Unauthenticated
from api.state import accounts
from api.state.reader import Reader
from api.state.snapshots import STAMP_COLUMNS, Stamp
from reconciler.store import tables
from reconciler.store.audit import Event
from reconciler.store.engine import READ_ONLY, Connection
from reconciler.store.tables import instant_text

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


class Minted(NamedTuple):
    """A new credential. Its secret is shown only this once."""

    secret: str
    accessor: str
    expires_at: datetime


def find(reader: Reader, secret: str) -> Found | None:
    """The credential with this secret, valid or not, in one indexed read. Raises StoreError."""
    row = reader.row_of_primary(_FIND, fingerprint(secret))
    if row is None:
        return None
    credential = Credential._make((*row[:8], read_narrowing(row[8], row[9])))
    user_id, name, domain, read_at, generation, mark, revision, *switches = row[10:]
    return Found(credential, user_id, name, not any(switches), Stamp(generation, mark, revision), domain, read_at)


_FIND = f"""SELECT {READ_ONLY}, t.id, t.kind, t.accessor, t.created_at, t.expires_at, t.revoked_at, t.last_used_at,
t.password_change_required, t.issuers, t.permitted_ips,
u.id, u.name, d.domain, d.read_at, {STAMP_COLUMNS}, {accounts.SWITCH_COLUMNS}
FROM tokens t JOIN users u ON u.id = t.user_id LEFT JOIN account_states a ON a.user_id = u.id
LEFT JOIN directory_accounts d ON d.user_id = u.id WHERE t.sha256 = ?"""


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
) -> Minted:
    """Make a credential. Raises Conflict if the account already has as many tokens as it may have."""
    if kind == "token" and live_tokens(connection, user_id, now) >= MOST_TOKENS:
        raise Conflict(f"the account already has {MOST_TOKENS} live tokens, and may not have more; revoke one")
    minted = Minted(new_secret(), new_accessor(), expires_at)
    connection.execute(
        tables.tokens.insert(),
        {
            "user_id": user_id,
            "kind": kind,
            "accessor": minted.accessor,
            "sha256": fingerprint(minted.secret),
            "name": name,
            "created_at": now,
            "expires_at": expires_at,
            "issuers": narrowing_column(issuers),
            "permitted_ips": narrowing_column(permitted_ips),
            "password_change_required": password_change_required,
        },
    )
    return minted


def live_tokens(connection: Connection, user_id: int, now: datetime) -> int:
    """How many live API tokens an account has."""
    columns = tables.tokens.c
    alive = (columns.user_id == user_id) & (columns.kind == "token") & columns.revoked_at.is_(None) & (columns.expires_at > now)
    return int(connection.execute(select(func.count()).where(alive)).scalar_one())


def is_revoked(connection: Connection, credential_id: int) -> bool:
    """Whether a credential was revoked since its request began; it must not make anything that outlives it."""
    columns = tables.tokens.c
    live = (columns.id == credential_id) & columns.revoked_at.is_(None)
    return connection.execute(select(columns.id).where(live)).first() is None


def require_live(connection: Connection, credential_id: int) -> None:
    """Raise Unauthenticated if a credential was revoked during its request."""
    if is_revoked(connection, credential_id):
        raise Unauthenticated("this session or token has just been revoked")


def revoke(
    connection: Connection, user_id: int, now: datetime, *, kind: str | None = None, accessor: str | None = None, but: str = ""
) -> list[str]:
    """Revoke an account's credentials: all, those of a kind, or the one with an accessor, except `but`; their accessors."""
    columns = tables.tokens.c
    chosen = (columns.user_id == user_id) & columns.revoked_at.is_(None) & (columns.accessor != but)
    if kind is not None:
        chosen &= columns.kind == kind
    if accessor is not None:
        chosen &= columns.accessor == accessor
    ended = list(connection.execute(select(columns.accessor).where(chosen).order_by(columns.id)).scalars())
    connection.execute(tables.tokens.update().where(chosen).values(revoked_at=now))
    return ended


def revoked_events(name: str, accessors: Iterable[str], why: str) -> list[Event]:
    """The audit entries for revoked credentials."""
    return [Event("credential.revoke", "User", name, {"accessor": accessor, "why": why}) for accessor in accessors]


_LIST = """SELECT accessor, name, created_at, expires_at, last_used_at, last_used_address, issuers, permitted_ips FROM tokens
WHERE user_id = ? AND kind = ? AND revoked_at IS NULL AND expires_at > ? ORDER BY id"""


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
        }
        for accessor, name, created, expires, used, address, issuers, ips in reader.rows(_LIST, user_id, kind, instant_text(now))
    ]


def lift_restriction(connection: Connection, accessor: str) -> None:
    """Let a session do everything again, after its password was changed."""
    mine = tables.tokens.c.accessor == accessor
    connection.execute(tables.tokens.update().where(mine).values(password_change_required=False))
