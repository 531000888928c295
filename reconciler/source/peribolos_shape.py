"""The contents of a peribolos file as plain values: organisations, teams, repositories. Problems are collected, not raised."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.access.problems import Problem, Severity
from reconciler.source.imported import Path, Place
from reconciler.wording.nearest import nearest

PERMISSIONS = ("none", "read", "triage", "write", "maintain", "admin")
"""From the weakest to the strongest; each includes those before it."""
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}")
ORGANISATION_KEYS = frozenset(
    (
        *("billing_email", "company", "email", "name", "description", "location", "members_can_create_repositories"),
        *("has_organization_projects", "has_repository_projects", "default_repository_permission"),
        *("admins", "members", "repos", "teams"),
    )
)
_TEAM_KEYS = frozenset(("description", "privacy", "members", "maintainers", "teams", "previously", "repos"))
_MOST_DESCRIPTION = 4096


class GitHubTeam(NamedTuple):
    """A team; `members` includes its maintainers. Permissions are positions in PERMISSIONS, by repository in lower case."""

    name: str
    place: Place
    description: str
    members: Mapping[str, Place]
    permissions: Mapping[str, int]
    previously: tuple[str, ...]
    parent: str | None


class GitHubRepository(NamedTuple):
    """A repository. Collaborators, by login, have a permission of their own."""

    name: str
    place: Place
    description: str = ""
    archived: bool = False
    previously: tuple[str, ...] = ()
    collaborators: Mapping[str, int] = {}


class Part(NamedTuple):
    """All or part of an organisation, from one file. Logins are in lower case, since GitHub ignores case."""

    organisation: str
    place: Place
    admins: Mapping[str, Place]
    members: Mapping[str, Place]
    teams: tuple[GitHubTeam, ...]
    repositories: tuple[GitHubRepository, ...]
    default_permission: int | None


class PartReader:
    """Reads one organisation's mapping; anything that does not fit becomes a problem and is left out."""

    def __init__(self, file: str, locate: Callable[[Path], tuple[int, int]], problems: list[Problem]) -> None:
        self._file = file
        self._locate = locate
        self._problems = problems

    def read(self, organisation: str, content: Mapping[str, Any], path: Path) -> Part:
        """Read the part in `content`, which is at `path` in the document."""
        self._known(content, ORGANISATION_KEYS, path)
        default = content.get("default_repository_permission")
        return Part(
            organisation,
            self._place(path),
            self._logins(content, "admins", path),
            self._logins(content, "members", path),
            tuple(self._teams(content, path, None)),
            tuple(self._repositories(content, path)),
            None if default is None else self._permission(default, (*path, "default_repository_permission")),
        )

    def problem(self, path: Path, message: str, severity: Severity = "error", suggestion: str | None = None) -> None:
        """Record a problem at a place in the document."""
        self._problems.append(self._place(path).problem(message, severity, suggestion))

    def _place(self, path: Path) -> Place:
        return Place(self._file, self._locate, path, "peribolos")

    def _known(self, content: Mapping[str, Any], keys: frozenset[str], path: Path) -> None:
        for key in content:
            if key not in keys:
                near = nearest(key, keys)
                hint = f"; did you mean `{near}`?" if near else ""
                self.problem((*path, key), f"peribolos does not know `{key}`; it is left out{hint}", "warning", near)

    def _mapping(self, content: Mapping[str, Any], key: str, path: Path) -> Iterator[tuple[str, Any, Path]]:
        value = content.get(key)
        if value is None:
            return
        if not isinstance(value, Mapping):
            self.problem((*path, key), f"`{key}` must be a mapping by name")
            return
        for name, item in value.items():
            yield name, item, (*path, key, name)

    def _texts(self, content: Mapping[str, Any], key: str, path: Path) -> Iterator[tuple[str, Path]]:
        value = content.get(key)
        if value is None:
            return
        if not isinstance(value, list):
            self.problem((*path, key), f"`{key}` must be a list")
            return
        for index, item in enumerate(value):
            place = (*path, key, index)
            if isinstance(item, str):
                yield item, place
            else:
                self.problem(place, f"`{key}` contains {item!r}, which is not text; put it in quotes if it is a name")

    def _login(self, text: str, path: Path) -> str | None:
        if _LOGIN.fullmatch(text):
            return text.lower()
        self.problem(path, f"{text!r} is not a GitHub login")
        return None

    def _logins(self, content: Mapping[str, Any], key: str, path: Path) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for text, path_to in self._texts(content, key, path):
            login = self._login(text, path_to)
            if login is not None:
                found.setdefault(login, self._place(path_to))
        return found

    def _permission(self, value: Any, path: Path) -> int:
        if isinstance(value, str) and value in PERMISSIONS:
            return PERMISSIONS.index(value)
        near = nearest(str(value), PERMISSIONS)
        self.problem(path, f"{value!r} is not a permission; write one of {', '.join(PERMISSIONS)}", suggestion=near)
        return 0

    def _permissions(self, content: Mapping[str, Any], path: Path) -> dict[str, int]:
        found: dict[str, int] = {}
        for name, value, path_to in self._mapping(content, "repos", path):
            if not _REPOSITORY.fullmatch(name):
                self.problem(path_to, f"{name!r} is not a repository's name")
            elif name.lower() in found:
                self.problem(path_to, f"the repository {name!r} is listed twice; GitHub ignores the case of names")
            else:
                found[name.lower()] = self._permission(value, path_to)
        return found

    def _description(self, content: Mapping[str, Any], path: Path) -> str:
        value = content.get("description")
        if value is None:
            return ""
        if isinstance(value, str) and len(value) <= _MOST_DESCRIPTION:
            return value.strip()
        self.problem((*path, "description"), f"a description must be text of at most {_MOST_DESCRIPTION:,} characters")
        return ""

    def _teams(self, content: Mapping[str, Any], path: Path, parent: str | None) -> Iterator[GitHubTeam]:
        for name, team, path_to in self._mapping(content, "teams", path):
            if team is not None and not isinstance(team, Mapping):
                self.problem(path_to, f"the team {name!r} must be a mapping")
                continue
            inside: Mapping[str, Any] = team or {}
            self._known(inside, _TEAM_KEYS, path_to)
            yield GitHubTeam(
                name,
                self._place(path_to),
                self._description(inside, path_to),
                self._logins(inside, "maintainers", path_to) | self._logins(inside, "members", path_to),
                self._permissions(inside, path_to),
                tuple(text for text, _ in self._texts(inside, "previously", path_to)),
                parent,
            )
            yield from self._teams(inside, path_to, name)

    def _repositories(self, content: Mapping[str, Any], path: Path) -> Iterator[GitHubRepository]:
        for name, repository, path_to in self._mapping(content, "repos", path):
            if not _REPOSITORY.fullmatch(name) or not isinstance(repository, Mapping | None):
                self.problem(path_to, f"{name!r} is not a repository's name, or its value is not a mapping")
                continue
            inside: Mapping[str, Any] = repository or {}
            archived = inside.get("archived") or False
            if not isinstance(archived, bool):
                self.problem((*path_to, "archived"), "`archived` must be true or false")
            collaborators: dict[str, int] = {}
            for text, value, path_to_login in self._mapping(inside, "collaborators", path_to):
                login = self._login(text, path_to_login)
                if login is not None:
                    collaborators[login] = max(self._permission(value, path_to_login), collaborators.get(login, 0))
            yield GitHubRepository(
                name,
                self._place(path_to),
                self._description(inside, path_to),
                archived is True,
                tuple(text for text, _ in self._texts(inside, "previously", path_to)),
                collaborators,
            )
