"""Writes declared facts as a config repository: one file per resource, in the form people would write."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reconciler.access.duties import written_duty
from reconciler.access.fields import Codec, Field, fields_of
from reconciler.access.instants import format_instant, show_instant
from reconciler.access.resources import KINDS, DeclaredState, Kind, Resource
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
    with claimed(folder) as written:
        for kind in KINDS:
            resources = state.of_kind(kind)
            for name in sorted(resources):
                path = folder / resource_path(kind, name, sharded=len(resources) > MOST_IN_A_FOLDER)
                write_new(path, resource_document(kind, resources[name]), written)
    return written


@contextmanager
def claimed(folder: Path) -> Iterator[list[Path]]:
    """Claim an empty or new folder, and yield a list for the files written there. Whatever ends this early, they are removed.

    Raises SourceError if the folder holds anything or cannot be written.
    """
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    claim_folder(folder)
    written: list[Path] = []
    try:
        yield written
    except BaseException as error:
        _remove(folder, written, new)
        if isinstance(error, OSError):
            raise SourceError(f"cannot write to {folder}: {error.strerror or error}") from error
        raise


def _remove(folder: Path, files: Iterable[Path], new: Iterable[Path]) -> None:
    """Remove files, empty folders beside `.git`, and folders that are new, as far as somebody else put nothing there."""
    for file in files:
        with suppress(OSError):
            file.unlink()
    inner = [place for place in folder.iterdir() if place.name != ".git"]
    below = [Path(place) for top in inner for place, _, _ in os.walk(top, topdown=False)]
    for place in (*below, *new):
        with suppress(OSError):
            place.rmdir()


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


def write_new(path: Path, text: str, written: list[Path]) -> None:
    """Write a file that is not there yet, in a folder that need not be there, and note it."""
    try:
        file = path.open("x", encoding="utf-8", newline="\n")
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        file = path.open("x", encoding="utf-8", newline="\n")
    written.append(path)
    with file:
        file.write(text)


def resource_document(kind: Kind, resource: Resource) -> str:
    """Write the YAML document that declares a resource, without defaults."""
    return yaml_document({"apiVersion": "accord/v1", "kind": kind, **resource_fields(resource)})


def resource_fields(resource: Resource) -> dict[str, Fields]:
    """Return a document's `metadata` and `spec`, without defaults."""
    metadata: Fields = {"name": resource.name}
    spec: Fields = {}
    for attribute, field in fields_of(type(resource)).items():
        value = getattr(resource, attribute)
        if attribute in resource._field_defaults and (value in _NOTHING or value == _usual(resource, attribute, field)):
            continue
        if field.codec == "policies":
            spec = {**_policies(value), **spec}
        else:
            (metadata if field.metadata else spec)[field.yaml] = _written(field, value)
    return {"metadata": metadata, "spec": spec}


def _usual(resource: Resource, attribute: str, field: Field) -> Any:
    """Return the default of a field."""
    if field.usual is None:
        return resource._field_defaults[attribute]
    other, by_value = field.usual
    return by_value.get(getattr(resource, other))


def _written(field: Field, value: Any) -> Value:
    """Convert a value to what people write in YAML."""
    if field.codec == "links":
        return tuple(_link(link) for link in value)
    if field.codec == "delegations":
        return tuple(map(_said, value))
    if field.codec == "limits":
        return _said(value)
    write = _WRITE.get(field.codec)
    return value if write is None else write(value)


def _link(link: Any) -> Value:
    """Return a name, or a mapping if there is more to say."""
    said = _said(link)
    return said if len(said) > 1 else link[0]


def _said(part: Any) -> Fields:
    """Return the fields of a part of a resource without the defaults."""
    return {
        field.yaml: _written(field, value)
        for (attribute, field), value in zip(fields_of(type(part)).items(), part, strict=True)
        if attribute not in part._field_defaults or value != part._field_defaults[attribute]
    }


def _policies(policies: Iterable[tuple[str, str]]) -> Fields:
    """Return the sections that the reconciler only stores, without the defaults."""
    defaults = section_defaults()
    said = {
        section: {key: value for key, value in json.loads(text).items() if value != defaults.get(section, {}).get(key)}
        for section, text in policies
    }
    return {section: content for section, content in said.items() if content}


_NOTHING: Collection[Any] = (None, "", ())
_WRITE: Mapping[Codec, Callable[[Any], Value]] = {
    "percent": "{:g}%".format,
    "instant": lambda value: Plain(format_instant(value)),
    "end": lambda value: Plain(show_instant(value)),
    "labels": dict,
    "groups": lambda value: tuple(tuple(map(written_duty, duties)) for duties in value),
    "folder": lambda path: path or ".",
}
"""Converts a value to what YAML has; a codec that is missing here needs no conversion."""
