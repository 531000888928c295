"""The access state that requests are decided by: of one generation, and filled in account by account as they are asked for.

Building it whole would take seconds for a hundred thousand accounts, after every change, and no request shall wait for that:
reading one account takes an indexed look-up, once a generation, and in the background the others are read ahead.
"""

from __future__ import annotations

import threading
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Literal, NamedTuple

from api.state.policies import Policies, read_policies
from api.state.reader import Reader, Row
from reconciler.access.resources import Issuer, Membership, Permission, Team
from reconciler.access.state import AccessState, teams_of
from reconciler.store.errors import StoreError
from reconciler.store.rows import COLUMNS, read_issuer, read_team, read_until

MOST = 250_000
"""Accounts that are read ahead; beyond so many, each is read when it is first asked for."""
_SETTLED = 0.2
_PAUSE = 0.006
"""Seconds before reading ahead begins, since changes come together, and between one piece and the next."""


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


class AccessSnapshot:
    """The access state of one stamp. What has been read of it never changes: another stamp has another object."""

    def __init__(self, stamp: Stamp, reconnects: int, commit: str | None, policies: Policies, issuers: dict[str, Issuer]) -> None:
        self.stamp = stamp
        self.reconnects = reconnects
        """The reader's, when it was made: a backup that was put in place has stamps of its own, and they may be the same."""
        self.commit = commit
        self.policies = policies
        self.accounts: dict[str, Account] = {}
        self._enabled: dict[str, bool] = {}
        self._teams: dict[str, Team] = {}
        self._teams_by_id: dict[int, Team] = {}
        self._memberships: dict[str, dict[str, Membership]] = {}
        self.state = AccessState(self._enabled, self._teams, issuers, self._memberships)

    def is_directory_account(self, name: str) -> bool:
        """Whether an account that was read lives in a directory; the reason of its memberships is the group that gave them."""
        account = self.accounts.get(name)
        return account is not None and account.source == "directory"

    def teams(self, name: str, now: datetime) -> list[Team]:
        """The teams that an account is a member of at an instant, by name."""
        return teams_of(self.state, name, now)

    def read(self, reader: Reader, name: str) -> None:
        """Read an account's part; does nothing where there is no such account. Raises Moved or StoreError.

        Each statement also says of when it reads, so that no transaction is needed to know that all of it is of one moment.
        """
        rows = reader.rows(_ACCOUNT, name)
        if rows:
            self._check(rows)
            self._take(reader, rows)

    def read_some(self, reader: Reader, after: int) -> int | None:
        """Read the next accounts behind an id; the last one's id, or None where there are no more. Raises Moved or StoreError."""
        rows = reader.rows(_ACCOUNTS, after)
        if not rows:
            return None
        self._check(rows)
        for _, of_one in groupby(rows, key=itemgetter(2)):
            self._take(reader, list(of_one))
        last: int = rows[-1][2]
        return last

    def _take(self, reader: Reader, rows: list[Row]) -> None:
        account, disabled = Account(*rows[0][2:6]), any(rows[0][6:9])
        links = [(row[9], row[10], row[11]) for row in rows if row[9] is not None]
        if account.source == "directory":
            found = reader.rows(_DIRECTORY_TEAMS, account.id)
            self._check(found)
            links = [(row[2], None, row[3]) for row in found if row[2] is not None]  # the reason is the AD group
        memberships = {}
        for team_id, until, reason in links:
            team = self._teams_by_id.get(team_id) or self._read_team(reader, team_id)
            memberships[team.name] = Membership(account.name, read_until(until), reason)
        self._memberships[account.name] = memberships
        self._enabled[account.name] = not disabled
        self.accounts[account.name] = account  # last: who finds it here finds the rest

    def _read_team(self, reader: Reader, team_id: int) -> Team:
        rows = reader.rows(_TEAM, team_id)
        self._check(rows)
        granted = reader.rows(_PERMISSIONS, team_id)
        self._check(granted)
        permissions = tuple(Permission(issuer, read_until(end)) for _, _, issuer, end in granted if issuer is not None)
        team = read_team(rows[0][2:], (), permissions)
        self._teams[team.name] = self._teams_by_id[team_id] = team
        return team

    def _check(self, rows: list[Row]) -> None:
        if not rows or rows[0][:2] != self.stamp:
            raise Moved


class Moved(Exception):
    """What is read is of another stamp by now."""


class AccessKeeper:
    """Hands out the current access state, shared by all threads, and makes a new one when the stamp has moved."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._current: AccessSnapshot | None = None
        self._lock = threading.Lock()
        self._new = threading.Event()

    def fill(self, stopping: threading.Event) -> None:
        """Read the accounts of each new state before they are asked for, a few at a time so that requests hardly notice."""
        while not stopping.is_set():
            self._new.wait()
            if stopping.wait(_SETTLED):
                return
            self._new.clear()
            current, after = self._current, 0
            while current is self._current and current is not None and len(current.accounts) < MOST and not stopping.wait(_PAUSE):
                try:
                    last = current.read_some(self._reader, after)
                except (Moved, StoreError):
                    break  # a request that needs it makes the next state, or says that the database is away
                if last is None:
                    break
                after = last

    def stop(self) -> None:
        """Let `fill` see that it shall stop."""
        self._new.set()

    def at(self, stamp: Stamp, *names: str) -> AccessSnapshot:
        """The access state of a stamp just read, or of a later one, with the parts of these accounts. Raises StoreError."""
        while True:
            current = self._current
            if current is None or (current.stamp, current.reconnects) != (stamp, self._reader.reconnects):
                current = self._renewed()
            try:
                for name in names:
                    if name not in current.accounts:
                        current.read(self._reader, name)
            except Moved:
                stamp = read_stamp(self._reader)
            else:
                return current

    def now(self, *names: str) -> AccessSnapshot:
        """The access state of this moment, with the parts of these accounts. Raises StoreError."""
        return self.at(read_stamp(self._reader), *names)

    def _renewed(self) -> AccessSnapshot:
        with self._lock, self._reader.snapshot():
            stamp, reconnects = read_stamp(self._reader), self._reader.reconnects
            if self._current is None or (self._current.stamp, self._current.reconnects) != (stamp, reconnects):
                issuers = [read_issuer(row) for row in self._reader.rows(f"SELECT {COLUMNS['issuers']} FROM issuers")]
                commit = self._reader.row("SELECT commit_sha FROM revisions WHERE id = ?", stamp.revision_id)
                policies = self._reader.row("SELECT policies FROM settings WHERE name = 'default'")
                self._current = AccessSnapshot(
                    stamp,
                    reconnects,
                    commit[0] if commit else None,
                    read_policies(policies[0] if policies else None),
                    {issuer.name: issuer for issuer in issuers},
                )
                self._new.set()
            return self._current


_STAMP = "(SELECT generation FROM state), (SELECT max(id) FROM revisions)"


def read_stamp(reader: Reader) -> Stamp:
    """The stamp of this moment, or of the snapshot. Raises StoreError."""
    return Stamp(*reader.rows(f"SELECT {_STAMP}")[0])


_ACCOUNTS_OF = f"""SELECT {_STAMP},
u.id, u.name, u.type, u.source, u.disabled_by_git, a.disabled_by_directory, a.disabled_by_administrator,
m.team_id, m.until, m.reason
FROM {{}} u LEFT JOIN account_states a ON a.user_id = u.id
LEFT JOIN memberships m ON m.user_id = u.id AND u.source = 'declared'"""
_ACCOUNT = _ACCOUNTS_OF.format("users") + " WHERE u.name = ?"
_ACCOUNTS = _ACCOUNTS_OF.format("(SELECT * FROM users WHERE id > ? ORDER BY id LIMIT 200)") + " ORDER BY u.id"
_DIRECTORY_TEAMS = (
    f"SELECT {_STAMP}, team_id, ad_group FROM directory_memberships WHERE user_id = ? UNION ALL SELECT {_STAMP}, NULL, NULL"
)
_TEAM = f"SELECT {_STAMP}, {COLUMNS['teams']} FROM teams WHERE id = ?"
_PERMISSIONS = f"""SELECT {_STAMP}, i.name, p.until FROM teams t LEFT JOIN permissions p ON p.team_id = t.id
LEFT JOIN issuers i ON i.id = p.issuer_id WHERE t.id = ? ORDER BY i.name"""
