"""What editors need of a config repository: the schemas of its resources, and which of its files they describe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from reconciler.shipped import schema_folder, starter_folder
from reconciler.source.errors import SourceError
from reconciler.source.schema import FILES

SCHEMAS = ".accord/schemas"
"""Where a config repository keeps the schemas; its YAML files and `MAPPING` point there."""
MAPPING = ".vscode/settings.json"
"""Tells VS Code's YAML extension which files the schema of all kinds describes."""
_FOR_ALL_KINDS = "resource.schema.json"


def stale_schemas(folder: Path) -> list[Path]:
    """Return each schema that a config repository lacks, or has in another version. Raises SourceError for another's file."""
    return [place for place, text in _schemas(folder) if _present(place) != text]


def write_schemas(folder: Path) -> list[Path]:
    """Write the schemas that are missing or stale, and return them. Raises SourceError rather than replace another's file."""
    stale = set(stale_schemas(folder))
    return [_write(place, text) for place, text in _schemas(folder) if place in stale]


def write_mapping(folder: Path) -> tuple[list[Path], str]:
    """Write the mapping if there is none, and return it. Otherwise return what people should add to theirs, if anything."""
    place, text = folder / MAPPING, (starter_folder() / MAPPING).read_text(encoding="utf-8")
    if not (place.exists() or place.is_symlink() or place.parent.is_symlink()):
        return [_write(place, text)], ""
    try:
        found = place.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SourceError(f"cannot read {place}: {error.strerror or error}") from error
    return [], "" if f"{SCHEMAS}/{_FOR_ALL_KINDS}" in found else text


def _schemas(folder: Path) -> Iterator[tuple[Path, str]]:
    if not folder.is_dir():
        raise SourceError(f"there is no folder `{folder}`")
    for name in (*FILES.values(), _FOR_ALL_KINDS):
        yield folder / SCHEMAS / name, (schema_folder() / name).read_text(encoding="utf-8")


def _present(place: Path) -> str | None:
    """Return the text of a schema that Accord wrote, perhaps an older version, or None. Raises SourceError."""
    if any(above.is_symlink() for above in (place, place.parent, place.parent.parent)):
        raise SourceError(f"{place} is, or is behind, a symbolic link, which is not followed; put a folder of its own here")
    try:
        text = place.read_text(encoding="utf-8")
        found = json.loads(text)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"cannot read {place}: {error.strerror or error}") from error
    except ValueError:
        found = None
    own = json.loads((schema_folder() / place.name).read_text(encoding="utf-8"))["$id"]
    if not isinstance(found, dict) or found.get("$id") != own:
        raise SourceError(f"{place} is not a schema of Accord's (its $id is not `{own}`); nothing was written. Move it away")
    return text


def _write(place: Path, text: str) -> Path:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise SourceError(f"cannot write {place}: {error.strerror or error}") from error
    return place
