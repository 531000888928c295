"""Converts resources to the columns of their tables and back. Raises DatabaseCorrupt for values that Accord never writes."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

import orjson

from reconciler.access.resources import (
    EmailTemplate,
    Guards,
    Issuer,
    Labels,
    Membership,
    Permission,
    Resource,
    Settings,
    Team,
    User,
)
from reconciler.store.errors import DatabaseCorrupt
from reconciler.store.tables import instant_text, read_instant

_COMMON = "id, name, file, labels, previously"
COLUMNS = {
    "users": f"{_COMMON}, source, email, full_name, type, disabled_by_git, initial_password, password_change_required_after",
    "teams": f"{_COMMON}, description, administrator, ad_groups, permitted_ips, may_decide_for, suppress_issued_emails, "
    "suppress_reminder_emails",
    "issuers": f"{_COMMON}, display_name, description, enabled",
    "email_templates": f"{_COMMON}, subject, text, html",
    "settings": f"{_COMMON}, guards, policies",
}
"""The columns that the `read_` functions take, by table."""


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


@lru_cache(maxsize=4_096)
def _labels_json(labels: Labels) -> str:
    return _json(dict(labels))


def column_values(resource: Resource) -> dict[str, Any]:
    """Return the declared columns of a resource's own row, as the database stores them."""
    common = {
        "name": resource.name,
        "labels": _labels_json(resource.labels),
        "previously": _json(resource.previously) if resource.previously else "[]",
    }
    if isinstance(resource, User):
        return common | _user(resource)
    if isinstance(resource, Team):
        return common | _team(resource)
    if isinstance(resource, Issuer):
        return common | {"display_name": resource.display_name, "description": resource.description, "enabled": resource.enabled}
    if isinstance(resource, EmailTemplate):
        return common | {"subject": resource.subject, "text": resource.text, "html": resource.html}
    return common | _settings(resource)


def _user(user: User) -> dict[str, Any]:
    return {
        "email": user.email,
        "full_name": user.full_name,
        "type": user.type,
        "disabled_by_git": not user.enabled,
        "initial_password": user.initial_password,
        "password_change_required_after": user.password_change_required_after
        and instant_text(user.password_change_required_after),
    }


def _team(team: Team) -> dict[str, Any]:
    return {
        "description": team.description,
        "administrator": team.administrator,
        "ad_groups": _json(team.ad_groups),
        "permitted_ips": _json(team.permitted_ips),
        "may_decide_for": _json(team.may_decide_for),
        "suppress_issued_emails": team.suppress_issued_emails,
        "suppress_reminder_emails": team.suppress_reminder_emails,
    }


def _settings(settings: Settings) -> dict[str, Any]:
    return {"guards": _json(settings.guards._asdict()), "policies": _json(dict(settings.policies))}


def read_user(row: Any) -> User:
    """Read a user from a row of `COLUMNS`."""
    _, name, _, labels, previously, _, email, full_name, kind, disabled, initial, after = row
    off = _flag(disabled, name)
    return User(name, email, full_name, kind, not off, initial, read_until(after), _labels(labels), read_texts(previously))


def read_team(row: Any, members: tuple[Membership, ...], permissions: tuple[Permission, ...]) -> Team:
    """Read a team from a row of `COLUMNS` and its links."""
    _, name, _, labels, previously, description, administrator, groups, ips, decide_for, issued, reminder = row
    return Team(
        name=name,
        description=description,
        administrator=_flag(administrator, name),
        members=members,
        permissions=permissions,
        ad_groups=read_texts(groups),
        permitted_ips=read_texts(ips),
        may_decide_for="everyone" if decide_for == '"everyone"' else read_texts(decide_for),
        suppress_issued_emails=_flag(issued, name),
        suppress_reminder_emails=_flag(reminder, name),
        labels=_labels(labels),
        previously=read_texts(previously),
    )


def read_issuer(row: Any) -> Issuer:
    """Read an issuer from a row of `COLUMNS`."""
    _, name, _, labels, previously, display_name, description, enabled = row
    return Issuer(name, display_name, description, _flag(enabled, name), _labels(labels), read_texts(previously))


def read_template(row: Any) -> EmailTemplate:
    """Read a template from a row of `COLUMNS`."""
    _, name, _, labels, previously, subject, text, html = row
    return EmailTemplate(name, subject, text, html, _labels(labels), read_texts(previously))


def read_settings(row: Any) -> Settings:
    """Read the settings from a row of `COLUMNS`."""
    _, name, _, labels, previously, guards, policies = row
    return Settings(name, _guards(guards), _labels(policies), _labels(labels), read_texts(previously))


def read_until(text: str | None) -> datetime | None:
    """Read an instant from a column that may be empty."""
    return None if text is None else read_instant(text)


def read_texts(text: str) -> tuple[str, ...]:
    """Read a list of texts."""
    if text == "[]":
        return ()
    found = read_json(text)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        _refuse(text, "a list of texts")
    return tuple(found)


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    if text == "{}":
        return ()
    found = read_json(text)
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        _refuse(text, "a mapping of texts")
    return tuple(sorted(found.items()))


def _guards(text: str) -> Guards:
    found = read_json(text)
    if not isinstance(found, dict) or found.keys() != set(Guards._fields):
        _refuse(text, "every guard's limit")
    duties = found.pop("separation_of_duties")
    limits_are_numbers = all(value is None or isinstance(value, int | float) for value in found.values())
    if not limits_are_numbers or not isinstance(duties, list) or not all(isinstance(teams, list) for teams in duties):
        _refuse(text, "every guard's limit")
    return Guards(**found, separation_of_duties=tuple(read_texts(_json(teams)) for teams in duties))


def _flag(value: Any, name: str) -> bool:
    # SQLite stores any text in any column, and `no` would count as true
    if value not in (0, 1):
        _refuse(f"{value}` for `{name}", "yes or no (1 or 0)")
    return bool(value)


def read_json(text: str) -> Any:
    """Read a JSON column. Raises DatabaseCorrupt if it is not JSON."""
    try:
        return orjson.loads(text)
    except ValueError:
        _refuse(text, "JSON")


def _refuse(text: str, expected: str) -> NoReturn:
    raise DatabaseCorrupt(f"the database has `{text[:80]}` instead of {expected}; somebody wrote it by hand, so correct it there")
