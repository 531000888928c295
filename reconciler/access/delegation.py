"""Delegation: what the files of a folder may declare. Pure, and judged resource by resource."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.access.ad_groups import form
from reconciler.access.login_names import folded as folded_login
from reconciler.access.permitted_ips import covered, parse_rule
from reconciler.access.resources import Delegation, Kind, Resource, Team, User

Path = tuple[str, ...]
_MOST_COMPARED = 20_000
"""How many pairs of paths to compare (about half a second) for a suggestion; beyond that, none is made."""


class Overstep(NamedTuple):
    """What a resource says that its folder may not: the place in its document, and why."""

    path: Path
    message: str


class Zones:
    """Finds the delegation that decides for a file: the one with the longest path, compared part by part.

    Case does not count, nor how letters are composed: no second spelling of a folder escapes. What no delegation covers, and what
    is `unrestricted`, may declare anything.
    """

    def __init__(self, delegations: Sequence[Delegation], root: str = "") -> None:
        self._by_path = {_folded(each.path): each for each in delegations}
        self._root = root
        self._names_files = any(path.endswith((".yaml", ".yml")) for path in self._by_path)
        self._known: dict[str, Delegation | None] = {}

    def __bool__(self) -> bool:
        return bool(self._by_path)

    def of(self, file: str) -> Delegation | None:
        """Return the delegation that restricts a file, or None. A folder's answer is remembered for all of its files."""
        folder = file.rpartition("/")[0]
        found = self._by_path.get(_folded(file.removeprefix(self._root))) if self._names_files else None
        if found is None:
            if folder not in self._known:
                self._known[folder] = self._longest(_folded(f"{folder}/".removeprefix(self._root)))
            found = self._known[folder]
        return None if found is None or found.unrestricted else found

    def _longest(self, folder: str) -> Delegation | None:
        parts = [part for part in folder.split("/") if part]
        prefixes = ("/".join(parts[:length]) for length in range(len(parts), -1, -1))
        return next((self._by_path[prefix] for prefix in prefixes if prefix in self._by_path), None)

    def unreached(self, files: Iterable[str]) -> Iterator[tuple[str, set[str]]]:
        """Yield the paths that lead to none of the files, with the folders as deep that do and are not delegated themselves."""
        reached = {""}
        places = {file if self._names_files else file.rpartition("/")[0] for file in files}
        for each in places:
            place = _folded(f"{each}/".removeprefix(self._root)).rstrip("/")
            while place not in reached:
                reached.add(place)
                place = place.rpartition("/")[0]
        folders, without = reached - self._by_path.keys(), self._by_path.keys() - reached
        for key in sorted(without) if len(folders) * len(without) <= _MOST_COMPARED else ():
            yield self._by_path[key].path, {folder for folder in folders if folder.count("/") == key.count("/")}


def folder_path(text: str) -> str:
    """Return a delegation's path from the repository's root in its one spelling; the root's is empty.

    Raises ValueError, with a message for people, if it is not a path in the repository.
    """
    if any(char in text for char in "*?[\\"):
        raise ValueError(f"`{text}` has wildcards; a delegation is for one folder and everything in it")
    path = _joined(text)
    if ".." in path.split("/"):
        raise ValueError(f"`{text}` leads out of the folder; write the path from the repository's root")
    return path


def folder_key(text: str) -> str:
    """Return what all spellings of one folder have in common."""
    return _folded(_joined(text))


def _joined(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def oversteps(zone: Delegation, kind: Kind, resource: Resource) -> Iterator[Overstep]:
    """Yield everything that a resource says although its folder may not."""
    place = f"`{zone.path or '.'}`"
    if kind not in zone.kinds:
        yield Overstep(("kind",), f"{place} may not declare {kind}: its delegation has {_listed(zone.kinds, 'no kinds')}")
        return
    for path, name in [
        (("metadata", "name"), resource.name),
        *((("metadata", "previously", old), old) for old in resource.previously),
    ]:
        if not matches(zone.names, name):
            what = "declare" if path[-1] == "name" else "rename"
            yield Overstep(path, f"{place} may not {what} `{name}`: its delegation has {_listed(zone.names, 'no names')}")
    for alias in resource.logins if isinstance(resource, User) else ():
        if not matches([folded_login(each) for each in zone.names], folded_login(alias)):
            message = f"{place} may not give the login `{alias}`: its delegation has {_listed(zone.names, 'no names')}"
            yield Overstep(("spec", "logins", alias), message)
    if isinstance(resource, Team):
        yield from _of_team(zone, place, resource)


def _of_team(zone: Delegation, place: str, team: Team) -> Iterator[Overstep]:
    if team.administrator and not zone.administrator:
        yield Overstep(("spec", "administrator"), f"{place} may not declare administrators")
    for permission in team.permissions:
        if not matches(zone.issuers, permission.issuer):
            issuers = _listed(zone.issuers, "no issuers")
            message = f"{place} may not grant `{permission.issuer}`: its delegation has {issuers}"
            yield Overstep(("spec", "issuers", permission.issuer), message)
    for group in team.ad_groups:
        patterns = [each.casefold() for each in zone.ad_groups if each == "*" or form(each) == form(group)]
        if not matches(patterns, group.casefold()):
            groups = _listed(zone.ad_groups, "no AD groups")
            yield Overstep(
                ("spec", "adGroups", group), f"{place} may not name the AD group `{group}`: its delegation has {groups}"
            )
    ranges = [parse_rule(text) for text in zone.permitted_ips]
    for text in team.permitted_ips:
        if not covered(parse_rule(text), ranges):
            message = (
                f"{place} may not permit `{text}`: its delegation has {_listed(zone.permitted_ips, 'no permitted IPs')}. "
                "The list counts in the members' other teams too"
            )
            yield Overstep(("spec", "permittedIPs", text), message)
    if zone.may_decide_for == "everyone":
        return
    for name in ("everyone",) if team.may_decide_for == "everyone" else team.may_decide_for:
        if name == "everyone" or not matches(zone.may_decide_for, name):
            teams = _listed(zone.may_decide_for, "no teams to decide for")
            path = ("spec", "mayDecideFor") if name == "everyone" else ("spec", "mayDecideFor", name)
            yield Overstep(path, f"{place} may not ask for decisions about `{name}`: its delegation has {teams}")


def _listed(patterns: Sequence[str], nothing: str) -> str:
    return ", ".join(f"`{pattern}`" for pattern in patterns) or nothing


def matches(patterns: Sequence[str], name: str) -> bool:
    """Tell whether a name fits one of the patterns."""
    return "*" in patterns or name in patterns or any(_fits(pattern, name) for pattern in patterns)


def _fits(pattern: str, name: str) -> bool:
    """Tell whether a whole name fits a pattern: `*` stands for any text, `?` for one character. Never slower than one by one."""
    at = of = 0
    star = back = -1
    while at < len(name):
        if of < len(pattern) and pattern[of] == "*":
            star, back, of = of, at, of + 1
        elif of < len(pattern) and pattern[of] in ("?", name[at]):
            at, of = at + 1, of + 1
        elif star >= 0:  # let the last star stand for one character more
            back += 1
            at, of = back, star + 1
        else:
            return False
    return not pattern[of:].strip("*")


def fields_about(kinds: Collection[str], kind: Kind) -> tuple[str, ...]:
    """Return the fields of a delegation of some kinds whose patterns are about resources of a kind."""
    about = {"names": kind in kinds, "issuers": kind == "Issuer", "may_decide_for": kind == "Team"}
    return tuple(field for field, is_about in about.items() if is_about)


def patterns_about(zone: Delegation, kind: Kind) -> dict[str, tuple[str, ...]]:
    """Return the patterns for resources of a kind, by field."""
    found = {field: getattr(zone, field) for field in fields_about(zone.kinds, kind)}
    return {field: patterns for field, patterns in found.items() if patterns != "everyone"}


def renamed_in(zone: Delegation, renames: Mapping[Kind, Mapping[str, str]]) -> Delegation:
    """Let the names in a delegation follow renames: what may declare or grant something may do so under its new name too."""
    grown: dict[str, Any] = {}
    for kind, names in renames.items():
        for field, patterns in patterns_about(zone, kind).items():
            new = {names[each] for each in patterns if each in names}
            grown[field] = tuple(sorted({*grown.get(field, patterns), *new}))
    return zone._replace(**grown)
