"""The access state: who is in which team and what each team may use, indexed for questions. Built once, then only read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import NamedTuple

from reconciler.access.resources import DeclaredState, Issuer, Membership, Permission, Team


class Access(NamedTuple):
    """User x issuer: who can use what, through which teams (sorted), until when (the longest way there)."""

    user: str
    issuer: str
    through: tuple[str, ...]
    until: datetime | None


class Path(NamedTuple):
    """One way from an account to an issuer: a membership of a team and the team's permission."""

    team: str
    membership: Membership
    permission: Permission

    @property
    def until(self) -> datetime | None:
        """When this way ends by itself: the earlier of the membership's and the permission's end."""
        return earlier(self.membership.until, self.permission.until)

    def holds_at(self, now: datetime) -> bool:
        """Whether the way is still open at an instant; an end is exclusive."""
        return not ended(self.membership.until, now) and not ended(self.permission.until, now)


class AccessState(NamedTuple):
    """Accounts (name -> enabled by every switch), teams and issuers by name, and each account's memberships by team."""

    accounts: Mapping[str, bool]
    teams: Mapping[str, Team]
    issuers: Mapping[str, Issuer]
    memberships: Mapping[str, Mapping[str, Membership]]


def ended(until: datetime | None, now: datetime) -> bool:
    """Whether something that holds until an instant (exclusive; None: for good) has ended."""
    return until is not None and until <= now


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two ends, where None means never."""
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


def build(
    declared: DeclaredState,
    *,
    disabled: frozenset[str] = frozenset(),
    directory_accounts: frozenset[str] = frozenset(),
    directory_members: Mapping[str, Iterable[str]] | None = None,
) -> AccessState:
    """Index the declared state together with what runtime says: accounts switched off, directory accounts and their teams.

    A declared membership of somebody who is not a declared user counts for nothing.
    """
    accounts = {name: user.enabled and name not in disabled for name, user in declared.users.items()}
    accounts.update((name, name not in disabled) for name in directory_accounts)
    memberships: dict[str, dict[str, Membership]] = {}
    for team in declared.teams.values():
        for membership in team.members:
            if membership.user not in declared.users:
                continue  # only a declared user's membership can be declared; anybody else's is no way in
            memberships.setdefault(membership.user, {})[team.name] = membership
    for team_name, names in (directory_members or {}).items():
        for name in directory_accounts.intersection(names):  # a declared user's membership is declared, or is none
            memberships.setdefault(name, {}).setdefault(team_name, Membership(name))
    return AccessState(accounts, declared.teams, declared.issuers, memberships)


def teams_of(state: AccessState, user: str, now: datetime) -> list[Team]:
    """The teams an account is a member of at an instant, by name."""
    memberships = state.memberships.get(user, {})
    return [state.teams[name] for name in sorted(memberships) if name in state.teams and not ended(memberships[name].until, now)]


def paths(state: AccessState, user: str, issuer: str) -> list[Path]:
    """Every way from an account to an issuer, by team, whether it has ended or not."""
    return [
        Path(team, membership, permission)
        for team, membership in sorted(state.memberships.get(user, {}).items())
        if team in state.teams
        for permission in state.teams[team].permissions
        if permission.issuer == issuer
    ]


def access_of(state: AccessState, user: str, now: datetime) -> dict[str, Access]:
    """What one account may use at an instant, by issuer. A disabled account and a disabled issuer have no access."""
    return access_at(state, now)(user)


def access_at(state: AccessState, now: datetime) -> Callable[[str], dict[str, Access]]:
    """`access_of` at one instant for many accounts: what a team grants is worked out once, not for each of its members."""

    new = tuple.__new__  # what Access() comes to, at half the cost: there may be a million of them

    @cache
    def grants(name: str) -> list[Permission]:
        permissions = state.teams[name].permissions if name in state.teams else ()
        return [
            permission
            for permission in permissions
            if not ended(permission.until, now)
            and permission.issuer in state.issuers
            and state.issuers[permission.issuer].enabled
        ]

    def access(user: str) -> dict[str, Access]:
        found: dict[str, Access] = {}
        if not state.accounts.get(user, False):
            return found
        memberships = state.memberships.get(user, {})
        for team in sorted(memberships):
            end = memberships[team].until
            if end is not None and ended(end, now):
                continue
            through: tuple[str, ...] = (team,)
            for issuer, permitted_until in grants(team):
                until = permitted_until if end is None else earlier(end, permitted_until)
                teams, known = through, found.get(issuer)
                if known is not None:
                    teams = known.through + through
                    until = None if known.until is None or until is None else max(known.until, until)
                found[issuer] = new(Access, (user, issuer, teams, until))
        return found

    return access


def all_access(state: AccessState, now: datetime) -> Iterator[Access]:
    """Everybody's access at an instant, by user and issuer."""
    access = access_at(state, now)
    for user in sorted(state.accounts):
        found = access(user)
        for issuer in sorted(found):
            yield found[issuer]
