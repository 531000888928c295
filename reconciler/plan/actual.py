"""The actual state as the store reads it: declared facts, the runtime facts a plan must know, and what Git never declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reconciler.access.resources import DeclaredState, Key, Revision
from reconciler.access.state import AccessState, build


class Runtime(NamedTuple):
    """Facts that runtime owns, and that decide what a plan does to people. By account name, where not said otherwise."""

    disabled: frozenset[str] = frozenset()
    """Accounts switched off by an administrator or by their directory; Git cannot switch them on."""
    directory_accounts: frozenset[str] = frozenset()
    """Names of accounts that live in a directory; they cannot be declared."""
    directory_members: Mapping[str, tuple[str, ...]] = {}
    """Team name -> directory accounts that are its members through AD groups."""
    can_set_password: frozenset[str] = frozenset()
    """Declared users who have a password, or a welcome mail that waits to be sent."""
    sessions: Mapping[str, int] = {}
    """How many live sessions an account has; absent means none."""
    tokens: Mapping[str, int] = {}
    """How many live API tokens an account has; absent means none."""


class Totals(NamedTuple):
    """How many declared resources the database holds, whatever part of them was read."""

    users: int = 0
    teams: int = 0
    issuers: int = 0


class Actual(NamedTuple):
    """The database as a plan sees it: all of it, or the part that a change can touch.

    `declared` holds every row of the declared tables, unmanaged ones among them; `unmanaged` says which of them Git never
    declared. `files` says in which file each declared resource stands (unmanaged ones are absent).
    """

    declared: DeclaredState = DeclaredState()
    runtime: Runtime = Runtime()
    unmanaged: frozenset[Key] = frozenset()
    files: Mapping[Key, str] = {}
    totals: Totals = Totals()
    generation: int = 0
    applied: Revision | None = None


def access_state(declared: DeclaredState, runtime: Runtime) -> AccessState:
    """The access state that follows from declared facts and from what runtime knows."""
    return build(
        declared,
        disabled=runtime.disabled,
        directory_accounts=runtime.directory_accounts,
        directory_members={team: names for team, names in runtime.directory_members.items() if team in declared.teams},
    )
