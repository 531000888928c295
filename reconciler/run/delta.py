"""The delta: what the files that differ between two revisions declared and now declare, and what that can touch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from reconciler.access.duties import issuers_in, teams_in
from reconciler.access.login_names import folded
from reconciler.access.problems import Problem
from reconciler.access.public_ids import IDENTIFIED
from reconciler.access.references import references
from reconciler.access.resources import KINDS, Declaration, Issuer, Key, Kind, Resource, Settings, Team, User
from reconciler.plan.effects import concerns_every_member
from reconciler.run.inputs import Source
from reconciler.store import read

if TYPE_CHECKING:
    from reconciler.source.load import Loaded
    from reconciler.source.repository import ChangedFile
    from reconciler.store.engine import Connection

Names = dict[Kind, set[str]]


class Delta(NamedTuple):
    """The resources that the changed files declared before, and what was loaded from them now, including problems."""

    old: Mapping[Key, Resource]
    loaded: Loaded
    was: Loaded
    """What was loaded from them before."""

    @property
    def new(self) -> dict[Key, Resource]:
        """The resources that the changed files declare now."""
        return {(declaration.kind, declaration.resource.name): declaration.resource for declaration in self.loaded.declarations}

    def delegates(self) -> bool:
        """Tell whether the changed files declare delegations, or did."""
        return any(isinstance(found, Settings) and found.delegation for found in (*self.old.values(), *self.new.values()))

    def changed(self) -> Iterable[tuple[Key, Resource | None, Resource | None]]:
        """Yield each resource that differs between before and now."""
        new = self.new
        for key in self.old.keys() | new.keys():
            before, after = self.old.get(key), new.get(key)
            if before != after:
                yield key, before, after


def read_delta(source: Source, changed: Sequence[ChangedFile]) -> Delta | None:
    """Read the changed files' old and new content. Return None if the old content has errors: then it was never applied."""
    from reconciler.source.load import load_files

    before = [(file.path, file.old_blob) for file in changed if file.old_blob is not None]
    after = [(file.path, file.new_blob) for file in changed if file.new_blob is not None]
    old = load_files(source.repository, before, cache=source.cache)
    if any(problem.severity == "error" for problem in old.problems):
        return None
    return Delta(_by_key(old.declarations), load_files(source.repository, after, cache=source.cache), old)


def _by_key(declarations: Iterable[Declaration]) -> dict[Key, Resource]:
    return {(declaration.kind, declaration.resource.name): declaration.resource for declaration in declarations}


def scope_of(connection: Connection, delta: Delta, now: datetime) -> read.Scope:
    """Return the rows that the delta can change, and the rows that decide whom it affects."""
    users: set[str] = set()
    teams: set[str] = set()
    whole_teams: set[str] = set()
    issuers: set[str] = set()
    granted: set[str] = set()
    groups: set[str] = set()
    logins: set[str] = set()
    for (kind, name), before, after in delta.changed():
        names = {name, *(before.previously if before else ()), *(after.previously if after else ())}
        if kind == "User":
            users |= names
            logins.update(map(folded, after.logins) if isinstance(after, User) else ())
        elif kind == "Issuer":
            issuers |= names
        elif kind == "Team":
            teams |= names
            groups.update(group.casefold() for team in (before, after) if isinstance(team, Team) for group in team.ad_groups)
            granted.update(permission.issuer for permission in (after.permissions if isinstance(after, Team) else ()))
            if isinstance(before, Team) and isinstance(after, Team) and not concerns_every_member(before, after):
                users.update(member.user for member in set(before.members) ^ set(after.members))
            else:
                whole_teams |= names
                users.update(member.user for team in (before, after) if isinstance(team, Team) for member in team.members)
    judging = [resource for resource in delta.new.values() if isinstance(resource, Settings)] + read.settings_in_force(connection)
    bound, bound_groups = set[str](), set[str]()
    if any(settings.guards.administrators_need_permitted_ips for settings in judging):
        bound, bound_groups = _administrator_teams(connection, delta, now)  # their members' other teams may have permitted IPs
    return read.Scope(
        users=frozenset(users | logins | read.directory_names(connection, logins)),
        teams=frozenset(teams),
        issuers=frozenset(issuers),
        whole_teams=frozenset(whole_teams | bound),
        guarded_teams=frozenset().union(*(teams_in(found.guards.separation_of_duties) for found in judging)),
        guarded_issuers=frozenset().union(*(issuers_in(found.guards.separation_of_duties) for found in judging)),
        granted_issuers=frozenset(granted),
        groups=frozenset(groups),
        bound_teams=frozenset(bound),
        bound_groups=frozenset(bound_groups),
    )


def _administrator_teams(connection: Connection, delta: Delta, now: datetime) -> tuple[set[str], set[str]]:
    """Return the names of administrator teams, also of those to come, and the AD groups that they list."""
    held = read.read_actual(connection, read.Scope(), now=now).declared.teams.values()
    coming = (after for _, _, after in delta.changed() if isinstance(after, Team))
    teams = [team for team in (*held, *coming) if team.administrator]
    names = {name for team in teams for name in (team.name, *team.previously)}
    return names, {group.casefold() for team in teams for group in team.ad_groups}


def check_delta(connection: Connection, delta: Delta, now: datetime) -> tuple[list[Problem], list[Problem]]:
    """Check the changed files against everything else that is declared; return the problems, and those there were before.

    The latter are empty if there are none now, and have no places.
    """
    from reconciler.source.rules import Surroundings, check, nowhere

    new = delta.new
    unmanaged = read.read_unmanaged(connection)  # these exist, but Git cannot refer to them
    removed = {kind: frozenset(name for (of, name) in delta.old if of == kind and (kind, name) not in new) for kind in KINDS}
    mentioned = _mentioned(delta.loaded.declarations)
    teams_in_delta = {name for kind, name in (*delta.old, *new) if kind == "Team"}
    names = {
        kind: frozenset(
            name
            for name in read.names_existing(connection, kind, mentioned.get(kind, set()))
            if (kind, name) not in delta.old and (kind, name) not in unmanaged
        )
        for kind in KINDS
    }
    references = {
        (kind, name): tuple(team for team in teams if team not in teams_in_delta)
        for kind in KINDS
        for name, teams in read.teams_referring(connection, kind, removed[kind]).items()
    }
    issuers = frozenset(name for kind, name in new if kind == "Issuer")
    surroundings = Surroundings(
        names=names,
        references={key: teams for key, teams in references.items() if teams},
        display_names={
            (kind, display): name
            for kind in _shown_kinds(delta)
            for display, name in read.display_names(connection, kind).items()
            if (kind, name) not in delta.old
        },
        previous_names={claim: name for kind in KINDS for claim, name in _claims(connection, delta, kind, mentioned[kind])},
        identities={
            identity: name
            for identity, name in read.identities(connection, _identities(delta)).items()
            if ("User", name) not in delta.old
        },
        certdog_ids={
            (kind, identifier): name
            for kind in IDENTIFIED
            for identifier, name in read.certdog_ids(connection, kind, _certdog_ids(delta, kind)).items()
            if (kind, name) not in delta.old
        },
        logins={
            alias: name
            for alias, name in read.alias_owners(connection, mentioned["User"]).items()
            if ("User", name) not in delta.old
        },
        granted_issuers=read.granted_issuers(
            connection, issuers, teams_in_delta | {name for kind, name in unmanaged if kind == "Team"}
        ),
        delegation=tuple(
            each
            for settings in read.settings_in_force(connection)[:1]
            if ("Settings", settings.name) not in unmanaged
            for each in settings.delegation
        ),
    )
    found = [*delta.loaded.problems, *check(delta.loaded.declarations, now, surroundings, locate=delta.loaded.locate)]
    if not found:
        return [], []
    return found, [*delta.was.problems, *check(delta.was.declarations, now, surroundings, locate=nowhere)]


def _claims(connection: Connection, delta: Delta, kind: Kind, names: set[str]) -> Iterable[tuple[Key, str]]:
    """Yield the claims of unchanged resources to earlier names that are mentioned, and to these resources' names in turn."""
    seen: set[str] = set()
    while names:
        seen |= names
        found = read.previous_names(connection, kind, names)
        unchanged = {previous: name for previous, name in found.items() if (kind, name) not in delta.old}
        yield from (((kind, previous), name) for previous, name in unchanged.items())
        names = set(unchanged.values()) - seen


def _identities(delta: Delta) -> set[str]:
    """Return the casefolded identities that a user did not have before."""
    return {
        after.identity.casefold()
        for _, before, after in delta.changed()
        if isinstance(after, User) and after.identity is not None
        if not isinstance(before, User) or before.identity != after.identity
    }


def _shown_kinds(delta: Delta) -> set[Kind]:
    """Return the kinds of which some resource is new, or shown by another name than before."""
    return {
        kind
        for (kind, _), before, after in delta.changed()
        if isinstance(after, Issuer | Team)
        if not isinstance(before, Issuer | Team) or before.display_name != after.display_name
    }


def _certdog_ids(delta: Delta, kind: Kind) -> set[str]:
    resources = (after for (of, _), _, after in delta.changed() if of == kind)
    return {each.certdog_id for each in resources if isinstance(each, User | Team | Issuer) and each.certdog_id is not None}


def _mentioned(declarations: Iterable[Declaration]) -> Names:
    """Return every name that the declarations declare or refer to."""
    found: Names = {kind: set() for kind in KINDS}
    for kind, resource, _ in declarations:
        found[kind].update((resource.name, *resource.previously))
        if isinstance(resource, User):
            found[kind].update(map(folded, resource.logins))
        for referred, _, names in references(resource):
            found[referred].update(names)
    return found
