"""Turns an export of the predecessor into declared state with the same access.

- Names are made safe. What they were is kept: as `displayName` of teams and issuers, as a login of users; ids as `certdogId`.
- A user is in its teams. Users of Active Directory are left out: they appear when they log in.
- A team's issuers become its permissions, and its permitted IPs keep their meaning, or the export is refused.
- If there are more administrators than the default limit, Settings raise it, or the first plan would be refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, TypeVar

import orjson

from reconciler.access.ca_certificates import read_ca_certificate
from reconciler.access.login_names import check_alias, folded
from reconciler.access.permitted_ips import parse_rule
from reconciler.access.problems import Problem
from reconciler.access.resources import (
    DeclaredState,
    EmailTemplate,
    Guards,
    Issuer,
    Key,
    Kind,
    Membership,
    Permission,
    Settings,
    Team,
    User,
)
from reconciler.source.build import section_defaults
from reconciler.source.certdog_mails import converted
from reconciler.source.certdog_shape import Export, OldIssuer, OldSettings, OldTeam, OldUser, reference
from reconciler.source.imported import Place, safe_name
from reconciler.wording.text import printable

_LONGEST_NAME = 64
_Old = TypeVar("_Old", OldUser, OldTeam, OldIssuer)


class Mapped(NamedTuple):
    """What an export becomes."""

    file: str
    state: DeclaredState
    places: Mapping[Key, Place]
    """Where the export says what becomes a resource."""
    hashes: Mapping[str, str]
    """Password hashes by the users' names here."""
    problems: list[Problem]

    def __repr__(self) -> str:
        """Without the hashes."""
        return f"Mapped({self.state!r})"


def mapped(file: str, export: Export, *, with_hashes: bool) -> Mapped:
    """Turn an export into declared state. Users whose hash is taken over are mailed no password."""
    return _Mapper(file, with_hashes).map(export)


class _Mapper:
    def __init__(self, file: str, with_hashes: bool) -> None:
        self._file = file
        self._with_hashes = with_hashes
        self._places: dict[Key, Place] = {}
        self._problems: list[Problem] = []
        self._hashes: dict[str, str] = {}
        self._directorys: set[str] = set()
        """The names of directory users, folded: an account of that name would keep them out."""

    def map(self, export: Export) -> Mapped:
        issuers, issuer_names = self._issuers(export.issuers)
        team_names = self._referred("Team", export.teams)
        users, members = self._users(export.users, team_names)
        teams = {name: self._team(name, old, members.get(name, ()), issuer_names) for name, old in self._teams_by_name.items()}
        state = DeclaredState(users, teams, issuers, self._templates(export), self._settings(export.settings, teams))
        return Mapped(self._file, state, self._places, self._hashes, self._problems)

    def _named(self, kind: Kind, olds: Iterable[_Old]) -> list[tuple[str, _Old]]:
        """Return all with their safe names. Those whose name is safe already come first: nobody else is called by it."""
        ordered = sorted(olds, key=lambda old: safe_name(old.name) != old.name.lower())
        return [(self._claim(kind, old.name, old.place), old) for old in ordered]

    def _claim(self, kind: Kind, text: str, place: Place) -> str:
        """Reserve a safe name."""
        stem = safe_name(text) or f"{kind.lower()}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        stem = f"{stem}-team" if (kind, stem) == ("Team", "everyone") else stem
        name, number = stem, 1
        while (kind, name) in self._places or (kind == "User" and name in self._directorys):
            number += 1
            name = f"{stem[: _LONGEST_NAME - len(str(number)) - 1]}-{number}"
        if number > 1:
            self._warn(place, f"the {kind.lower()} `{printable(text)}` is called `{name}` here, since `{stem}` is taken")
        self._places[kind, name] = place
        return name

    def _warn(self, place: Place, message: str) -> None:
        self._problems.append(place.problem(message, "warning"))

    def _refuse(self, place: Place, message: str) -> None:
        self._problems.append(place.problem(message))

    def _issuers(self, olds: Iterable[OldIssuer]) -> tuple[dict[str, Issuer], dict[str, str]]:
        found: dict[str, Issuer] = {}
        names: dict[str, str] = {}
        for name, old in self._named("Issuer", olds):
            for key in filter(None, (old.id, reference(old.name))):
                if names.setdefault(key, name) != name:
                    self._refuse(old.place, f"two issuers have the id or the name `{printable(key)}`")
            for text, place in old.certificates:
                try:
                    read_ca_certificate(text)
                except ValueError as error:
                    self._refuse(place, f"{error}; or leave it out")
            certificates = tuple(sorted({text.strip() + "\n" for text, _ in old.certificates}))
            shown = None if old.name == name else old.name
            found[name] = Issuer(name, shown, enabled=old.enabled, ca_certificates=certificates, certdog_id=old.id)
        return found, names

    def _referred(self, kind: Kind, olds: Iterable[OldTeam]) -> dict[str, str]:
        """Reserve the names of teams; what users refer to them by."""
        self._teams_by_name: dict[str, OldTeam] = {}
        names: dict[str, str] = {}
        for name, old in self._named(kind, olds):
            self._teams_by_name[name] = old
            for key in filter(None, (old.id, reference(old.name))):
                if names.setdefault(key, name) != name:
                    self._refuse(old.place, f"two teams have the id or the name `{printable(key)}`")
        return names

    def _users(self, olds: Collection[OldUser], teams: Mapping[str, str]) -> tuple[dict[str, User], dict[str, list[str]]]:
        found: dict[str, User] = {}
        members: dict[str, list[str]] = {}
        folds: dict[str, str] = {}
        ours: list[OldUser] = []
        self._directorys.update(folded(old.name) for old in olds if old.is_directorys)
        for old in olds:
            if old.is_directorys:
                self._leave_to_directory(old)
                continue
            if folded(old.name) in self._directorys:
                self._refuse(
                    old.place, f"a user of Active Directory is also called `{printable(old.name)}`; rename or remove one"
                )
                continue
            other = folds.setdefault(folded(old.name), old.name)
            if other is not old.name:
                both = f"`{printable(other)}` and `{printable(old.name)}`"
                self._refuse(old.place, f"two users are called {both}, and case makes no difference here; rename or remove one")
                continue
            ours.append(old)
        for name, old in self._named("User", ours):
            own: dict[str, None] = {}
            for key, place in old.teams:
                team = teams.get(reference(key))
                if team is None:
                    self._refuse(place, f"no team has the id or the name `{printable(key)}`")
                else:
                    own[team] = None
            for team in own:
                members.setdefault(team, []).append(name)
            if old.administrates and not any(self._teams_by_name[team].administrator for team in own):
                self._warn(old.place, f"`{printable(old.name)}` is no administrator here, since none of its teams is of ADMIN")
            takes_hash = self._with_hashes and old.hash is not None
            if takes_hash and old.hash is not None:
                self._hashes[name] = old.hash
            found[name] = User(
                name,
                old.email,
                enabled=old.enabled,
                initial_password="none" if takes_hash else "generated",
                logins=self._logins(name, old),
                certdog_id=old.id,
            )
        return found, members

    def _leave_to_directory(self, old: OldUser) -> None:
        """Leave a user out, unless the directory would let in whom the predecessor does not."""
        if old.enabled:
            self._warn(old.place, f"`{printable(old.name)}` is of Active Directory and appears here at the first login")
        else:
            self._refuse(
                old.place,
                f"`{printable(old.name)}` is disabled, but of Active Directory, which lets it log in here; "
                "make sure that it is disabled there, or in none of the teams' groups, and remove it",
            )

    def _logins(self, name: str, old: OldUser) -> tuple[str, ...]:
        if old.name.lower() == name:
            return ()
        try:
            check_alias(old.name)
        except ValueError as error:
            self._refuse(old.place, str(error))
        return (old.name,)

    def _team(self, name: str, old: OldTeam, members: Iterable[str], issuers: Mapping[str, str]) -> Team:
        granted = set()
        for key, place in old.issuers:
            issuer = issuers.get(reference(key))
            if issuer is None:
                self._refuse(place, f"no issuer has the id or the name `{printable(key)}`")
            else:
                granted.add(issuer)
        for text, place in old.permitted_ips:
            try:
                parse_rule(text)
            except ValueError as error:
                self._refuse(place, str(error))
        return Team(
            name,
            old.description,
            old.administrator,
            tuple(map(Membership, sorted(members))),
            tuple(map(Permission, sorted(granted))),
            tuple(sorted(old.ad_groups)),
            tuple(sorted({text for text, _ in old.permitted_ips})),
            suppress_issued_emails=old.suppress_issued,
            suppress_reminder_emails=old.suppress_reminders,
            display_name=None if old.name == name else old.name,
            certdog_id=old.id,
        )

    def _templates(self, export: Export) -> dict[str, EmailTemplate]:
        found = {}
        for old in export.mails:
            template, lost = converted(old.name, old.subject, old.body)
            for each in lost:
                self._warn(old.place, f"the mail `{old.name}`: {each}")
            if template is not None:
                self._places["EmailTemplate", old.name] = old.place
                found[old.name] = template
        return found

    def _settings(self, old: OldSettings, teams: Mapping[str, Team]) -> Settings | None:
        administrators = {member.user for team in teams.values() if team.administrator for member in team.members}
        limit, usual = Guards().max_administrators or 0, section_defaults()["mail"]
        said = {
            "onIssue": old.on_issue,
            "onExpiry": old.on_expiry,
            "daysBeforeExpiry": None if old.days is None else sorted(set(old.days), reverse=True),
            "alwaysSendTo": None if old.always_send_to is None else sorted(set(old.always_send_to)),
        }
        mail = {**usual, **{key: value for key, value in said.items() if value is not None}}
        if len(administrators) <= limit and mail == usual:
            return None
        policies = {section: keys for section, keys in section_defaults().items() if section != "guards"} | {"mail": mail}
        texts = sorted((section, orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()) for section, keys in policies.items())
        return Settings(guards=Guards(max_administrators=max(limit, len(administrators))), policies=tuple(texts))
