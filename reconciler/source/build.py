"""Builds resources from documents that match their schema. Defaults come from the schemas, which document them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import orjson

from reconciler.access.instants import parse_instant
from reconciler.access.permitted_ips import parse_rule
from reconciler.access.resources import (
    EmailTemplate,
    Guards,
    Issuer,
    Kind,
    Labels,
    Membership,
    Permission,
    Resource,
    Settings,
    Team,
    User,
)
from reconciler.source.schema import Finding, schema_of


@cache
def defaults(kind: Kind) -> dict[str, Any]:
    """Return the defaults of a kind's spec, by property."""
    properties = schema_of(kind)["properties"]["spec"]["properties"]
    return {name: schema["default"] for name, schema in properties.items() if "default" in schema}


@cache
def section_defaults() -> dict[str, dict[str, Any]]:
    """Return the defaults of the settings, by section and key."""
    sections = schema_of("Settings")["properties"]["spec"]["properties"]
    return {
        section: {key: schema["default"] for key, schema in content["properties"].items()}
        for section, content in sections.items()
    }


def check_values(value: Any) -> list[Finding]:
    """Find what a schema cannot: instants outside the calendar and invalid permitted IPs. Accepts any document."""
    found: list[Finding] = []
    spec = value.get("spec") if isinstance(value, dict) else None
    if not isinstance(spec, dict):
        return found
    if value.get("kind") == "User":
        _check(found, ("spec", "passwordChangeRequiredAfter"), spec.get("passwordChangeRequiredAfter"), parse_instant)
    elif value.get("kind") == "Team":
        for field in ("members", "issuers"):
            for index, item in enumerate(_list(spec, field)):
                if item.__class__ is dict:
                    _check(found, ("spec", field, index, "until"), item.get("until"), parse_instant)
        if spec.get("permittedIPs") == []:
            message = "an empty list restricts nothing; remove it, or list addresses"
            found.append(Finding("empty-permitted-ips", ("spec", "permittedIPs"), message, severity="warning"))
        for index, text in enumerate(_list(spec, "permittedIPs")):
            _check(found, ("spec", "permittedIPs", index), text, parse_rule)
    return found


def _list(spec: dict[str, Any], field: str) -> Sequence[Any]:
    found = spec.get(field)
    return found if isinstance(found, list) else ()


def _check(found: list[Finding], path: tuple[str | int, ...], text: Any, parse: Callable[[str], object]) -> None:
    if not isinstance(text, str):
        return
    try:
        parse(text)
    except ValueError as error:
        found.append(Finding("invalid-ip" if "permittedIPs" in path else "invalid-instant", path, str(error)))


def build(value: dict[str, Any]) -> Resource:
    """Build the resource of a document without problems."""
    metadata, spec = value["metadata"], value.get("spec") or {}
    return _BUILDERS[value["kind"]](metadata["name"], spec, _labels(metadata), tuple(metadata.get("previously", ())))


def _labels(metadata: dict[str, Any]) -> Labels:
    labels = metadata.get("labels")
    return tuple(sorted(labels.items())) if labels else ()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


def _user(name: str, spec: dict[str, Any], labels: Labels, previously: tuple[str, ...]) -> User:
    default, get = defaults("User"), spec.get
    kind = get("type", default["type"])
    return User(
        name,
        spec["email"],
        get("fullName"),
        kind,
        get("enabled", default["enabled"]),
        get("initialPassword") or ("generated" if kind == "person" else "none"),
        _instant(get("passwordChangeRequiredAfter")),
        labels,
        previously,
    )


def _membership(item: Any) -> Membership:
    if item.__class__ is str:
        return Membership(item)
    return Membership(item["user"], _instant(item.get("until")), item.get("reason"))


def _permission(item: Any) -> Permission:
    return Permission(item) if item.__class__ is str else Permission(item["issuer"], _instant(item.get("until")))


def _first(item: tuple[Any, ...]) -> Any:
    return item[0]


def _team(name: str, spec: dict[str, Any], labels: Labels, previously: tuple[str, ...]) -> Team:
    default, get = defaults("Team"), spec.get
    decide_for = get("mayDecideFor", default["mayDecideFor"])
    return Team(
        name,
        get("description", default["description"]),
        get("administrator", default["administrator"]),
        tuple(sorted(map(_membership, get("members", ())), key=_first)),
        tuple(sorted(map(_permission, get("issuers", ())), key=_first)),
        tuple(sorted(get("adGroups", ()))),
        tuple(sorted(get("permittedIPs", ()))),
        decide_for if decide_for == "everyone" else tuple(sorted(decide_for)),
        get("suppressIssuedEmails", default["suppressIssuedEmails"]),
        get("suppressReminderEmails", default["suppressReminderEmails"]),
        labels,
        previously,
    )


def _issuer(name: str, spec: dict[str, Any], labels: Labels, previously: tuple[str, ...]) -> Issuer:
    default = defaults("Issuer")
    return Issuer(
        name,
        spec.get("displayName"),
        spec.get("description", default["description"]),
        spec.get("enabled", default["enabled"]),
        labels,
        previously,
    )


def _template(name: str, spec: dict[str, Any], labels: Labels, previously: tuple[str, ...]) -> EmailTemplate:
    return EmailTemplate(name, spec["subject"], spec["text"], spec.get("html"), labels, previously)


def _settings(name: str, spec: dict[str, Any], labels: Labels, previously: tuple[str, ...]) -> Settings:
    full = {section: {**default, **spec.get(section, {})} for section, default in section_defaults().items()}
    guards = full.pop("guards")
    return Settings(
        name,
        Guards(
            max_deletions_percent=float(guards["maxDeletions"].removesuffix("%")),
            max_administrators=guards["maxAdministrators"],
            administrators_need_permitted_ips=guards["requireAdministratorIPs"],
            separation_of_duties=tuple(sorted(tuple(sorted(teams)) for teams in guards["separationOfDuties"])),
            max_people_gaining=guards["maxPeopleGaining"],
        ),
        tuple(
            sorted((section, orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()) for section, content in full.items())
        ),
        labels,
        previously,
    )


_BUILDERS: dict[str, Callable[[str, dict[str, Any], Labels, tuple[str, ...]], Resource]] = {
    "User": _user,
    "Team": _team,
    "Issuer": _issuer,
    "EmailTemplate": _template,
    "Settings": _settings,
}
