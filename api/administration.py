"""What administrators and operators do to an account: each act one transaction, with its entry in the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from api.authentication import credentials
from api.authentication.password_changes import check_password, replace_password
from api.authentication.passwords import Passwords
from api.errors import Conflict, NotFound
from api.outbox import queue
from api.outbox.queue import NewMessage
from api.state import accounts
from api.state.policies import PasswordPolicy
from reconciler.access.mails import PASSWORD_RESET
from reconciler.access.touched import Touched
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection, Database
from reconciler.store.generations import raise_generation


@contextmanager
def _acting(database: Database, name: str) -> Iterator[tuple[Connection, Row[Any]]]:
    with database.recording() as connection:
        yield connection, accounts.require(accounts.find(connection, name), name)


def _refuse_directory(account: Row[Any]) -> None:
    if account.source == "directory":
        raise Conflict(f"`{account.name}` is a directory account; its password is kept in its directory")


def set_password(
    database: Database,
    passwords: Passwords,
    policy: PasswordPolicy,
    name: str,
    password: str,
    *,
    actor: str,
    now: datetime,
    change_required: bool,
    revoke_tokens: bool = False,
) -> None:
    """Set an account's password and end its sessions. Raises NotFound, Conflict, Busy or StoreError."""
    hashed = passwords.hash(password)
    with _acting(database, name) as (connection, account):
        _refuse_directory(account)
        check_password(password, account, policy)
        replace_password(connection, account, hashed, now=now, change_required=change_required)
        queue.end_password_mails(connection, account.id, "a password was set since", now)
        ended = credentials.revoke(connection, account.id, now, kind=None if revoke_tokens else "session")
        detail = {"changeRequired": change_required, "revokedCredentials": len(ended)}
        append(connection, [Event("password.set", "User", name, detail)], at=now, actor=actor)


def reset_password(database: Database, name: str, *, actor: str, now: datetime) -> None:
    """Request a generated password by mail. The old one stays valid until the mail is delivered.

    Raises NotFound, Conflict or StoreError.
    """
    with _acting(database, name) as (connection, account):
        _refuse_directory(account)
        queue.put(connection, [NewMessage(PASSWORD_RESET, account.id)], now)
        append(connection, [Event("password.reset", "User", name, {})], at=now, actor=actor)


def require_password_change(database: Database, name: str, *, actor: str, now: datetime) -> None:
    """Require a new password at the next login. Raises NotFound, Conflict or StoreError."""
    with _acting(database, name) as (connection, account):
        _refuse_directory(account)
        accounts.write(connection, account.id, {"password_change_required": True})
        append(connection, [Event("password.require-change", "User", name, {})], at=now, actor=actor)


def set_disabled(database: Database, name: str, disabled: bool, *, actor: str, now: datetime) -> None:
    """Disable an account, or take that back: the administrators' own switch, beside Git's and the directory's.

    Raises NotFound or StoreError.
    """
    with _acting(database, name) as (connection, account):
        if bool(account.disabled_by_administrator) is disabled:
            return
        accounts.write(connection, account.id, {"disabled_by_administrator": disabled})
        raise_generation(connection, Touched(frozenset({account.name})))
        ended = credentials.revoke(connection, account.id, now) if disabled else []
        action = "account.disable" if disabled else "account.enable"
        append(connection, [Event(action, "User", name, {"revokedCredentials": len(ended)})], at=now, actor=actor)


def unlock(database: Database, name: str, *, actor: str, now: datetime) -> None:
    """Forget an account's failed logins. Raises NotFound or StoreError."""
    with _acting(database, name) as (connection, account):
        accounts.write(connection, account.id, accounts.NO_FAILURES)
        append(connection, [Event("account.unlock", "User", name, {})], at=now, actor=actor)


def revoke_credentials(database: Database, name: str, accessors: Sequence[str] | None, *, actor: str, now: datetime) -> int:
    """Revoke these tokens and sessions of an account, or all of them if None are named; how many ended.

    Raises NotFound or StoreError.
    """
    ended: list[str] = []
    with _acting(database, name) as (connection, account):
        for accessor in [None] if accessors is None else accessors:
            revoked = credentials.revoke(connection, account.id, now, accessor=accessor)
            if accessor is not None and not revoked:
                raise NotFound(f"{name} has no live token or session `{accessor}`; nothing was revoked")
            ended += revoked
        append(connection, credentials.revoked_events(name, ended, "operator"), at=now, actor=actor)
    return len(ended)
