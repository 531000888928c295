"""What a plan's changes touch, as far as the plan shows; only the database knows what else depends on it."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.access.resources import Resource, Team
from reconciler.access.touched import Touched
from reconciler.plan.plan import Change


def find_touched(changes: Iterable[Change]) -> Touched:
    """Find the users, teams and issuers that change, by old and new name, and the users who join or leave a team."""
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
    """Return the users whose membership changes: all members if the team is renamed."""
    before, after = (set(team.members) if isinstance(team, Team) else set() for team in (change.before, change.after))
    return {member.user for member in (before | after if change.previous_name is not None else before ^ after)}


def _without_members(team: Resource | None) -> Resource | None:
    return team._replace(members=()) if isinstance(team, Team) else team
