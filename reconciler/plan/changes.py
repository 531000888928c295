"""Finds the ordered changes from actual to desired: what is created, renamed, updated, taken over and deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple, TypeVar, cast

from reconciler.access.login_names import folded
from reconciler.access.problems import Problem
from reconciler.access.resources import KINDS, DeclaredState, Key, Kind, Origin, Resource, Team, User, with_resources
from reconciler.plan.actual import Actual
from reconciler.plan.plan import FORMER, Change

Renames = Mapping[Kind, Mapping[str, str]]
"""Old name → new name, by kind (see `reconciler.plan.renames`)."""
_R = TypeVar("_R", bound=Resource)


class Desired(NamedTuple):
    """What a revision declares. `origins` may omit resources that the revision did not change."""

    declared: DeclaredState
    origins: Mapping[Key, Origin]


def conflicts(actual: Actual, desired: Desired, *, adopt: bool = False) -> list[Problem]:
    """Return what prevents a plan: declared names that belong to a directory account or to an unmanaged row.

    Unmanaged rows are never taken over silently; that takes `adopt`.
    """
    found = []
    taken = desired.origins.keys() & {*actual.unmanaged, *(("User", name) for name in actual.runtime.directory_accounts)}
    for key in sorted(taken, key=lambda key: (desired.origins[key], key)):
        (kind, name), origin = key, desired.origins[key]
        if kind == "User" and name in actual.runtime.directory_accounts:
            message = (
                f"user `{name}` has the name of a directory account, and directory accounts cannot be declared. "
                "Remove this user, and list one of the account's AD groups in a team instead"
            )
            found.append(Problem(origin.file, origin.line, 1, "directory-account", "error", message))
        held = actual.declared.of_kind(kind)
        old = next((old for old in desired.declared.of_kind(kind)[name].previously if old in held), None)
        if key in actual.unmanaged and old is not None and (kind, old) not in actual.unmanaged:
            message = (
                f"{kind} `{name}` is declared as the new name of `{old}`, but the database has another `{name}`, "
                "which Git never declared; rename or delete that one first"
            )
            found.append(Problem(origin.file, origin.line, 1, "foreign", "error", message))
        elif key in actual.unmanaged and not adopt and not _same(actual, desired, key):
            message = (
                f"{kind} `{name}` is already in the database, but Git never declared it; "
                "use `--adopt` to take it over and change it to this declaration"
            )
            found.append(Problem(origin.file, origin.line, 1, "foreign", "error", message))
    return [*found, *_logins_in_conflict(actual, desired)]


def _logins_in_conflict(actual: Actual, desired: Desired) -> list[Problem]:
    """Return which aliases for logging in are the name of a directory account, or of an unmanaged one."""
    directory = {folded(name) for name in actual.runtime.directory_accounts}
    unmanaged = {folded(name) for kind, name in actual.unmanaged if kind == "User"}
    found = []
    for kind, name in sorted(desired.origins) if directory or unmanaged else ():
        user, origin = desired.declared.of_kind(kind)[name], desired.origins[kind, name]
        for alias in user.logins if isinstance(user, User) else ():
            login = folded(alias)
            if login in directory:
                message = (
                    f"the login `{alias}` of user `{name}` is the name of a directory account, which could then not use it. "
                    "Remove it from `logins`"
                )
                found.append(Problem(origin.file, origin.line, 1, "directory-account", "error", message))
            elif login in unmanaged - {name}:
                message = (
                    f"the login `{alias}` of user `{name}` is the name of another account in the database, which Git never "
                    "declared; rename or delete that one first, or remove this login"
                )
                found.append(Problem(origin.file, origin.line, 1, "foreign", "error", message))
    return found


def _same(actual: Actual, desired: Desired, key: Key) -> bool:
    kind, name = key
    return actual.declared.of_kind(kind).get(name) == desired.declared.of_kind(kind).get(name)


def find_changes(actual: Actual, desired: Desired, renames: Renames, *, adopt: bool = False) -> tuple[Change, ...]:
    """Find all changes, sorted by kind and name. Unmanaged rows are left alone unless they are adopted.

    `before` uses the new names of members and issuers, since a rename keeps their identity.
    """
    held = renamed(actual.declared, renames)
    changes: list[Change] = []
    for kind in KINDS:
        found: list[Change] = []
        before, after = held.of_kind(kind), desired.declared.of_kind(kind)
        if before is after:
            continue
        old_names = {new: old for old, new in renames.get(kind, {}).items()}
        for name, resource in after.items():
            current = before.get(name)
            source = desired.origins.get((kind, name))
            if current is None:
                found.append(Change("create", kind, name, source, None, resource))
            elif name in old_names:
                found.append(Change("rename", kind, name, source, current._replace(name=old_names[name]), resource))
            elif (kind, name) in actual.unmanaged:
                if adopt:
                    found.append(Change("adopt", kind, name, source, current, resource))
            elif current is not resource and current != resource:
                found.append(Change("update", kind, name, source, current, resource))
        for name, resource in before.items():
            if name not in after and (adopt or (kind, name) not in actual.unmanaged):
                row = resource._replace(name=old_names[name]) if name in old_names else resource
                found.append(Change("delete", kind, name, _last_origin(actual, (kind, row.name)), row, None))
        changes += sorted(found, key=_former_first if old_names else attrgetter("name"))
    return tuple(changes)


def _former_first(change: Change) -> tuple[str, bool]:
    return change.name.removesuffix(FORMER), change.after is not None


def _last_origin(actual: Actual, key: Key) -> Origin | None:
    """Return where a deleted resource was declared: the database keeps the file but not the line."""
    file = actual.files.get(key)
    return None if file is None else Origin(file, 0)


def renamed(state: DeclaredState, renames: Renames) -> DeclaredState:
    """Rename resources, members and permitted issuers in a state. References to teams by name stay as they are."""
    if not any(renames.values()):
        return state
    users, issuers = renames.get("User", {}), renames.get("Issuer", {})
    teams = {name: _references_renamed(team, users, issuers) for name, team in state.teams.items()}
    return state._replace(
        users=_keys_renamed(state.users, users),
        teams=_keys_renamed(teams, renames.get("Team", {})),
        issuers=_keys_renamed(state.issuers, issuers),
        templates=_keys_renamed(state.templates, renames.get("EmailTemplate", {})),
    )


def _references_renamed(team: Team, users: Mapping[str, str], issuers: Mapping[str, str]) -> Team:
    if any(member.user in users for member in team.members):
        members = [member._replace(user=users.get(member.user, member.user)) for member in team.members]
        team = team._replace(members=tuple(sorted(members, key=lambda member: member.user)))
    if any(permission.issuer in issuers for permission in team.permissions):
        permissions = [
            permission._replace(issuer=issuers.get(permission.issuer, permission.issuer)) for permission in team.permissions
        ]
        team = team._replace(permissions=tuple(sorted(permissions, key=lambda permission: permission.issuer)))
    return team


def _keys_renamed(resources: Mapping[str, _R], names: Mapping[str, str]) -> Mapping[str, _R]:
    if not names:
        return resources
    return {
        names.get(name, name): cast(_R, resource._replace(name=names.get(name, name))) for name, resource in resources.items()
    }


def resulting(state: DeclaredState, changes: Iterable[Change]) -> DeclaredState:
    """Apply the changes to a state that already uses the new names."""
    kinds: dict[Kind, dict[str, Resource]] = {}
    for change in changes:
        resources = kinds.setdefault(change.kind, dict(state.of_kind(change.kind)))
        if change.after is None:
            del resources[change.name]
        else:
            resources[change.name] = change.after
    return with_resources(state, kinds)


def find_moves(actual: Actual, desired: Desired, changes: Iterable[Change]) -> tuple[tuple[Key, Origin], ...]:
    """Find unchanged resources that are now declared in another file, or for the first time."""
    held = desired.origins.keys() & {*actual.files, *actual.unmanaged}
    moved = {key for key in held if actual.files.get(key) != desired.origins[key].file}
    if moved:
        moved.difference_update((change.kind, change.name) for change in changes)
    return tuple((key, desired.origins[key]) for key in sorted(moved))


def find_shifts(actual: Actual, desired: Desired, changes: Iterable[Change]) -> tuple[tuple[Key, Origin], ...]:
    """Find unchanged resources that stand on other lines than the database says. Lines are no facts: nothing changes by them."""
    held = actual.lines.keys() & desired.origins.keys()
    shifted = {key for key in held if actual.lines[key] != desired.origins[key][1:]}
    if shifted:
        shifted.difference_update((change.kind, change.name) for change in changes)
    return tuple((key, desired.origins[key]) for key in sorted(shifted))
