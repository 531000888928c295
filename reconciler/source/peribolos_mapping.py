"""Turns GitHub organisations into declared state with the same access as on GitHub.

- A repository becomes an issuer `<organisation>-<repository>`, disabled if it is archived, since nobody can write to it.
- A team becomes a team `<organisation>-<team>` that may use the repositories on which it has at least the minimum permission.
  A child team also gets its parents' repositories, as on GitHub. The parent does not list the child's members again: they
  use its repositories through their own team, whose file stays the only place to change it.
- Maintainers become members. Owners become the administrator team `<organisation>-org-admins`, which may use everything.
- If the organisation gives all members at least the minimum permission, they form the team `<organisation>-org-members`.
- A repository's collaborators become the team `<organisation>-<repository>-collaborators`.
- If there are more owners than the default limit of administrators, Settings raise it, or the first plan would be refused.
- People are named by their logins in lower case. Names are made safe; it is an error if two names become the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from reconciler.access.problems import Problem, Severity
from reconciler.access.resources import DeclaredState, Guards, Issuer, Kind, Membership, Permission, Settings, Team, User
from reconciler.source.imported import Place, safe_name
from reconciler.source.peribolos_shape import PERMISSIONS, GitHubRepository, GitHubTeam, Part

_MOST_PREVIOUS = 32


class Organisation(NamedTuple):
    """An organisation, joined from its parts."""

    name: str
    place: Place
    admins: Mapping[str, Place]
    members: Mapping[str, Place]
    teams: tuple[GitHubTeam, ...]
    repositories: tuple[GitHubRepository, ...]
    default_permission: int


def join_parts(parts: Iterable[Part]) -> list[Organisation]:
    """Join parts into organisations, in order of first appearance."""
    found: dict[str, Organisation] = {}
    for part in parts:
        key = part.organisation.lower()
        before = found.get(key, Organisation(part.organisation, part.place, {}, {}, (), (), 0))
        found[key] = Organisation(
            before.name,
            before.place,
            {**part.admins, **before.admins},
            {**part.members, **before.members},
            before.teams + part.teams,
            before.repositories + part.repositories,
            max(before.default_permission, part.default_permission or 0),
        )
    return list(found.values())


class StateMaker:
    """Builds declared state from one organisation after another, and keeps names unique."""

    def __init__(self, minimum: int, email_domain: str) -> None:
        self._minimum = minimum
        self._email_domain = email_domain
        self._users: dict[str, User] = {}
        self._teams: dict[str, Team] = {}
        self._issuers: dict[str, Issuer] = {}
        self._taken: dict[tuple[Kind, str], str] = {}
        self._before: list[tuple[Kind, str, tuple[str, ...], Place]] = []
        self.problems: list[Problem] = []

    def add(self, organisation: Organisation) -> None:
        """Add an organisation's people, teams and repositories."""
        people = {**organisation.members, **organisation.admins}
        for login in people:
            self._user(login)
        issuers = self._add_repositories(organisation)
        everything = tuple(Permission(name) for name in sorted(set(issuers.values())))
        place = organisation.place
        if organisation.admins:
            self._add_team(
                f"{organisation.name}-org-admins",
                "the owners",
                place,
                Team(
                    "", f"Owners of the GitHub organisation {organisation.name}", True, _members(organisation.admins), everything
                ),
            )
        if organisation.default_permission >= self._minimum:
            text = f"Members of the GitHub organisation {organisation.name}"
            self._add_team(
                f"{organisation.name}-org-members", "all members", place, Team("", text, False, _members(people), everything)
            )
        self._add_teams(organisation, issuers, people)

    def state(self) -> DeclaredState:
        """Return the state so far, without earlier names that would clash; each gets a warning."""
        claimed: set[tuple[Kind, str]] = set()
        for kind, name, previous, place in self._before:
            kept = []
            for text in previous:
                if (kind, text) in self._taken or (kind, text) in claimed:
                    self._problem(
                        place, f"the earlier name `{text}` is left out because it is in use or claimed twice", "warning"
                    )
                else:
                    claimed.add((kind, text))
                    kept.append(text)
            names = tuple(sorted(kept)[:_MOST_PREVIOUS])
            if kind == "Team":
                self._teams[name] = self._teams[name]._replace(previously=names)
            else:
                self._issuers[name] = self._issuers[name]._replace(previously=names)
        return DeclaredState(self._users, self._teams, self._issuers, settings=self._settings())

    def _settings(self) -> Settings | None:
        """Return the settings that let the first plan pass; None if the defaults do."""
        owners = {member.user for team in self._teams.values() if team.administrator for member in team.members}
        limit = Guards().max_administrators
        return Settings(guards=Guards(max_administrators=len(owners))) if limit is not None and len(owners) > limit else None

    def _problem(self, place: Place, message: str, severity: Severity = "error") -> None:
        self.problems.append(place.problem(message, severity))

    def _user(self, login: str) -> None:
        self._users.setdefault(login, User(login, f"{login}@users.noreply.{self._email_domain}"))

    def _claim(self, kind: Kind, text: str, what: str, place: Place) -> str | None:
        """Reserve and return a safe name, unless it is already taken."""
        name = safe_name(text)
        holder = self._taken.get((kind, name))
        if not name:
            self._problem(place, f"{what} has no letter or digit to make a name from")
        elif holder is not None:
            self._problem(place, f"{what} and {holder} would both become the {kind.lower()} `{name}`; rename one of them")
        else:
            self._taken[kind, name] = what
            return name
        return None

    def _add_team(self, text: str, what: str, place: Place, team: Team, previously: tuple[str, ...] = ()) -> None:
        name = self._claim("Team", text, what, place)
        if name is not None:
            self._teams[name] = team._replace(name=name)
            self._before.append(("Team", name, previously, place))

    def _add_repositories(self, organisation: Organisation) -> dict[str, str]:
        """Add an issuer for each repository, even if only teams mention it; return names by lower-case repository."""
        issuers: dict[str, str] = {}
        mentioned = [
            GitHubRepository(repository, team.place)
            for team in organisation.teams
            for repository, permission in team.permissions.items()
            if permission >= self._minimum
        ]
        known = {repository.name.lower() for repository in organisation.repositories}
        self._warn_of_left_out(organisation, known | {repository.name for repository in mentioned})
        for repository in (*organisation.repositories, *(found for found in mentioned if found.name not in known)):
            if repository.name in issuers and repository.name not in known:
                continue
            full = f"{organisation.name}/{repository.name}"
            name = self._claim("Issuer", full.replace("/", "-"), f"the repository {full!r}", repository.place)
            if name is None:
                continue
            issuers[repository.name.lower()] = name
            self._issuers[name] = Issuer(name, full, repository.description, not repository.archived)
            earlier = _previous(organisation.name, repository.previously, name)
            self._before.append(("Issuer", name, earlier, repository.place))
            self._add_collaborators(organisation, repository, name)
        return issuers

    def _warn_of_left_out(self, organisation: Organisation, kept: Collection[str]) -> None:
        """Warn of repositories that nothing but teams with too low a permission mentions."""
        found = {
            name: team
            for team in reversed(organisation.teams)
            for name, permission in team.permissions.items()
            if permission and name not in kept
        }
        for name, team in sorted(found.items()):
            least = PERMISSIONS[self._minimum]
            self._problem(
                team.place,
                f"the repository {name!r} becomes nothing: `repos` of {organisation.name} does not list it, and no team has "
                f"{least} permission on it; list it, or choose a lower --minimum-permission",
                "warning",
            )

    def _add_collaborators(self, organisation: Organisation, repository: GitHubRepository, issuer: str) -> None:
        people = [login for login, permission in repository.collaborators.items() if permission >= self._minimum]
        if not people:
            return
        for login in people:
            self._user(login)
        full = f"{organisation.name}/{repository.name}"
        team = Team("", f"Collaborators of {full}", False, _members(people), (Permission(issuer),))
        text = f"{organisation.name}-{repository.name}-collaborators"
        self._add_team(text, f"the collaborators of {full!r}", repository.place, team)

    def _add_teams(self, organisation: Organisation, issuers: Mapping[str, str], people: Mapping[str, Place]) -> None:
        inherited: dict[str, Mapping[str, int]] = {}
        for team in organisation.teams:
            above = inherited[team.parent] if team.parent is not None else {}
            permissions = {
                repository: max(above.get(repository, 0), team.permissions.get(repository, 0))
                for repository in {**above, **team.permissions}
            }
            inherited[team.name] = permissions
            members = [login for login in team.members if login in people]
            for login in sorted(team.members.keys() - people.keys()):
                self._problem(
                    team.members[login],
                    f"{login!r} is in the team {team.name!r} but is not a member of {organisation.name}, so "
                    "GitHub gives them nothing; add them to the organisation's members, or remove them from the team",
                )
            granted = {issuers[name] for name, level in permissions.items() if level >= self._minimum and name in issuers}
            made = Team("", team.description, False, _members(members), tuple(map(Permission, sorted(granted))))
            text = f"{organisation.name}-{team.name}"
            previously = _previous(organisation.name, team.previously, safe_name(text))
            self._add_team(text, f"the team {team.name!r}", team.place, made, previously)


def _members(logins: Iterable[str]) -> tuple[Membership, ...]:
    return tuple(map(Membership, sorted(logins)))


def _previous(organisation: str, names: Iterable[str], own: str) -> tuple[str, ...]:
    """Return earlier names as this import would have made them."""
    return tuple(sorted({safe_name(f"{organisation}-{name}") for name in names} - {own}))
