"""What acts make of the declared state: each resource that changes, before and after. Nothing is read or written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import orjson

from reconciler.access.instants import parse_instant
from reconciler.access.resources import KINDS, DeclaredState, Issuer, Key, Kind, Membership, Permission, Resource, Team, User
from reconciler.source.blobs import read_blob
from reconciler.source.build import build
from reconciler.source.errors import InvalidIntent, NameTaken, UnknownName
from reconciler.source.export import resource_document, resource_fields
from reconciler.source.intent import PASSWORDS, Act, field_named
from reconciler.source.schema import API_VERSION, find_problems
from reconciler.wording.nearest import did_you_mean
from reconciler.wording.text import printable

_Link = TypeVar("_Link", Membership, Permission)


class Wanted(NamedTuple):
    """A resource as it is declared and as it shall be; None: not at all."""

    kind: Kind
    name: str
    before: Resource | None
    after: Resource | None


def wanted_by(acts: Sequence[Act], declared: DeclaredState) -> list[Wanted]:
    """Return what acts, one after the other, change in the declared state, in the order of kinds and names.

    Raises UnknownName, NameTaken or InvalidIntent.
    """
    draft = _Draft(declared)
    for act, arguments in acts:
        _DOES[act](draft, arguments)
    return draft.changed()


class _Draft:
    """The declared state with changes."""

    def __init__(self, declared: DeclaredState) -> None:
        self._declared = declared
        self._changed: dict[Key, Resource | None] = {}

    def find(self, kind: Kind, name: str) -> Resource | None:
        """Return a resource as it shall be."""
        if (kind, name) in self._changed:
            return self._changed[kind, name]
        return self._declared.of_kind(kind).get(name)

    def get(self, kind: Kind, name: str) -> Resource:
        """Return a resource as it shall be. Raises UnknownName with the nearest name."""
        found = self.find(kind, name)
        if found is None:
            names = dict.fromkeys(self._declared.of_kind(kind)) | {each: None for of, each in self._changed if of == kind}
            there = [each for each in names if self.find(kind, each) is not None]
            renamed = next((each for each in self._declared.of_kind(kind).values() if name in each.previously), None)
            hint = f"; it is `{renamed.name}` now" if renamed else did_you_mean(name, there)
            raise UnknownName(f"no {kind} `{printable(name[:100])}` is declared{hint}")
        return found

    def user(self, name: str) -> User:
        """Return a user. Raises UnknownName."""
        found = self.get("User", name)
        assert isinstance(found, User)
        return found

    def team(self, name: str) -> Team:
        """Return a team. Raises UnknownName."""
        found = self.get("Team", name)
        assert isinstance(found, Team)
        return found

    def teams(self) -> Iterable[Team]:
        """Return all teams, as they shall be."""
        return [team for name in self._declared.teams if isinstance(team := self.find("Team", name), Team)]

    def put(self, kind: Kind, name: str, resource: Resource | None) -> None:
        """Let a resource be like this, or not be."""
        self._changed[kind, name] = resource

    def changed(self) -> list[Wanted]:
        """Return what differs from what is declared."""
        found = [
            Wanted(kind, name, self._declared.of_kind(kind).get(name), after) for (kind, name), after in self._changed.items()
        ]
        return sorted((each for each in found if each.before != each.after), key=lambda each: (KINDS.index(each.kind), each.name))


def _document(kind: Kind, resource: Resource) -> dict[str, Any]:
    """Return the document of a resource, as one reads it from a file."""
    said: dict[str, Any] = orjson.loads(orjson.dumps(resource_fields(resource)))
    return {"apiVersion": API_VERSION, "kind": kind, **said}


def _built(document: dict[str, Any], named: str) -> Resource:
    """Return the resource of a document. Raises InvalidIntent with what is wrong in it."""
    flaws = [flaw.message for flaw in find_problems(document)]
    built = None if flaws else build(document)
    if built is not None:  # what no schema checks, such as characters that hide
        reports = read_blob(resource_document(document["kind"], built).encode("utf-8", "surrogatepass")).reports
        flaws = [message for _, _, _, severity, message, _ in reports if severity == "error"]
    if flaws or built is None:
        said = "; ".join(dict.fromkeys(printable(flaw) for flaw in flaws[:5]))
        raise InvalidIntent(f"{named} cannot be declared like this: {said}")
    return built


def _with_fields(kind: Kind, document: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with other values of fields; None removes one. Raises InvalidIntent for a field that there is not."""
    parts: dict[str, dict[str, Any]] = {part: dict(document.get(part) or {}) for part in ("metadata", "spec")}
    for name, value in fields.items():
        part = parts["metadata" if field_named(kind, name).metadata else "spec"]
        if value is None:
            part.pop(name, None)
        else:
            part[name] = value
    return {**document, **parts}


def _add_user(draft: _Draft, given: Mapping[str, Any]) -> None:
    name, fields = given["name"], dict(given.get("fields", {}))
    fields.update({key: given[key] for key in ("email", "fullName", "type") if key in given})
    if "password" in given:
        fields["initialPassword"] = PASSWORDS[given["password"]]
    blank = {"apiVersion": API_VERSION, "kind": "User", "metadata": {"name": name}, "spec": {}}
    wanted = _built(_with_fields("User", blank, fields), f"the User `{printable(name[:100])}`")
    there = draft.find("User", name)
    if there is None:
        draft.put("User", name, wanted)
    elif there != wanted:
        raise NameTaken(f"there is a User `{name}` already, with other values; change it with `accord propose set User {name}`")
    for team in given.get("teams", ()):
        _join(draft, team, Membership(name))


def _add_member(draft: _Draft, given: Mapping[str, Any]) -> None:
    draft.user(given["user"])
    _join(draft, given["team"], Membership(given["user"], _until(given), given.get("reason")))


def _join(draft: _Draft, name: str, member: Membership) -> None:
    team = draft.team(name)
    draft.put("Team", name, _checked(team, team._replace(members=_with(team.members, member))))


def _remove_member(draft: _Draft, given: Mapping[str, Any]) -> None:
    team = draft.team(given["team"])
    rest = _without(team.members, given["user"])
    if len(rest) == len(team.members):
        draft.user(given["user"])
    draft.put("Team", team.name, team._replace(members=rest))


def _grant(draft: _Draft, given: Mapping[str, Any]) -> None:
    team, issuer = draft.team(given["team"]), draft.get("Issuer", given["issuer"])
    assert isinstance(issuer, Issuer)
    permission = Permission(issuer.name, _until(given))
    draft.put("Team", team.name, _checked(team, team._replace(permissions=_with(team.permissions, permission))))


def _revoke(draft: _Draft, given: Mapping[str, Any]) -> None:
    team = draft.team(given["team"])
    rest = _without(team.permissions, given["issuer"])
    if len(rest) == len(team.permissions):
        draft.get("Issuer", given["issuer"])
    draft.put("Team", team.name, team._replace(permissions=rest))


def _switch(enabled: bool, draft: _Draft, given: Mapping[str, Any]) -> None:
    draft.put("User", given["name"], draft.user(given["name"])._replace(enabled=enabled))


def _remove_user(draft: _Draft, given: Mapping[str, Any]) -> None:
    name = draft.user(given["name"]).name
    draft.put("User", name, None)
    _leave(draft, name, ())


def _leave(draft: _Draft, user: str, staying: Iterable[str]) -> None:
    """Take a user out of all teams but some."""
    for team in draft.teams():
        if team.name not in staying and any(member.user == user for member in team.members):
            draft.put("Team", team.name, team._replace(members=_without(team.members, user)))


def _set(draft: _Draft, given: Mapping[str, Any]) -> None:
    kind, name = given["kind"], given["name"]
    resource, fields = draft.get(kind, name), given.get("fields", {})
    if not fields and "teams" not in given:
        raise InvalidIntent(f"nothing is to be set of {kind} `{name}`; give fields")
    if fields:
        wanted = _built(_with_fields(kind, _document(kind, resource), fields), f"the {kind} `{name}`")
        draft.put(kind, name, wanted)
    if "teams" in given:
        if kind != "User":
            raise InvalidIntent(f"`teams` are those of a User; a {kind} is in none")
        for team in given["teams"]:
            if not any(member.user == name for member in draft.team(team).members):
                _join(draft, team, Membership(name))
        _leave(draft, name, given["teams"])


def _until(given: Mapping[str, Any]) -> Any:
    try:
        return parse_instant(given["until"]) if "until" in given else None
    except ValueError as error:
        raise InvalidIntent(f"`until`: {printable(str(error)[:300])}") from None


def _checked(before: Team, after: Team) -> Team:
    """Return a team with new links. Raises InvalidIntent if its schema does not allow them."""
    if before != after:
        _built(_document("Team", after), f"the Team `{before.name}`")
    return after


def _with(links: tuple[_Link, ...], link: _Link) -> tuple[_Link, ...]:
    found: list[_Link] = list(_without(links, link[0]))
    found.append(link)
    return tuple(sorted(found, key=lambda each: each[0]))


def _without(links: Iterable[_Link], name: str) -> tuple[_Link, ...]:
    return tuple([each for each in links if each[0] != name])


_DOES: Mapping[str, Any] = {
    "add-user": _add_user,
    "add-member": _add_member,
    "remove-member": _remove_member,
    "grant": _grant,
    "revoke": _revoke,
    "disable": lambda draft, given: _switch(False, draft, given),
    "enable": lambda draft, given: _switch(True, draft, given),
    "remove-user": _remove_user,
    "set": _set,
}


def mentioned(acts: Iterable[Act]) -> Iterable[Key]:
    """Yield the resources that acts are to change."""
    for _, given in acts:
        if "team" in given:
            yield "Team", given["team"]
        else:
            yield given.get("kind", "User"), given["name"]
        for team in given.get("teams", ()):
            yield "Team", team
