"""A starter config repository: a resource of each kind, CODEOWNERS, CI workflows, schemas for editors."""

from __future__ import annotations

import json
import re
from pathlib import Path

from reconciler.shipped import schema_folder, starter_folder
from reconciler.source.editors import stale_schemas, write_schemas
from reconciler.source.errors import SourceError
from reconciler.source.export import claimed, write_new
from reconciler.source.yaml_text import scalar

_PLACEHOLDER = re.compile(r"@(ADMINISTRATOR|EMAIL|FULL_NAME)@")
_MOST_OF_A_NAME = 128


def write_starter(folder: Path, administrator: str, email: str, full_name: str | None) -> list[Path]:
    """Write a starter config repository with the given first administrator, and return the files written.

    The folder is created if necessary, and may contain `.git`. Raises SourceError if it contains anything else or cannot be
    written, or if the administrator's name, e-mail address or full name is invalid.
    """
    _refuse_unfit(administrator, email, full_name)
    values = {"ADMINISTRATOR": administrator, "EMAIL": email, "FULL_NAME": full_name}
    source = starter_folder()
    with claimed(folder) as written:
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            place = folder / str(path.relative_to(source)).replace("users/administrator.yaml", f"users/{administrator}.yaml")
            write_new(place, _filled(path, values), written)
        written.extend(stale_schemas(folder))
        write_schemas(folder)
    return written


def _filled(path: Path, values: dict[str, str | None]) -> str:
    """Fill in the placeholders of a starter file; a line without a known value is left out."""
    write = scalar if path.suffix == ".yaml" else str

    def value(match: re.Match[str]) -> str:
        return write(values[match[1]] or "")

    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    known = [line for line in lines if all(values[name] is not None for name in _PLACEHOLDER.findall(line))]
    return "".join(_PLACEHOLDER.sub(value, line) for line in known)


def _refuse_unfit(administrator: str, email: str, full_name: str | None) -> None:
    definitions = json.loads((schema_folder() / "user.schema.json").read_bytes())["$defs"]
    if not re.fullmatch(definitions["name"]["pattern"], administrator):
        raise SourceError(f"{administrator!r} cannot be a login name. {definitions['name']['patternErrorMessage']}")
    if len(email) > definitions["email"]["maxLength"] or not re.fullmatch(definitions["email"]["pattern"], email):
        raise SourceError(f"{email!r} is not an e-mail address. {definitions['email']['patternErrorMessage']}")
    if full_name is not None and not (0 < len(full_name) <= _MOST_OF_A_NAME and full_name.isprintable()):
        raise SourceError(f"a full name must be one line of at most {_MOST_OF_A_NAME} printable characters")
