"""What a document must say to declare a wanted resource: what it says already, as far as that means the same, and the rest anew.

So `until: 2099-01-31` stays as people wrote it, a default that is spelled out stays, and a list keeps its order.
"""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from reconciler.access.fields import Field, fields_of
from reconciler.access.resources import RESOURCES, Resource, linked_name
from reconciler.source.build import build, reader, section_defaults
from reconciler.source.export import resource_fields

Path = tuple[str, ...]
_NOTHING: Any = object()
"""What a field has that is not there."""


def restated(value: Mapping[str, Any], wanted: Resource, emptied: Collection[Path] = ()) -> dict[str, Any]:
    """Return what a valid document should say. A list that becomes empty goes, unless its path is one of `emptied`."""
    kind = value["kind"]
    made = RESOURCES[kind]
    assert isinstance(wanted, made)
    held, written = build(dict(value)), resource_fields(wanted)
    found = {"metadata": dict(value["metadata"]), "spec": dict(value.get("spec") or {})}
    if held.name != wanted.name:
        found["metadata"]["name"] = wanted.name
    for attribute, field in fields_of(made).items():
        if field.codec == "policies":
            _restate_policies(found["spec"], getattr(held, attribute), getattr(wanted, attribute))
            continue
        section = "metadata" if field.metadata else "spec"
        old = found[section].get(field.yaml, _NOTHING)
        new = written[section].get(field.yaml, _NOTHING)
        said = _field(field, (old, new), (getattr(held, attribute), getattr(wanted, attribute)))
        if said is _NOTHING and (section, field.yaml) in emptied:
            said = []
        _put(found[section], field.yaml, said)
    spec = found["spec"] if "spec" in value or found["spec"] else _NOTHING
    return {**value, "metadata": found["metadata"], **({} if spec is _NOTHING else {"spec": spec})}


def _put(place: dict[str, Any], key: str, said: Any) -> None:
    if said is _NOTHING:
        place.pop(key, None)
    else:
        place[key] = said


def _field(field: Field, said: tuple[Any, Any], meant: tuple[Any, Any]) -> Any:
    """Return what a field should say. `said`: what it says and how the wanted value is usually written; `meant`: both values."""
    (old, new), (held, wanted) = said, meant
    if held == wanted:
        return old
    if old is _NOTHING or new is _NOTHING:
        return _plain(new)
    if field.codec == "limits" and isinstance(old, Mapping):
        assert field.part is not None
        return _part(field.part, old, new, held, wanted) or _NOTHING
    if isinstance(old, Sequence) and isinstance(new, Sequence) and not isinstance(old, str) and not isinstance(new, str):
        return _list(field, old, _plain(new))
    if field.codec == "labels":
        return {key: new[key] for key in (*(key for key in old if key in new), *(key for key in new if key not in old))}
    return _plain(new)


def _part(made: type[Any], old: Mapping[str, Any], new: Mapping[str, Any], held: Any, wanted: Any) -> dict[str, Any]:
    """Return what a mapping about one part of a resource should say."""
    found = dict(old)
    for attribute, field in fields_of(made).items():
        said = old.get(field.yaml, _NOTHING), new.get(field.yaml, _NOTHING)
        _put(found, field.yaml, _field(field, said, (getattr(held, attribute), getattr(wanted, attribute))))
    return found


def _list(field: Field, old: Sequence[Any], new: list[Any]) -> list[Any]:
    """Return what a list should say: in its own order, unless the order means something."""
    if field.codec == "texts":
        return new
    read = reader(field.codec, field.part)
    meaning = [(item if read is None else read([item])[0]) for item in new]
    missing = {_about(field, means): (means, item) for means, item in zip(meaning, new, strict=True)}
    found: list[Any] = []
    for item in old:
        means = item if read is None else read([item])[0]
        about = _about(field, means)
        if about in missing:
            wanted, written = missing.pop(about)
            found.append(_item(field, item, written, means, wanted))
    order = _order([_name(item) for item in old])
    keys = [] if order is None else [order(_name(item)) for item in found]
    for _, written in missing.values():
        at = len(found)
        if order is not None:
            at = bisect(keys, order(_name(written)))
            keys.insert(at, order(_name(written)))
        found.insert(at, written)
    return found


def _about(field: Field, meaning: Any) -> Any:
    """Return what an item of a list is about: two items about one thing are one item that changes."""
    return meaning[0] if field.part is not None else meaning


def _item(field: Field, old: Any, new: Any, held: Any, wanted: Any) -> Any:
    if held == wanted:
        return old
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        assert field.part is not None
        return _part(field.part, old, new, held, wanted)
    return new


def _name(item: Any) -> str:
    if isinstance(item, Mapping):
        return linked_name(item)
    return item if isinstance(item, str) else json.dumps(item)


def _order(names: list[str]) -> Callable[[str], str] | None:
    """Return what a list is sorted by, or None."""
    for order in (str, str.casefold):
        if all(order(before) <= order(after) for before, after in pairwise(names)):
            return order
    return None


def _restate_policies(spec: dict[str, Any], held: Sequence[tuple[str, str]], wanted: Sequence[tuple[str, str]]) -> None:
    """Let the sections that the reconciler only stores say what is wanted: key by key."""
    before, usual = dict(held), section_defaults()
    for section, text in wanted:
        old, new = json.loads(before.get(section, "{}")), json.loads(text)
        if old == new:
            continue
        said = dict(spec.get(section, {}))
        for key in (*old, *(key for key in new if key not in old)):
            if old.get(key, _NOTHING) != new.get(key, _NOTHING):
                is_usual = new.get(key, _NOTHING) == usual.get(section, {}).get(key, _NOTHING)
                _put(said, key, _NOTHING if is_usual else new.get(key, _NOTHING))
        _put(spec, section, said or _NOTHING)


def _plain(value: Any) -> Any:
    """Return a value with lists in place of tuples, as YAML is read."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
