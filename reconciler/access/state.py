"""The access state: who is in which team and what each team may use, indexed for lookups. Built once, then only read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from reconciler.access.permitted_ips import Addresses, joined
from reconciler.access.resources import DeclaredState, Issuer, Membership, Permission, Team

Later: TypeAlias = tuple[tuple[datetime, Addresses], ...]
"""Instants from which other addresses are permitted, in order, since a membership that restricted them ends."""


class Access(NamedTuple):
    """User x issuer: who can use what, through which teams (sorted), until when (by the longest way), and from where."""

    user: str
    issuer: str
    through: tuple[str, ...]
    until: datetime | None
    addresses: Addresses = None
    """The joined permitted IPs of all the account's teams, not only of those that give this access."""
    later: Later = ()


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


ADMINISTRATOR = "(administrator)"
"""What stands in an issuer's place for the rights of administrators; no issuer has such a name."""


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

    def grants(name: str) -> list[Permission]:
        permissions = state.teams[name].permissions if name in state.teams else ()
        return [
            permission
            for permission in permissions
            if not ended(permission.until, now)
            and permission.issuer in state.issuers
            and state.issuers[permission.issuer].enabled
        ]

    return _granted(state, now, grants)


def rights_at(state: AccessState, now: datetime) -> Callable[[str], dict[str, Access]]:
    """Return a function like `access_at`'s for the rights of administrators, in the place of an issuer."""

    def grants(name: str) -> list[Permission]:
        return [Permission(ADMINISTRATOR)] if name in state.teams and state.teams[name].administrator else []

    return _granted(state, now, grants)


def _granted(state: AccessState, now: datetime, of_team: Callable[[str], list[Permission]]) -> Callable[[str], dict[str, Access]]:
    new = tuple.__new__  # does what Access() does at half the cost: there may be a million of them
    grants, addresses = cache(of_team), addresses_at(state, now)

    def access(user: str) -> dict[str, Access]:
        found: dict[str, Access] = {}
        if not state.accounts.get(user, False):
            return found
        memberships = state.memberships.get(user, {})
        where, later = addresses(user) or (None, ())
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
                found[issuer] = new(Access, (user, issuer, teams, until, where, later))
        if later:
            found = {issuer: limited(access, (where, later)) for issuer, access in found.items()}
        return found

    return access


def limited(access: Access, limits: tuple[Addresses, Later] | None) -> Access:
    """Return access as it holds from these addresses only, as long as it lasts."""
    addresses, later = limits or (None, ())
    until = access.until
    if later and until is not None:
        later = tuple(step for step in later if step[0] < until)
    return tuple.__new__(Access, (*access[:4], addresses, later))  # as in `_granted`


def addresses_at(state: AccessState, now: datetime) -> Callable[[str], tuple[Addresses, Later] | None]:
    """Return a function that tells from where an account may call at an instant, and after each later end of a membership.

    Its None means: from anywhere, for good. Accounts with the same teams share one result.
    """

    @cache
    def limits(name: str) -> bool:
        return name in state.teams and bool(state.teams[name].permitted_ips)

    @cache
    def over_time(held: tuple[tuple[str, datetime | None], ...]) -> tuple[Addresses, Later]:
        def at(moment: datetime) -> Addresses:
            return joined(text for team, end in held if not ended(end, moment) for text in state.teams[team].permitted_ips)

        first = last = at(now)
        later: list[tuple[datetime, Addresses]] = []
        for moment in sorted({end for _, end in held if end is not None}):
            if (then := at(moment)) != last:
                later.append((moment, then))
                last = then
        return first, tuple(later)

    def addresses(user: str) -> tuple[Addresses, Later] | None:
        memberships = state.memberships.get(user, {})
        held = [(team, end) for team in memberships if limits(team) and not ended(end := memberships[team].until, now)]
        if len(held) > 1:
            held.sort(key=itemgetter(0))
        return over_time(tuple(held)) if held else None

    return addresses


def all_access(state: AccessState, now: datetime) -> Iterator[Access]:
    """Yield everyone's access at an instant, sorted by user and issuer."""
    access = access_at(state, now)
    for user in sorted(state.accounts):
        found = access(user)
        for issuer in sorted(found):
            yield found[issuer]
