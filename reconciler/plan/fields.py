"""What changes in a resource, field by field, in the words of its YAML."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from reconciler.access.instants import format_instant
from reconciler.access.resources import (
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

Value = Any
"""A value that YAML and JSON can express."""


def _instant(value: datetime | None) -> str | None:
    return None if value is None else format_instant(value)


def membership_item(membership: Membership) -> Value:
    """Return a team's member as in YAML: a name, or a mapping if there is an end or a reason."""
    if membership.until is None and membership.reason is None:
        return membership.user
    parts = {"user": membership.user, "until": _instant(membership.until), "reason": membership.reason}
    return {key: value for key, value in parts.items() if value is not None}


def permission_item(permission: Permission) -> Value:
    """Return a team's issuer as in YAML."""
    if permission.until is None:
        return permission.issuer
    return {"issuer": permission.issuer, "until": _instant(permission.until)}


Fields = dict[str, Value]


def _common(resource: Resource) -> Fields:
    return {"labels": dict(resource.labels), "previously": list(resource.previously)}


def _user(user: User) -> Fields:
    return {
        "email": user.email,
        "fullName": user.full_name,
        "type": user.type,
        "enabled": user.enabled,
        "initialPassword": user.initial_password,
        "passwordChangeRequiredAfter": _instant(user.password_change_required_after),
        **_common(user),
    }


def _team(team: Team) -> Fields:
    return {
        "description": team.description,
        "administrator": team.administrator,
        "members": [membership_item(member) for member in team.members],
        "issuers": [permission_item(permission) for permission in team.permissions],
        "adGroups": list(team.ad_groups),
        "permittedIPs": list(team.permitted_ips),
        "mayDecideFor": [team.may_decide_for] if isinstance(team.may_decide_for, str) else list(team.may_decide_for),
        "suppressIssuedEmails": team.suppress_issued_emails,
        "suppressReminderEmails": team.suppress_reminder_emails,
        **_common(team),
    }


def _issuer(issuer: Issuer) -> Fields:
    return {
        "displayName": issuer.display_name,
        "description": issuer.description,
        "enabled": issuer.enabled,
        **_common(issuer),
    }


def _template(template: EmailTemplate) -> Fields:
    return {"subject": template.subject, "text": template.text, "html": template.html, **_common(template)}


def _settings(settings: Settings) -> Fields:
    guards = settings.guards
    return {
        "guards.maxDeletions": f"{guards.max_deletions_percent:g}%",
        "guards.maxAdministrators": guards.max_administrators,
        "guards.requireAdministratorIPs": guards.administrators_need_permitted_ips,
        "guards.separationOfDuties": [list(teams) for teams in guards.separation_of_duties],
        "guards.maxPeopleGaining": guards.max_people_gaining,
        **_common(settings),
    }


_FIELDS: dict[Kind, Callable[[Any], Fields]] = {
    "User": _user,
    "Team": _team,
    "Issuer": _issuer,
    "EmailTemplate": _template,
    "Settings": _settings,
}
"""The fields of each kind by their YAML names, in the order in which differences are shown."""
_BLANK: dict[Kind, Resource] = {
    "User": User("", ""),
    "Team": Team(""),
    "Issuer": Issuer(""),
    "EmailTemplate": EmailTemplate("", "", ""),
    "Settings": Settings(guards=Guards()),
}
_BLANK_FIELDS = {kind: fields(_BLANK[kind]) for kind, fields in _FIELDS.items()}


def differences(kind: Kind, before: Resource | None, after: Resource | None) -> dict[str, dict[str, Value]]:
    """Return the fields in which two resources of one kind differ.

    A single value gives {"from", "to"}. A list, compared as a set of items, gives {"added", "removed"}, and "changed" for items
    that stay but differ. New and deleted resources are compared with an empty one; a deleted resource's values go to None.
    """
    old = _BLANK_FIELDS[kind] if before is None else _FIELDS[kind](before)
    new = _BLANK_FIELDS[kind] if after is None else _FIELDS[kind](after)
    found: dict[str, dict[str, Value]] = {}
    for name, now in new.items():
        was = old[name]
        if was != now:
            found[name] = _list_difference(was, now) if now.__class__ is list else {"from": was, "to": now if after else None}
    if kind == "Settings":
        found.update(_policy_differences(before or _BLANK[kind], after or _BLANK[kind]))
    return found


def _key(item: Value) -> str:
    if item.__class__ is str:
        return str(item)
    if isinstance(item, Mapping):
        return str(item.get("user", item.get("issuer")))
    return json.dumps(item) if isinstance(item, list) else str(item)


def _list_difference(was: Iterable[Value], now: Iterable[Value]) -> dict[str, Value]:
    before = {_key(item): item for item in was} if was else {}
    after = {_key(item): item for item in now}
    found: dict[str, Value] = {
        "added": [item for key, item in after.items() if key not in before],
        "removed": [item for key, item in before.items() if key not in after],
    }
    changed = [{"from": before[key], "to": item} for key, item in after.items() if key in before and before[key] != item]
    if changed:
        found["changed"] = changed
    return found


def _policy_differences(old: Resource, new: Resource) -> dict[str, dict[str, Value]]:
    def flat(settings: Resource) -> dict[str, Value]:
        sections = settings.policies if isinstance(settings, Settings) else ()
        return {f"{section}.{key}": value for section, text in sections for key, value in json.loads(text).items()}

    was, now = flat(old), flat(new)
    return {key: {"from": was.get(key), "to": now.get(key)} for key in sorted(was | now) if was.get(key) != now.get(key)}
