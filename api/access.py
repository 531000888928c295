"""The access state that requests are decided by: of one generation, and filled in account by account as they are asked for.

Building it whole would take seconds for a hundred thousand accounts, after every change; reading one account takes
three indexed look-ups, once a generation.
"""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Literal, NamedTuple

from api.policies import Policies, read_policies
from api.reader import Reader
from reconciler.access.resources import Issuer, Membership, Permission, Team
from reconciler.access.state import AccessState, teams_of
from reconciler.store.rows import COLUMNS, read_issuer, read_team, read_until


class Stamp(NamedTuple):
    """Of when a state is: the generation, and the last entry of the history (which may change nothing, and not raise it)."""

    generation: int
    revision_id: int | None


class Account(NamedTuple):
    """What identifies an account."""

    id: int
    name: str
    type: Literal["person", "application"]
    source: Literal["declared", "directory"]


class CurrentAccess:
    """The access state of one stamp. What has been read of it never changes: another stamp has another object."""

    def __init__(self, stamp: Stamp, commit: str | None, policies: Policies, issuers: dict[str, Issuer]) -> None:
        self.stamp = stamp
        self.commit = commit
        self.policies = policies
        self.accounts: dict[str, Account] = {}
        self._enabled: dict[str, bool] = {}
        self._teams: dict[str, Team] = {}
        self._teams_by_id: dict[int, Team] = {}
        self._memberships: dict[str, dict[str, Membership]] = {}
        self.state = AccessState(self._enabled, self._teams, issuers, self._memberships)

    def teams(self, name: str, now: datetime) -> list[Team]:
        """The teams that an account is a member of at an instant, by name."""
        return teams_of(self.state, name, now)

    def read(self, reader: Reader, name: str) -> bool:
        """Read an account's part, in the caller's snapshot of the same stamp. False where there is no such account."""
        row = reader.row(_ACCOUNT, name)
        if row is None:
            return False
        account = Account(*row[:4])
        link = "memberships" if account.source == "declared" else "directory_memberships"
        columns = "until, reason" if link == "memberships" else "NULL, NULL"
        found: dict[str, Membership] = {}
        for team_id, end, reason in reader.rows(f"SELECT team_id, {columns} FROM {link} WHERE user_id = ?", account.id):
            team = self._teams_by_id.get(team_id) or self._read_team(reader, team_id)
            found[team.name] = Membership(name, read_until(end), reason)
        self._memberships[name] = found
        self._enabled[name] = not any(row[4:])
        self.accounts[name] = account  # last: who finds it here finds the rest
        return True

    def _read_team(self, reader: Reader, team_id: int) -> Team:
        row = reader.row(f"SELECT {COLUMNS['teams']} FROM teams WHERE id = ?", team_id)
        permissions = tuple(Permission(issuer, read_until(end)) for issuer, end in reader.rows(_PERMISSIONS, team_id))
        team = read_team(row, (), permissions)
        self._teams[team.name] = self._teams_by_id[team_id] = team
        return team


class AccessKeeper:
    """Hands out the current access state, shared by all threads, and makes a new one when the stamp has moved."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._current: CurrentAccess | None = None
        self._lock = threading.Lock()

    def at(self, stamp: Stamp, *names: str) -> CurrentAccess:
        """The access state of a stamp just read, or of a later one, with the parts of these accounts. Raises StoreError."""
        current = self._current
        if current is not None and current.stamp == stamp and all(name in current.accounts for name in names):
            return current
        with self._lock, self._reader.snapshot():
            current = self._of_snapshot()
            for name in names:
                if name not in current.accounts:
                    current.read(self._reader, name)
        return current

    def now(self, *names: str) -> CurrentAccess:
        """The access state of this moment, with the parts of these accounts. Raises StoreError."""
        return self.at(read_stamp(self._reader), *names)

    def _of_snapshot(self) -> CurrentAccess:
        stamp = read_stamp(self._reader)
        if self._current is None or self._current.stamp != stamp:
            issuers = [read_issuer(row) for row in self._reader.rows(f"SELECT {COLUMNS['issuers']} FROM issuers")]
            commit = self._reader.row("SELECT commit_sha FROM revisions WHERE id = ?", stamp.revision_id)
            policies = self._reader.row("SELECT policies FROM settings")
            self._current = CurrentAccess(
                stamp,
                commit[0] if commit else None,
                read_policies(policies[0] if policies else None),
                {issuer.name: issuer for issuer in issuers},
            )
        return self._current


def read_stamp(reader: Reader) -> Stamp:
    """The stamp of this moment, or of the snapshot. Raises StoreError."""
    row = reader.row("SELECT generation, (SELECT max(id) FROM revisions) FROM state")
    return Stamp(*row) if row else Stamp(0, None)


_ACCOUNT = """SELECT u.id, u.name, u.type, u.source, u.disabled_by_git, a.disabled_by_directory, a.disabled_by_administrator
FROM users u LEFT JOIN account_states a ON a.user_id = u.id WHERE u.name = ?"""
_PERMISSIONS = """SELECT i.name, p.until FROM permissions p JOIN issuers i ON i.id = p.issuer_id
WHERE p.team_id = ? ORDER BY i.name"""
