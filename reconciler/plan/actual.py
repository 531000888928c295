"""The actual state as the store reads it: declared facts, runtime facts that matter to a plan, and unmanaged rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from reconciler.access.resources import DeclaredState, Key, Revision, User
from reconciler.access.state import AccessState, build
from reconciler.plan.objections import Remembered


class Runtime(NamedTuple):
    """Facts that the runtime owns and that decide what a plan does to people, by account name unless noted otherwise."""

    disabled: frozenset[str] = frozenset()
    """Accounts disabled by an administrator or by their directory; Git cannot enable them."""
    directory_accounts: frozenset[str] = frozenset()
    """Directory accounts; they cannot be declared."""
    directory_members: Mapping[str, Mapping[str, str | None]] = {}
    """Team name → directory account that is its member → the AD group that made it one, with its case folded, if it is known."""
    can_set_password: frozenset[str] = frozenset()
    """Declared users who have a password or a welcome mail waiting to be sent."""
    sessions: Mapping[str, int] = {}
    """The number of live sessions per account, if any."""
    tokens: Mapping[str, int] = {}
    """The number of live API tokens per account, if any."""
    directory_groups: Mapping[str, tuple[str, ...]] = {}
    """AD group, with its case folded → directory accounts that are in a team through it."""


class Totals(NamedTuple):
    """How many declared resources the database holds, even if only some were read."""

    users: int = 0
    teams: int = 0
    issuers: int = 0


class Clocks(NamedTuple):
    """What the database knows of the time; None: nothing."""

    recorded: datetime | None = None
    """When its last audit entry was written."""
    served: datetime | None = None
    """When an API last looked for reminders, which it does every minute."""
    server: datetime | None = None
    """The time by the database server's own clock."""


class Actual(NamedTuple):
    """The database as a plan sees it: all of it, or the part that a change can touch.

    `declared` holds all rows of the declared tables, including those in `unmanaged`, which Git never declared. `files` holds the
    file of each declared resource. `earlier` holds what users were before, most recent first: those who are in doubt;
    None if it is unknown.
    """

    declared: DeclaredState = DeclaredState()
    runtime: Runtime = Runtime()
    unmanaged: frozenset[Key] = frozenset()
    files: Mapping[Key, str] = {}
    totals: Totals = Totals()
    generation: int = 0
    applied: Revision | None = None
    overrides: tuple[Remembered, ...] = ()
    earlier: Mapping[str, tuple[User, ...]] | None = {}
    lines: Mapping[Key, tuple[int | None, str]] = {}
    """Where the database says that a declared resource and its items stand in their file: see `Origin`."""


def access_state(declared: DeclaredState, runtime: Runtime) -> AccessState:
    """The access state that follows from declared facts and from what runtime knows."""
    return build(
        declared,
        disabled=runtime.disabled,
        directory_accounts=runtime.directory_accounts,
        directory_members={team: names for team, names in runtime.directory_members.items() if team in declared.teams},
    )
