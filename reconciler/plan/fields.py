"""What changes inside a resource, field by field, in the words of its YAML."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

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
"""A value as YAML and JSON know it."""


class Field(NamedTuple):
    """One field of a kind: its name in YAML, and how to get its value out of a resource.

    A list is compared as a set of items; `key` is the part of an item that names it, so that an item whose other parts
    change is `changed`, not removed and added.
    """

    name: str
    value: Callable[[Any], Value]
    is_list: bool = False


def _instant(value: datetime | None) -> str | None:
    return None if value is None else format_instant(value)


def membership_item(membership: Membership) -> Value:
    """A team's member as YAML writes it: a name, or a mapping where there is more to say."""
    if membership.until is None and membership.reason is None:
        return membership.user
    parts = {"user": membership.user, "until": _instant(membership.until), "reason": membership.reason}
    return {key: value for key, value in parts.items() if value is not None}


def permission_item(permission: Permission) -> Value:
    """A team's issuer as YAML writes it."""
    if permission.until is None:
        return permission.issuer
    return {"issuer": permission.issuer, "until": _instant(permission.until)}


def _may_decide_for(team: Team) -> list[str]:
    return [team.may_decide_for] if isinstance(team.may_decide_for, str) else list(team.may_decide_for)


_COMMON = (
    Field("labels", lambda resource: dict(resource.labels)),
    Field("previously", lambda resource: list(resource.previously), True),
)
_USER = (
    Field("email", lambda user: user.email),
    Field("fullName", lambda user: user.full_name),
    Field("type", lambda user: user.type),
    Field("enabled", lambda user: user.enabled),
    Field("initialPassword", lambda user: user.initial_password),
    Field("passwordChangeRequiredAfter", lambda user: _instant(user.password_change_required_after)),
    *_COMMON,
)
_TEAM = (
    Field("description", lambda team: team.description),
    Field("administrator", lambda team: team.administrator),
    Field("members", lambda team: [membership_item(member) for member in team.members], True),
    Field("issuers", lambda team: [permission_item(permission) for permission in team.permissions], True),
    Field("adGroups", lambda team: list(team.ad_groups), True),
    Field("permittedIPs", lambda team: list(team.permitted_ips), True),
    Field("mayDecideFor", _may_decide_for, True),
    Field("suppressIssuedEmails", lambda team: team.suppress_issued_emails),
    Field("suppressReminderEmails", lambda team: team.suppress_reminder_emails),
    *_COMMON,
)
_ISSUER = (
    Field("displayName", lambda issuer: issuer.display_name),
    Field("description", lambda issuer: issuer.description),
    Field("enabled", lambda issuer: issuer.enabled),
    *_COMMON,
)
_TEMPLATE = (
    Field("subject", lambda template: template.subject),
    Field("text", lambda template: template.text),
    Field("html", lambda template: template.html),
    *_COMMON,
)
_SETTINGS = (
    Field("guards.maxDeletions", lambda settings: f"{settings.guards.max_deletions_percent:g}%"),
    Field("guards.maxAdministrators", lambda settings: settings.guards.max_administrators),
    Field("guards.requireAdministratorIPs", lambda settings: settings.guards.administrators_need_permitted_ips),
    Field("guards.separationOfDuties", lambda settings: [list(teams) for teams in settings.guards.separation_of_duties], True),
    Field("guards.maxPeopleGaining", lambda settings: settings.guards.max_people_gaining),
    *_COMMON,
)
_FIELDS: dict[Kind, tuple[Field, ...]] = {
    "User": _USER,
    "Team": _TEAM,
    "Issuer": _ISSUER,
    "EmailTemplate": _TEMPLATE,
    "Settings": _SETTINGS,
}
_BLANK: dict[Kind, Resource] = {
    "User": User("", ""),
    "Team": Team(""),
    "Issuer": Issuer(""),
    "EmailTemplate": EmailTemplate("", "", ""),
    "Settings": Settings(guards=Guards()),
}
_BLANK_VALUES = {kind: [field.value(_BLANK[kind]) for field in fields] for kind, fields in _FIELDS.items()}


def differences(kind: Kind, before: Resource | None, after: Resource | None) -> dict[str, dict[str, Value]]:
    """The fields in which two resources of one kind differ.

    A value gives {"from", "to"}; a list {"added", "removed"} and, where items differ in more than being there,
    "changed". A resource that is new is compared with one that says nothing; one that goes away has no differences.
    """
    if after is None:
        return {}
    found: dict[str, dict[str, Value]] = {}
    old = _BLANK_VALUES[kind] if before is None else [field.value(before) for field in _FIELDS[kind]]
    for field, was in zip(_FIELDS[kind], old, strict=True):
        now = field.value(after)
        if was != now:
            found[field.name] = _list_difference(was, now) if field.is_list else {"from": was, "to": now}
    if isinstance(after, Settings):
        found.update(_policy_differences(before or _BLANK[kind], after))
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


def _policy_differences(old: Resource, new: Settings) -> dict[str, dict[str, Value]]:
    def flat(settings: Resource) -> dict[str, Value]:
        sections = settings.policies if isinstance(settings, Settings) else ()
        return {f"{section}.{key}": value for section, text in sections for key, value in json.loads(text).items()}

    was, now = flat(old), flat(new)
    return {key: {"from": was.get(key), "to": now.get(key)} for key in sorted(was | now) if was.get(key) != now.get(key)}
