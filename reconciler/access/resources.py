"""The resources of a config repository as immutable values: what Git declares, and nothing that the runtime owns.

Lists whose order has no meaning are sorted when a resource is built, so that two resources are equal exactly if they say the
same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["User", "Team", "Issuer", "EmailTemplate", "Settings"]
KINDS: tuple[Kind, ...] = ("User", "Team", "Issuer", "EmailTemplate", "Settings")
"""In the order of listing changes and creating resources: resources come after those they refer to."""

Key: TypeAlias = tuple[Kind, str]
"""A resource's identity: kind and name."""

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Free strings, sorted by key."""


class Origin(NamedTuple):
    """Where a resource is declared: a file relative to the config repository's root, and a line from 1.

    Line 0 means that the line is unknown.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Revision(NamedTuple):
    """A commit of the config repository. `time` is the commit's time, aware and in UTC."""

    commit: str
    author: str
    time: datetime
    summary: str = ""


class User(NamedTuple):
    """A declared account. All instants are aware and in UTC."""

    name: str
    email: str
    full_name: str | None = None
    type: Literal["person", "application"] = "person"
    enabled: bool = True
    initial_password: Literal["generated", "none"] = "generated"
    password_change_required_after: datetime | None = None
    labels: Labels = ()
    previously: tuple[str, ...] = ()


class Membership(NamedTuple):
    """One member of a team, until an instant (exclusive) or forever."""

    user: str
    until: datetime | None = None
    reason: str | None = None


class Permission(NamedTuple):
    """One issuer that a team may use, until an instant (exclusive) or forever."""

    issuer: str
    until: datetime | None = None


class Team(NamedTuple):
    """A team: the only way to a permission. Members, permissions, AD groups and permitted IPs are sorted."""

    name: str
    description: str = ""
    administrator: bool = False
    members: tuple[Membership, ...] = ()
    permissions: tuple[Permission, ...] = ()
    ad_groups: tuple[str, ...] = ()
    permitted_ips: tuple[str, ...] = ()
    may_decide_for: tuple[str, ...] | Literal["everyone"] = ()
    suppress_issued_emails: bool = False
    suppress_reminder_emails: bool = False
    labels: Labels = ()
    previously: tuple[str, ...] = ()


class Issuer(NamedTuple):
    """A certificate issuer. Without a display name, it is shown by its name."""

    name: str
    display_name: str | None = None
    description: str = ""
    enabled: bool = True
    labels: Labels = ()
    previously: tuple[str, ...] = ()


class EmailTemplate(NamedTuple):
    """The text of one kind of mail, as Jinja templates."""

    name: str
    subject: str
    text: str
    html: str | None = None
    labels: Labels = ()
    previously: tuple[str, ...] = ()


class Guards(NamedTuple):
    """Limits on what one plan may do. None turns a guard off."""

    max_deletions_percent: float = 10.0
    max_administrators: int | None = 10
    administrators_need_permitted_ips: bool = False
    separation_of_duties: tuple[tuple[str, ...], ...] = ()
    max_people_gaining: int | None = None


class Settings(NamedTuple):
    """The policies. `policies` holds the sections that the reconciler only stores, as canonical JSON text by section."""

    name: str = "default"
    guards: Guards = Guards()
    policies: tuple[tuple[str, str], ...] = ()
    labels: Labels = ()
    previously: tuple[str, ...] = ()


Resource: TypeAlias = User | Team | Issuer | EmailTemplate | Settings


class Declaration(NamedTuple):
    """A resource and where it is declared."""

    kind: Kind
    resource: Resource
    origin: Origin


class DeclaredState(NamedTuple):
    """All declared facts, by name: the desired state (from Git) or the actual state (from the database)."""

    users: Mapping[str, User] = {}
    teams: Mapping[str, Team] = {}
    issuers: Mapping[str, Issuer] = {}
    templates: Mapping[str, EmailTemplate] = {}
    settings: Settings | None = None
    """None if no Settings resource is declared: then every policy has its default."""

    def of_kind(self, kind: Kind) -> Mapping[str, Resource]:
        """Return the resources of one kind, by name."""
        if kind == "User":
            return self.users
        if kind == "Team":
            return self.teams
        if kind == "Issuer":
            return self.issuers
        if kind == "EmailTemplate":
            return self.templates
        return {} if self.settings is None else {self.settings.name: self.settings}


def with_resources(state: DeclaredState, kinds: Mapping[Kind, Mapping[str, Resource]]) -> DeclaredState:
    """Replace all resources of the given kinds in a state."""
    settings = next(iter(kinds["Settings"].values()), None) if "Settings" in kinds else state.settings
    return DeclaredState(
        users=kinds.get("User", state.users),  # type: ignore[arg-type]  # a kind's mapping holds its own resources
        teams=kinds.get("Team", state.teams),  # type: ignore[arg-type]
        issuers=kinds.get("Issuer", state.issuers),  # type: ignore[arg-type]
        templates=kinds.get("EmailTemplate", state.templates),  # type: ignore[arg-type]
        settings=settings,  # type: ignore[arg-type]
    )
