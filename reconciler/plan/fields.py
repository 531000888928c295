"""What changes in a resource, field by field, in the words of its YAML."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from reconciler.access.ca_certificates import shown_ca_certificate
from reconciler.access.fields import Codec, Field, fields_of
from reconciler.access.instants import format_instant
from reconciler.access.resources import RESOURCES, Delegation, Guards, Kind, Resource, Settings, linked_name

Value = Any
"""A value that YAML and JSON can express."""
_Show = Callable[[Any], Value] | None
"""Converts a value to one that JSON can express; None: they are the same."""


def _instant(value: datetime | None) -> str | None:
    return None if value is None else format_instant(value)


_SHOW: Mapping[Codec, _Show] = {
    "text": None,
    "flag": None,
    "number": None,
    "percent": "{:g}%".format,
    "instant": _instant,
    "end": _instant,
    "texts": list,
    "names": list,
    "certificates": lambda value: list(map(shown_ca_certificate, value)),
    "names or everyone": lambda value: [value] if isinstance(value, str) else list(value),
    "groups": lambda value: list(map(list, value)),
    "folder": lambda path: path or ".",
    "labels": dict,
}


def _show(field: Field) -> _Show:
    if field.part is None:
        return _SHOW[field.codec]
    if field.codec == "delegations":
        return lambda delegations: list(map(_delegation, delegations))
    (name, _), *rest = [(part.yaml, _SHOW[part.codec]) for part in fields_of(field.part).values()]
    no_more = (None,) * len(rest)

    def item(link: tuple[Any, ...]) -> Value:
        """Return a link as in YAML: a name, or a mapping if there is more to say."""
        if link[1:] == no_more:
            return link[0]
        more = zip(rest, link[1:], strict=True)
        return {name: link[0], **{key: show(value) if show else value for (key, show), value in more if value is not None}}

    return lambda links: [item(link) for link in links]


def _delegation(delegation: Delegation) -> Value:
    """Return a delegation as in YAML, without what it leaves out."""
    said = {
        field.yaml: (_SHOW[field.codec], value) for field, value in zip(fields_of(Delegation).values(), delegation, strict=True)
    }
    return {name: show(value) if show else value for name, (show, value) in said.items() if value or name == "path"}


@cache
def _shown(kind: Kind) -> tuple[Resource, list[tuple[str, int, _Show]]]:
    """Return a resource that says nothing, and each field's name, its position in `_values`, and how to show it."""
    made = RESOURCES[kind]
    limits = [(f"guards.{part.yaml}", part) for part in fields_of(Guards).values()] if kind == "Settings" else []
    fields = [(name, index, _show(part)) for index, (name, part) in enumerate(limits)]
    fields += [
        (field.yaml, len(limits) + made._fields.index(attribute), _show(field))
        for attribute, field in fields_of(made).items()
        if field.codec not in ("limits", "policies")
    ]
    return made(**{name: made._field_defaults.get(name, "") for name in made._fields}), fields


def _values(resource: Resource) -> tuple[Any, ...]:
    return (*resource.guards, *resource) if isinstance(resource, Settings) else resource


def differences(kind: Kind, before: Resource | None, after: Resource | None) -> dict[str, dict[str, Value]]:
    """Return the fields in which two resources of one kind differ.

    A single value gives {"from", "to"}. A list, compared as a set of items, gives {"added", "removed"}, and "changed" for items
    that stay but differ. New and deleted resources are compared with an empty one; a deleted resource's values go to None.
    """
    blank, fields = _shown(kind)
    old, new = before or blank, after or blank
    held, wanted = _values(old), _values(new)
    found: dict[str, dict[str, Value]] = {}
    for name, index, show in fields:
        was, now = held[index], wanted[index]
        if was is now or was == now:
            continue
        if show is not None:
            was, now = show(was), show(now)
            if was == now:
                continue
        found[name] = _list_difference(was, now) if now.__class__ is list else {"from": was, "to": now if after else None}
    if kind == "Settings":
        found.update(_policy_differences(old, new))
    return found


def _key(item: Value) -> str:
    if item.__class__ is str:
        return str(item)
    if isinstance(item, Mapping):
        return linked_name(item)
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
