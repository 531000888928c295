"""Checks what a schema cannot: instants outside the calendar, invalid AD groups, logins, permitted IPs and CA certificates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reconciler.access.ad_groups import check_group, pieces_at
from reconciler.access.ca_certificates import read_ca_certificate
from reconciler.access.delegation import folder_key, folder_path
from reconciler.access.fields import fields_of
from reconciler.access.instants import parse_instant
from reconciler.access.login_names import check_alias
from reconciler.access.permitted_ips import parse_rule
from reconciler.access.resources import RESOURCES, Team
from reconciler.source.schema import Finding


def _instants(resource: type[Any]) -> tuple[str, ...]:
    return tuple(field.yaml for field in fields_of(resource).values() if field.codec in ("instant", "end"))


_INSTANTS: Mapping[str, tuple[str, ...]] = {kind: _instants(resource) for kind, resource in RESOURCES.items()}
_LINKS = {field.yaml: _instants(field.part) for field in fields_of(Team).values() if field.codec == "links" and field.part}
"""The fields that hold instants, by kind, and those of a team's links."""


def check_values(value: Any) -> list[Finding]:
    """Find what a schema cannot: instants, AD groups, logins, permitted IPs and CA certificates that are none.

    Accepts any document.
    """
    found: list[Finding] = []
    spec = value.get("spec") if isinstance(value, dict) else None
    if not isinstance(spec, dict):
        return found
    kind = value.get("kind")
    for field in _INSTANTS.get(kind, ()) if isinstance(kind, str) else ():
        _check(found, "invalid-instant", ("spec", field), spec.get(field), parse_instant)
    if kind == "Team":
        for field, parts in _LINKS.items():
            for index, item in enumerate(_list(spec, field)):
                for part in parts if item.__class__ is dict else ():
                    _check(found, "invalid-instant", ("spec", field, index, part), item.get(part), parse_instant)
        if spec.get("permittedIPs") == []:
            message = "an empty list restricts nothing; remove it, or list addresses"
            found.append(Finding("empty-permitted-ips", ("spec", "permittedIPs"), message, severity="warning"))
        _check_groups(found, _list(spec, "adGroups"))
        for index, text in enumerate(_list(spec, "permittedIPs")):
            _check(found, "invalid-ip", ("spec", "permittedIPs", index), text, parse_rule)
    _check_texts(found, kind, spec)
    if kind == "Settings":
        _check_delegation(found, _list(spec, "delegation"))
    return found


def _check_texts(found: list[Finding], kind: Any, spec: dict[str, Any]) -> None:
    for index, text in enumerate(_list(spec, "logins") if kind == "User" else ()):
        _check(found, "invalid-login", ("spec", "logins", index), text, check_alias)
    for index, text in enumerate(_list(spec, "caCertificates") if kind == "Issuer" else ()):
        _check(found, "invalid-ca-certificate", ("spec", "caCertificates", index), text, read_ca_certificate)


def _check_delegation(found: list[Finding], entries: Sequence[Any]) -> None:
    seen: set[str] = set()
    for index, entry in enumerate(entry if isinstance(entry, dict) else {} for entry in entries):
        place, path = ("spec", "delegation", index), entry.get("path")
        _check(found, "invalid-path", (*place, "path"), path, folder_path)
        for number, text in enumerate(_list(entry, "permittedIPs")):
            _check(found, "invalid-ip", (*place, "permittedIPs", number), text, parse_rule)
        key = folder_key(path) if isinstance(path, str) else None
        if key in seen:
            message = f"`{path}` is delegated twice; case and slashes at the end make no difference"
            found.append(Finding("delegated-twice", (*place, "path"), message))
        seen |= set() if key is None else {key}


def _check_groups(found: list[Finding], groups: Sequence[Any]) -> None:
    """Find what names no group. The pieces of one name that lacked quotes are one problem, with the whole name to write."""
    index = 0
    while index < len(groups):
        path = ("spec", "adGroups", index)
        pieces = pieces_at(groups, index)
        if not pieces:
            _check(found, "invalid-ad-group", path, groups[index], check_group)
            index += 1
            continue
        written = json.dumps(",".join(pieces), ensure_ascii=False)
        message = (
            f"`{groups[index]}` begins a distinguished name in {len(pieces)} pieces: without quotes, a comma ends an item, and "
            f"`=` is in no sAMAccountName. Write `{written}` in their place"
        )
        found.append(Finding("invalid-ad-group", path, message, written))
        index += len(pieces)


def _list(spec: dict[str, Any], field: str) -> Sequence[Any]:
    found = spec.get(field)
    return found if isinstance(found, list) else ()


def _check(found: list[Finding], rule: str, path: tuple[str | int, ...], text: Any, parse: Callable[[str], object]) -> None:
    if not isinstance(text, str):
        return
    try:
        parse(text)
    except ValueError as error:
        found.append(Finding(rule, path, str(error)))
