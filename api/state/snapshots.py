"""The access state that requests are decided by: of one moment, read account by account as they are asked for.

Building it whole would take seconds for a hundred thousand accounts, and no request shall wait for that: reading one account
takes an indexed look-up, and in the background the others are read ahead. When the generation moves, what the change touched
is forgotten, and all else is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from sys import intern
from typing import Any, Literal, NamedTuple

from api.background import log_failure
from api.state.accounts import SWITCH_COLUMNS
from api.state.policies import Policies, read_policies
from api.state.reader import Reader, Row
from reconciler.access.resources import Issuer, Membership, Permission, Team
from reconciler.access.state import AccessState, teams_of
from reconciler.access.touched import EVERYTHING, Touched
from reconciler.store.engine import READ_ONLY
from reconciler.store.errors import StoreError
from reconciler.store.generations import BETWEEN, read_touched
from reconciler.store.rows import COLUMNS, read_issuer, read_team, read_until

MOST = 250_000
"""Accounts that are read ahead; beyond so many, each is read when it is first asked for."""
MOST_KEPT = 1_000_000
"""Accounts that are kept; beyond so many, each is read whenever it is asked for."""
_SETTLED = 0.2
_PAUSE = 0.006
"""Seconds before reading ahead begins, since changes come together, and between one piece and the next."""


class Stamp(NamedTuple):
    """Of when a state is: the generation, and the last entry of the history (which may change nothing, and not raise it)."""

    generation: int
    mark: str
    """Random: the generation of the same number in another history, such as that of a restored backup, has another one."""
    revision_id: int | None


STAMP_COLUMNS = "(SELECT generation FROM state), (SELECT mark FROM state), (SELECT max(id) FROM revisions)"
"""The columns of a stamp in any query."""


class Account(NamedTuple):
    """An account, whether every switch leaves it on, and its memberships by team."""

    id: int
    name: str
    type: Literal["person", "application"]
    source: Literal["declared", "directory"]
    enabled: bool
    memberships: Mapping[str, Membership]


class Moment(NamedTuple):
    """What all snapshots of one stamp share. What has been read of it is handed on to the next moment, but for what was touched.

    `accounts` and `teams` are so far as they were read, and of the newest moment: `AccessKeeper` alone touches them.
    """

    stamp: Stamp
    reconnects: int
    """The reader's, when it was made: another database may have been put in place, with hand edits under the same stamp."""
    commit: str | None
    policies: Policies
    issuers: Mapping[str, Issuer]
    accounts: dict[str, Account]
    teams: dict[str, Team]


class AccessSnapshot:
    """The access state of one moment, with the accounts that were asked for and their teams. It never changes."""

    __slots__ = ("accounts", "commit", "policies", "stamp", "state")

    def __init__(self, moment: Moment, accounts: Mapping[str, Account], teams: Mapping[str, Team]) -> None:
        self.stamp = moment.stamp
        self.commit = moment.commit
        self.policies = moment.policies
        self.accounts = accounts
        enabled = {name: account.enabled for name, account in accounts.items()}
        memberships = {name: account.memberships for name, account in accounts.items()}
        self.state = AccessState(enabled, teams, moment.issuers, memberships)

    def is_directory_account(self, name: str) -> bool:
        """Whether an account lives in a directory; the reason of its memberships is the group that gave them."""
        account = self.accounts.get(name)
        return account is not None and account.source == "directory"

    def teams(self, name: str, now: datetime) -> list[Team]:
        """The teams that an account is a member of at an instant, by name."""
        return teams_of(self.state, name, now)


class Moved(Exception):
    """What is read is of another moment by now."""


class AccessKeeper:
    """Hands out the access state of now, shared by all threads, and makes the next moment of it when the stamp has moved.

    What was touched is forgotten before the next moment is put in place, and what is read is kept only as long as its own moment
    is there. So what is kept is of the moment in place, all of it; and a thread that finds one in place still, after it took what
    it needs, knows that this is of one moment.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._moment: Moment | None = None
        self._renewing = threading.Lock()
        self._keeping = threading.Lock()
        self._anew = threading.Event()

    def at(self, stamp: Stamp, *names: str) -> AccessSnapshot:
        """The access state of a stamp just read, or of a later one, with the parts of these accounts. Raises StoreError."""
        while True:
            moment = self._moment
            if moment is None or (moment.stamp, moment.reconnects) != (stamp, self._reader.reconnects):
                moment = self._renewed()
            try:
                return self._taken(moment, names)
            except Moved:
                stamp = read_stamp(self._reader)

    def now(self, *names: str) -> AccessSnapshot:
        """The access state of this moment, with the parts of these accounts. Raises StoreError."""
        return self.at(read_stamp(self._reader), *names)

    def fill(self, stopping: threading.Event) -> None:
        """Read the accounts of every new state before they are asked for, a few at a time so that requests hardly notice."""
        while not stopping.is_set():
            self._anew.wait()
            if stopping.wait(_SETTLED):
                return
            self._anew.clear()
            try:
                self._read_ahead(stopping)
            except StoreError:  # a request will say so, or build the state anew
                pass
            except Exception as error:  # noqa: BLE001 - if it ended here, nobody would notice
                log_failure("reading access ahead", error)

    def stop(self) -> None:
        """Let `fill` see that it shall stop."""
        self._anew.set()

    def _read_ahead(self, stopping: threading.Event) -> None:
        moment = self._renewed()
        accounts, after = moment.accounts, 0
        while moment.accounts is accounts and len(accounts) < MOST and not stopping.wait(_PAUSE):
            try:
                rows = self._reader.rows(_ACCOUNTS, after)
                if not rows:
                    return
                found = [_account(list(of_one)) for _, of_one in groupby(_checked(moment, rows), key=itemgetter(3))]
                for team in {team for account in found for team in account.memberships}.difference(moment.teams):
                    self._read_team(moment, team)
                self._keep(moment, {account.name: account for account in found}, {})
                after = found[-1].id
            except Moved:
                moment = self._renewed()

    def _taken(self, moment: Moment, names: Iterable[str]) -> AccessSnapshot:
        """What is asked for of a moment. Raises Moved or StoreError."""
        accounts: dict[str, Account] = {}
        teams: dict[str, Team] = {}
        for name in names:
            account = moment.accounts.get(name) or self._read_account(moment, name)
            if account is not None:
                accounts[name] = account
                for team in account.memberships:
                    if team not in teams:
                        teams[team] = moment.teams.get(team) or self._read_team(moment, team)
        if self._moment is not moment or moment.reconnects != self._reader.reconnects:
            raise Moved
        return AccessSnapshot(moment, accounts, teams)

    def _read_account(self, moment: Moment, name: str) -> Account | None:
        """Read an account, in a statement that also says of which moment it is. That there is none is not kept."""
        rows = self._reader.rows(_ACCOUNT, name)
        if not rows:
            if read_stamp(self._reader) != moment.stamp:
                raise Moved
            return None
        account = _account(_checked(moment, rows))
        if len(moment.accounts) < MOST_KEPT:
            self._keep(moment, {name: account}, {})
        return account

    def _read_team(self, moment: Moment, name: str) -> Team:
        rows = self._reader.rows(_TEAM, name)
        if rows:
            team = _team(_checked(moment, rows))
            self._keep(moment, {}, {name: team})
            return team
        if read_stamp(self._reader) == moment.stamp:  # what its member knows of it was changed by hand: what else was?
            self._replace(moment, None)
        raise Moved

    def _keep(self, moment: Moment, accounts: Mapping[str, Account], teams: Mapping[str, Team]) -> None:
        with self._keeping:
            if self._moment is not moment:
                raise Moved
            moment.accounts.update(accounts)
            moment.teams.update(teams)

    def _replace(self, moment: Moment | None, by: Moment | None, touched: Touched = EVERYTHING) -> bool:
        """Put another moment in the place of one, without what was touched, if that one is in place; whether it was."""
        with self._keeping:
            if self._moment is not moment:
                return False
            if by is not None:
                for name in touched.accounts:
                    by.accounts.pop(name, None)
                for name in touched.teams:
                    by.teams.pop(name, None)
            self._moment = by
            return True

    def _renewed(self) -> Moment:
        """The moment of now. Raises StoreError."""
        with self._renewing:
            while True:
                reconnects, standing = self._reader.reconnects, self._moment
                before = standing if standing is not None and standing.reconnects == reconnects else None
                with self._reader.snapshot():
                    moment, touched = self._successor(before, reconnects)
                if moment is before:
                    return moment
                if reconnects == self._reader.reconnects and self._replace(standing, moment, touched):
                    if before is None or moment.accounts is not before.accounts:
                        self._anew.set()
                    return moment

    def _successor(self, before: Moment | None, reconnects: int) -> tuple[Moment, Touched]:
        """The moment of this snapshot of the database, and what was touched since the one before."""
        stamp = read_stamp(self._reader)
        if before is not None and before.stamp == stamp:
            return before, Touched()
        touched = EVERYTHING
        if before is not None:
            since, mark, _ = before.stamp
            touched = read_touched(self._reader.rows(BETWEEN, since, stamp.generation), since, mark, stamp.generation)
        commit = self._reader.row("SELECT commit_sha FROM revisions WHERE id = ?", stamp.revision_id)
        policies = self._reader.row("SELECT policies FROM settings WHERE name = 'default'")
        kept = None if touched.everything else before
        moment = Moment(
            stamp,
            reconnects,
            commit[0] if commit else None,
            read_policies(policies[0] if policies else None),
            self._read_issuers() if kept is None else self._issuers_after(kept.issuers, touched.issuers),
            {} if kept is None else kept.accounts,
            {} if kept is None else kept.teams,
        )
        return moment, touched

    def _read_issuers(self) -> dict[str, Issuer]:
        return {issuer.name: issuer for issuer in map(read_issuer, self._reader.rows(_ISSUERS))}

    def _issuers_after(self, issuers: Mapping[str, Issuer], touched: Collection[str]) -> Mapping[str, Issuer]:
        if not touched:
            return issuers
        kept = {name: issuer for name, issuer in issuers.items() if name not in touched}
        rows = [row for name in touched for row in self._reader.rows(f"{_ISSUERS} WHERE name = ?", name)]
        return kept | {issuer.name: issuer for issuer in map(read_issuer, rows)}


def _checked(moment: Moment, rows: list[Row]) -> list[Row]:
    """Rows that say themselves that they are of a moment. Raises Moved."""
    if rows[0][:3] != moment.stamp:
        raise Moved
    return rows


_one: Callable[[Any], Any] = intern
"""One text in memory for all that say the same."""


def _account(rows: Sequence[Row]) -> Account:
    number, name, kind, source, *switches = rows[0][3:-3]
    memberships = {_one(team): Membership(name, read_until(until), why) for *_, team, until, why in rows if team is not None}
    return Account(number, name, _one(kind), _one(source), not any(switches), memberships)


def _team(rows: Sequence[Row]) -> Team:
    permissions = tuple(Permission(issuer, read_until(end)) for *_, issuer, end in rows if issuer is not None)
    return read_team(rows[0][3:-2], (), permissions)


def read_stamp(reader: Reader) -> Stamp:
    """The stamp of this moment, or of the snapshot. Raises StoreError."""
    return Stamp._make(reader.row_of_primary(_STAMP) or ())


_STAMP = f"SELECT {READ_ONLY}, {STAMP_COLUMNS}"
# a directory account's memberships are those of its AD groups, which are their reason; anybody else's are declared
_ACCOUNTS_OF = f"""SELECT {STAMP_COLUMNS},
u.id, u.name, u.type, u.source, {SWITCH_COLUMNS},
t.name, m.until, coalesce(m.reason, d.ad_group)
FROM {{}} u LEFT JOIN account_states a ON a.user_id = u.id
LEFT JOIN memberships m ON m.user_id = u.id AND u.source = 'declared'
LEFT JOIN directory_memberships d ON d.user_id = u.id AND u.source = 'directory'
LEFT JOIN teams t ON t.id = coalesce(m.team_id, d.team_id)"""
_ACCOUNT = _ACCOUNTS_OF.format("users") + " WHERE u.name = ?"
_ACCOUNTS = _ACCOUNTS_OF.format("(SELECT * FROM users WHERE id > ? ORDER BY id LIMIT 200)") + " ORDER BY u.id"
_TEAM = f"""SELECT {STAMP_COLUMNS}, t.*, i.name, p.until FROM (SELECT {COLUMNS["teams"]} FROM teams WHERE name = ?) t
LEFT JOIN permissions p ON p.team_id = t.id LEFT JOIN issuers i ON i.id = p.issuer_id ORDER BY i.name"""
_ISSUERS = f"SELECT {COLUMNS['issuers']} FROM issuers"
