"""The resources of a config repository as immutable values: what Git declares, and nothing that the runtime owns.

Lists whose order has no meaning are sorted when a resource is built, so that two resources are equal exactly if they say the
same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from reconciler.access.fields import Field, fields_of

Kind: TypeAlias = Literal["User", "Team", "Issuer", "EmailTemplate", "Settings"]
KINDS: tuple[Kind, ...] = ("User", "Team", "Issuer", "EmailTemplate", "Settings")
"""In the order of listing changes and creating resources: resources come after those they refer to."""

Key: TypeAlias = tuple[Kind, str]
"""A resource's identity: kind and name."""

Labels: TypeAlias = Annotated[tuple[tuple[str, str], ...], Field("labels", "labels", metadata=True)]
"""Free strings, sorted by key."""

Previously: TypeAlias = Annotated[tuple[str, ...], Field("previously", "texts", metadata=True)]
"""Earlier names."""

CertdogId: TypeAlias = Annotated[str | None, Field("certdogId", "text", metadata=True)]
"""The identifier by which the predecessor's clients know it; None: they know it by one that the database derives."""

_PASSWORDS = {"person": "generated", "application": "none"}


class Origin(NamedTuple):
    """Where a resource is declared: a file relative to the config repository's root, and a line from 1.

    Line 0 means that the line is unknown.
    """

    file: str
    line: int
    items: str = ""
    """The lines of the items in a team's lists, as JSON: list → name in small letters → line; empty: unknown, or none."""

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
    email: Annotated[str, Field("email", "text")]
    full_name: Annotated[str | None, Field("fullName", "text")] = None
    type: Annotated[Literal["person", "application"], Field("type", "text")] = "person"
    enabled: Annotated[bool, Field("enabled", "flag", "disabled_by_git", opposite=True)] = True
    initial_password: Annotated[Literal["generated", "none"], Field("initialPassword", "text", usual=("type", _PASSWORDS))] = (
        "generated"
    )
    password_change_required_after: Annotated[datetime | None, Field("passwordChangeRequiredAfter", "instant")] = None
    labels: Labels = ()
    previously: Previously = ()
    identity: Annotated[str | None, Field("identity", "text", metadata=True)] = None
    logins: Annotated[tuple[str, ...], Field("logins", "names")] = ()
    """Aliases for logging in, sorted; see `login_names`."""
    certdog_id: CertdogId = None


class Membership(NamedTuple):
    """One member of a team, until an instant (exclusive) or forever."""

    user: Annotated[str, Field("user", "text")]
    until: Annotated[datetime | None, Field("until", "end")] = None
    reason: Annotated[str | None, Field("reason", "text")] = None


class Permission(NamedTuple):
    """One issuer that a team may use, until an instant (exclusive) or forever."""

    issuer: Annotated[str, Field("issuer", "text")]
    until: Annotated[datetime | None, Field("until", "end")] = None


class Delegation(NamedTuple):
    """What the files in a folder may declare. Patterns have `*` and `?`; nothing that is left out may be declared."""

    path: Annotated[str, Field("path", "folder")]
    kinds: Annotated[tuple[str, ...], Field("kinds", "names")] = ()
    names: Annotated[tuple[str, ...], Field("names", "names")] = ()
    """Patterns of the names, present and earlier ones, of what is declared."""
    issuers: Annotated[tuple[str, ...], Field("issuers", "names")] = ()
    ad_groups: Annotated[tuple[str, ...], Field("adGroups", "names")] = ()
    administrator: Annotated[bool, Field("administrator", "flag")] = False
    may_decide_for: Annotated[tuple[str, ...] | Literal["everyone"], Field("mayDecideFor", "names or everyone")] = ()
    permitted_ips: Annotated[tuple[str, ...], Field("permittedIPs", "names")] = ()
    """Addresses that permitted IPs may have."""
    unrestricted: Annotated[bool, Field("unrestricted", "flag")] = False
    """The folder is nobody's part: it may declare what files outside all delegations may, whatever a folder around it may."""


LINK_KEYS = frozenset(next(iter(fields_of(part).values())).yaml for part in (Membership, Permission, Delegation))
"""The keys, in YAML, of what the items of lists are about: the first field of each."""


def linked_name(link: Mapping[str, Any]) -> str:
    """Return the name that an item of a list is about, given the item as it is written in YAML."""
    return str(next((link[key] for key in LINK_KEYS if key in link), None))


class Team(NamedTuple):
    """A team: the only way to a permission. Members, permissions, AD groups and permitted IPs are sorted."""

    name: str
    description: Annotated[str, Field("description", "text")] = ""
    administrator: Annotated[bool, Field("administrator", "flag")] = False
    members: Annotated[tuple[Membership, ...], Field("members", "links", None, part=Membership)] = ()
    permissions: Annotated[tuple[Permission, ...], Field("issuers", "links", None, part=Permission)] = ()
    ad_groups: Annotated[tuple[str, ...], Field("adGroups", "names")] = ()
    permitted_ips: Annotated[tuple[str, ...], Field("permittedIPs", "names")] = ()
    may_decide_for: Annotated[tuple[str, ...] | Literal["everyone"], Field("mayDecideFor", "names or everyone")] = ()
    suppress_issued_emails: Annotated[bool, Field("suppressIssuedEmails", "flag")] = False
    suppress_reminder_emails: Annotated[bool, Field("suppressReminderEmails", "flag")] = False
    labels: Labels = ()
    previously: Previously = ()
    display_name: Annotated[str | None, Field("displayName", "text")] = None
    certdog_id: CertdogId = None


class Issuer(NamedTuple):
    """A certificate issuer. Without a display name, it is shown by its name."""

    name: str
    display_name: Annotated[str | None, Field("displayName", "text")] = None
    description: Annotated[str, Field("description", "text")] = ""
    enabled: Annotated[bool, Field("enabled", "flag")] = True
    link_hosts: Annotated[tuple[str, ...], Field("linkHosts", "names")] = ()
    ca_certificates: Annotated[tuple[str, ...], Field("caCertificates", "certificates")] = ()
    labels: Labels = ()
    previously: Previously = ()
    certdog_id: CertdogId = None


class EmailTemplate(NamedTuple):
    """The text of one kind of mail, as Jinja templates."""

    name: str
    subject: Annotated[str, Field("subject", "text")]
    text: Annotated[str, Field("text", "text")]
    html: Annotated[str | None, Field("html", "text")] = None
    labels: Labels = ()
    previously: Previously = ()


class Guards(NamedTuple):
    """Limits on what one plan may do. None turns a guard off."""

    max_deletions_percent: Annotated[float, Field("maxDeletions", "percent")] = 10.0
    max_administrators: Annotated[int | None, Field("maxAdministrators", "number")] = 10
    administrators_need_permitted_ips: Annotated[bool, Field("requireAdministratorIPs", "flag")] = False
    separation_of_duties: Annotated[tuple[tuple[str, ...], ...], Field("separationOfDuties", "groups")] = ()
    max_people_gaining: Annotated[int | None, Field("maxPeopleGaining", "number")] = None
    refuse_new_administrators: Annotated[bool, Field("refuseNewAdministrators", "flag")] = False


class Settings(NamedTuple):
    """The policies. `policies` holds the sections that the reconciler only stores, as canonical JSON text by section."""

    name: str = "default"
    guards: Annotated[Guards, Field("guards", "limits", part=Guards)] = Guards()
    delegation: Annotated[tuple[Delegation, ...], Field("delegation", "delegations", part=Delegation)] = ()
    policies: Annotated[tuple[tuple[str, str], ...], Field("policies", "policies")] = ()
    labels: Labels = ()
    previously: Previously = ()


Resource: TypeAlias = User | Team | Issuer | EmailTemplate | Settings
RESOURCES: Mapping[Kind, type[Resource]] = {
    "User": User,
    "Team": Team,
    "Issuer": Issuer,
    "EmailTemplate": EmailTemplate,
    "Settings": Settings,
}


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
