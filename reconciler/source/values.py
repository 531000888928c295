"""Checks what a schema cannot: instants outside the calendar and invalid permitted IPs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reconciler.access.instants import parse_instant
from reconciler.access.permitted_ips import parse_rule
from reconciler.source.schema import Finding


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
