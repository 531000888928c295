"""The access state: who is in which team and what each team may use, indexed for lookups. Built once, then only read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import NamedTuple

from reconciler.access.resources import DeclaredState, Issuer, Membership, Permission, Team


class Access(NamedTuple):
    """User x issuer: who can use what, through which teams (sorted), until when (by the longest way)."""

    user: str
    issuer: str
    through: tuple[str, ...]
    until: datetime | None


class Path(NamedTuple):
    """One way from an account to an issuer: a membership in a team and the team's permission."""

    team: str
    membership: Membership
    permission: Permission

    @property
    def until(self) -> datetime | None:
        """When this way ends by itself: the earlier end of membership and permission."""
        return earlier(self.membership.until, self.permission.until)

    def holds_at(self, now: datetime) -> bool:
        """Tell whether the way is open at an instant; ends are exclusive."""
        return not ended(self.membership.until, now) and not ended(self.permission.until, now)


class AccessState(NamedTuple):
    """Accounts (name → whether all switches enable it), teams and issuers by name, and each account's memberships by team."""

    accounts: Mapping[str, bool]
    teams: Mapping[str, Team]
    issuers: Mapping[str, Issuer]
    memberships: Mapping[str, Mapping[str, Membership]]


def ended(until: datetime | None, now: datetime) -> bool:
    """Tell whether something that holds until an instant (exclusive; None means forever) has ended."""
    return until is not None and until <= now


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the earlier of two ends; None means never."""
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
    """Index the declared state with the runtime's facts: disabled accounts, directory accounts and their teams.

    A declared membership counts only for a declared user.
    """
    accounts = {name: user.enabled and name not in disabled for name, user in declared.users.items()}
    accounts.update((name, name not in disabled) for name in directory_accounts)
    memberships: dict[str, dict[str, Membership]] = {}
    for team in declared.teams.values():
        for membership in team.members:
            if membership.user not in declared.users:
                continue  # only declared users have declared memberships; another's gives no access
            memberships.setdefault(membership.user, {})[team.name] = membership
    for team_name, names in (directory_members or {}).items():
        for name in directory_accounts.intersection(names):  # declared users have only declared memberships
            memberships.setdefault(name, {}).setdefault(team_name, Membership(name))
    return AccessState(accounts, declared.teams, declared.issuers, memberships)


def teams_of(state: AccessState, user: str, now: datetime) -> list[Team]:
    """Return an account's teams at an instant, sorted by name."""
    memberships = state.memberships.get(user, {})
    return [state.teams[name] for name in sorted(memberships) if name in state.teams and not ended(memberships[name].until, now)]


def paths(state: AccessState, user: str, issuer: str) -> list[Path]:
    """Return every way from an account to an issuer, sorted by team, including those that have ended."""
    return [
        Path(team, membership, permission)
        for team, membership in sorted(state.memberships.get(user, {}).items())
        if team in state.teams
        for permission in state.teams[team].permissions
        if permission.issuer == issuer
    ]


def access_of(state: AccessState, user: str, now: datetime) -> dict[str, Access]:
    """Return what an account may use at an instant, by issuer. Disabled accounts and disabled issuers are left out."""
    return access_at(state, now)(user)


def access_at(state: AccessState, now: datetime) -> Callable[[str], dict[str, Access]]:
    """Return `access_of` for one instant and many accounts, computing what each team grants only once."""

    new = tuple.__new__  # does what Access() does at half the cost: there may be a million of them

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
    """Yield everyone's access at an instant, sorted by user and issuer."""
    access = access_at(state, now)
    for user in sorted(state.accounts):
        found = access(user)
        for issuer in sorted(found):
            yield found[issuer]
