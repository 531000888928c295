"""Resources as the columns of their tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from reconciler.access.resources import EmailTemplate, Issuer, Resource, Settings, Team, User
from reconciler.store.tables import instant_text


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _instant(value: datetime | None) -> str | None:
    return None if value is None else instant_text(value)


def column_values(resource: Resource) -> dict[str, Any]:
    """The declared columns of a resource's own row, as the database holds them."""
    common = {
        "name": resource.name,
        "labels": _json(dict(resource.labels)) if resource.labels else "{}",
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
        "password_change_required_after": _instant(user.password_change_required_after),
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
