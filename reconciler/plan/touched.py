"""What the changes of a plan touch, as far as the plan shows; the database knows the rest."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.access.resources import Resource, Team
from reconciler.access.touched import Touched
from reconciler.plan.plan import Change


def find_touched(changes: Iterable[Change]) -> Touched:
    """Return the users, teams and issuers that change, by old and new names, and the users who join or leave a team."""
    accounts: set[str] = set()
    teams: set[str] = set()
    issuers: set[str] = set()
    of_kind = {"User": accounts, "Issuer": issuers}
    for change in changes:
        names = {resource.name for resource in (change.before, change.after) if resource is not None}
        if change.kind in of_kind:
            of_kind[change.kind] |= names
        elif change.kind == "Team":
            accounts |= _members(change)
            if _without_members(change.before) != _without_members(change.after):
                teams |= names
    return Touched(frozenset(accounts), frozenset(teams), frozenset(issuers))


def _members(change: Change) -> set[str]:
    """Return the users whose membership changes."""
    before, after = (set(team.members) if isinstance(team, Team) else set() for team in (change.before, change.after))
    return {member.user for member in before ^ after}


def _without_members(team: Resource | None) -> Resource | None:
    return team._replace(members=()) if isinstance(team, Team) else team
