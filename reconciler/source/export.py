"""Writes declared facts as a config repository: one file per resource, in the form people would write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from reconciler.access.instants import format_instant, show_instant
from reconciler.access.resources import (
    KINDS,
    DeclaredState,
    EmailTemplate,
    Guards,
    Issuer,
    Kind,
    Membership,
    Permission,
    Resource,
    Settings,
    Team,
    User,
)
from reconciler.source.build import section_defaults
from reconciler.source.errors import SourceError
from reconciler.source.yaml_text import Plain, Value, yaml_document

FOLDERS: dict[Kind, str] = {"User": "users", "Team": "teams", "Issuer": "issuers", "EmailTemplate": "templates", "Settings": ""}
MOST_IN_A_FOLDER = 1000
"""If a kind has more resources than this, they go into folders by first letter."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

Fields = dict[str, Value]


def export_state(state: DeclaredState, folder: Path) -> list[Path]:
    """Write declared facts as a config repository into an empty or new folder; return the files written.

    Reading them gives exactly the same state. The bytes depend on nothing but the state. Raises SourceError where the folder
    holds anything, cannot be written, or where a name cannot be a file's.
    """
    claim_folder(folder)
    written: list[Path] = []
    try:
        for kind in KINDS:
            resources = state.of_kind(kind)
            for name in sorted(resources):
                path = folder / resource_path(kind, name, sharded=len(resources) > MOST_IN_A_FOLDER)
                _write(path, resource_document(kind, resources[name]))
                written.append(path)
    except OSError as error:
        raise SourceError(f"cannot write to {folder}: {error.strerror or error}") from error
    return written


def claim_folder(folder: Path) -> None:
    """Create the folder if necessary. Raises SourceError if it contains anything except `.git`, or cannot be created."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in folder.iterdir() if path.name != ".git")
    except OSError as error:
        raise SourceError(f"cannot use {folder} as a folder: {error.strerror or error}") from error
    if found:
        raise SourceError(f"{folder} is not empty (it contains {found[0]!r}); name a new or empty folder")


def can_be_declared(name: str) -> bool:
    """Tell whether a name is valid for a resource and its file."""
    return _NAME.fullmatch(name) is not None


def resource_path(kind: Kind, name: str, *, sharded: bool = False) -> str:
    """Return the file for a resource, relative to the repository's root."""
    if not can_be_declared(name):
        raise SourceError(
            f"the {kind} {name!r} cannot be exported: a declared name may contain only a-z, 0-9, dots, underscores and hyphens"
        )
    if kind == "Settings":
        return "settings.yaml"
    return f"{FOLDERS[kind]}/{name[0]}/{name}.yaml" if sharded else f"{FOLDERS[kind]}/{name}.yaml"


def _write(path: Path, text: str) -> None:
    try:
        file = path.open("x", encoding="utf-8", newline="\n")
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        file = path.open("x", encoding="utf-8", newline="\n")
    with file:
        file.write(text)


def resource_document(kind: Kind, resource: Resource) -> str:
    """Write the YAML document that declares a resource, without defaults."""
    return yaml_document({"apiVersion": "accord/v1", "kind": kind, **resource_fields(resource)})


def resource_fields(resource: Resource) -> dict[str, Fields]:
    """Return a document's `metadata` and `spec`, without defaults."""
    metadata: Fields = {"name": resource.name}
    _put(metadata, labels=dict(resource.labels), previously=resource.previously)
    return {"metadata": metadata, "spec": _spec(resource)}


def _put(fields: Fields, **values: Value) -> None:
    """Add the values that are neither None nor empty."""
    fields.update((name, value) for name, value in values.items() if value is not None and value != "" and value not in ((), {}))


def _spec(resource: Resource) -> Fields:
    if isinstance(resource, User):
        return _user(resource)
    if isinstance(resource, Team):
        return _team(resource)
    if isinstance(resource, Issuer):
        return _issuer(resource)
    return _template(resource) if isinstance(resource, EmailTemplate) else _settings(resource)


def _user(user: User) -> Fields:
    fields: Fields = {"email": user.email}
    application = user.type == "application"
    required_after = user.password_change_required_after
    _put(
        fields,
        fullName=user.full_name,
        type=user.type if application else None,
        enabled=None if user.enabled else False,
        initialPassword=None if user.initial_password == ("none" if application else "generated") else user.initial_password,
        passwordChangeRequiredAfter=None if required_after is None else Plain(format_instant(required_after)),
    )
    return fields


def _team(team: Team) -> Fields:
    fields: Fields = {}
    _put(
        fields,
        description=team.description,
        administrator=team.administrator or None,
        members=tuple(map(_member, team.members)),
        issuers=tuple(map(_permission, team.permissions)),
        adGroups=team.ad_groups,
        permittedIPs=team.permitted_ips,
        mayDecideFor=team.may_decide_for,
        suppressIssuedEmails=team.suppress_issued_emails or None,
        suppressReminderEmails=team.suppress_reminder_emails or None,
    )
    return fields


def _member(member: Membership) -> Value:
    if member.until is None and member.reason is None:
        return member.user
    fields: Fields = {"user": member.user}
    _put(fields, until=_until(member.until), reason=member.reason)
    return fields


def _permission(permission: Permission) -> Value:
    until = _until(permission.until)
    return permission.issuer if until is None else {"issuer": permission.issuer, "until": until}


def _until(end: datetime | None) -> Plain | None:
    """Write an end as people do: as a plain date if it is the end of that day in UTC."""
    return None if end is None else Plain(show_instant(end))


def _issuer(issuer: Issuer) -> Fields:
    fields: Fields = {}
    _put(fields, displayName=issuer.display_name, description=issuer.description, enabled=None if issuer.enabled else False)
    return fields


def _template(template: EmailTemplate) -> Fields:
    fields: Fields = {"subject": template.subject, "text": template.text}
    _put(fields, html=template.html)
    return fields


def _settings(settings: Settings) -> Fields:
    fields: Fields = {}
    defaults = section_defaults()
    for section, text in settings.policies:
        usual = defaults.get(section, {})
        _put(fields, **{section: {key: value for key, value in json.loads(text).items() if value != usual.get(key)}})
    _put(fields, guards=_guards(settings.guards))
    return fields


_GUARDS: dict[str, Callable[[Guards], Value]] = {
    "maxDeletions": lambda guards: f"{guards.max_deletions_percent:g}%",
    "maxAdministrators": lambda guards: guards.max_administrators,
    "requireAdministratorIPs": lambda guards: guards.administrators_need_permitted_ips,
    "separationOfDuties": lambda guards: guards.separation_of_duties,
    "maxPeopleGaining": lambda guards: guards.max_people_gaining,
}


def _guards(guards: Guards) -> Fields:
    return {name: value(guards) for name, value in _GUARDS.items() if value(guards) != value(Guards())}
