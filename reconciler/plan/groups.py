"""What a plan changes for members of AD groups: whoever is in a group has what all teams that list it give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from reconciler.access.problems import Problem
from reconciler.access.resources import Issuer, Membership, Team
from reconciler.access.state import AccessState, access_at, rights_at
from reconciler.plan.access_diff import find_differences
from reconciler.plan.actual import Runtime
from reconciler.plan.plan import AccessDiff, Change, GroupChange

REPLACED = "replaced-by-group"
"""The rule of a warning: declared members make way for an AD group."""
Names = Mapping[str, str]
"""Folded name of a group → the name to show."""


def group_changes(
    before: AccessState, after: AccessState, changes: Iterable[Change], known: Mapping[str, tuple[str, ...]], now: datetime
) -> tuple[GroupChange, ...]:
    """Compare what each AD group gives before and after; `known` holds the accounts of a group, by its folded name."""
    names = _touched(before, after, changes)
    if not names:
        return ()
    was, has = _as_accounts(before, names), _as_accounts(after, names)
    access_before, access_after = access_at(was, now), access_at(has, now)
    rights_before, rights_after = rights_at(was, now), rights_at(has, now)
    found = []
    for folded, group in sorted(names.items(), key=lambda name: (name[1], name[0])):
        teams_before, teams_after = was.memberships.get(group, {}).keys(), has.memberships.get(group, {}).keys()
        change = GroupChange(
            group,
            known.get(folded, ()),
            tuple(sorted(teams_after - teams_before)),
            tuple(sorted(teams_before - teams_after)),
            find_differences([group], access_before, access_after),
            find_differences([group], rights_before, rights_after),
        )
        if change.joins or change.leaves or change.access != AccessDiff() or change.rights != AccessDiff():
            found.append(change)
    return tuple(found)


def _touched(before: AccessState, after: AccessState, changes: Iterable[Change]) -> Names:
    """Return the groups that a changed team, or a team with a changed issuer, lists."""
    changed = list(changes)
    teams = {change.name for change in changed if isinstance(change.before or change.after, Team)}
    issuers = {change.name for change in changed if isinstance(change.before or change.after, Issuer)}
    names: dict[str, str] = {}
    for state in (before, after) if teams or issuers else ():
        for team in state.teams.values():
            if team.ad_groups and (team.name in teams or any(granted.issuer in issuers for granted in team.permissions)):
                for group in team.ad_groups:
                    folded = group.casefold()
                    names[folded] = min(group, names.get(folded, group))  # one of its spellings
    return names


def _as_accounts(state: AccessState, names: Names) -> AccessState:
    memberships: dict[str, dict[str, Membership]] = {}
    for team in state.teams.values():
        for folded in {group.casefold() for group in team.ad_groups} & names.keys() if team.ad_groups else ():
            group = names[folded]
            memberships.setdefault(group, {})[team.name] = Membership(group)
    return state._replace(accounts=dict.fromkeys(names.values(), True), memberships=memberships)


def with_known_members(state: AccessState, runtime: Runtime) -> AccessState:
    """Add whoever is known to be in an AD group to every team that lists it: the next look into the directory will."""
    known, held = runtime.directory_groups, state.memberships
    joined: dict[str, dict[str, Membership]] = {}
    for team in state.teams.values() if known else ():
        for group in team.ad_groups:
            for name in known.get(group.casefold(), ()):
                if name in runtime.directory_accounts and team.name not in held.get(name, {}):
                    joined.setdefault(name, dict(held.get(name, {})))[team.name] = Membership(name)
    return state._replace(memberships={**held, **joined}) if joined else state


def replaced_by_groups(changes: Iterable[Change]) -> list[Problem]:
    """Warn where a team gains AD groups and loses members: a declared user comes in through no group."""
    found = []
    for change in changes:
        old, new, source = change.before, change.after, change.source
        if not (isinstance(old, Team) and isinstance(new, Team) and source is not None):
            continue
        groups = sorted(set(new.ad_groups) - set(old.ad_groups))
        left = sorted({member.user for member in old.members} - {member.user for member in new.members})
        if groups and left:
            message = (
                f"{', '.join(left)} {'leave' if len(left) > 1 else 'leaves'} team `{new.name}`, which gains "
                f"{', '.join(f'`{group}`' for group in groups)}: declared users are not members through AD groups"
            )
            found.append(Problem(source.file, source.line, 1, REPLACED, "warning", message))
    return found
