"""accord import: another tool's configuration as a config repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, NamedTuple

from reconciler.access.problems import Problem

if TYPE_CHECKING:
    from reconciler.source.certdog_mapping import Mapped


def import_organisation(
    source: Path, folder: Path, minimum_permission: Literal["write", "maintain", "admin"], email_domain: str
) -> tuple[tuple[Problem, ...], int | None]:
    """Write what a peribolos configuration declares; return its problems, and the number of files written (None: errors).

    Raises SourceError if the files cannot be read or `folder` is not empty.
    """
    from reconciler.source.export import export_state
    from reconciler.source.peribolos import import_peribolos

    state, problems = import_peribolos(source, minimum_permission=minimum_permission, email_domain=email_domain)
    if any(problem.severity == "error" for problem in problems):
        return problems, None
    return problems, len(export_state(state, folder))


class Imported(NamedTuple):
    """How many files were written, and how many password hashes."""

    files: int
    hashes: int


def import_predecessor(source: Path, folder: Path, hashes: Path | None) -> tuple[tuple[Problem, ...], Imported | None]:
    """Write what an export of the predecessor declares, and its password hashes to a file of their own, if one is named; return
    its problems, and what was written (None: errors, so nothing).

    Raises SourceError if a file cannot be read, `folder` is not empty, or the file for the hashes is there already.
    """
    from reconciler.source.certdog import import_certdog
    from reconciler.source.export import export_state

    found = import_certdog(source, with_hashes=hashes is not None)
    problems = found.problems
    if not any(problem.severity == "error" for problem in problems):
        problems = sorted([*problems, *_invalid(found)])
    if any(problem.severity == "error" for problem in problems):
        return tuple(problems), None
    if hashes is not None:
        _write_hashes(hashes, found.hashes)
    try:
        files = export_state(found.state, folder)
    except BaseException:
        if hashes is not None:
            hashes.unlink(missing_ok=True)
        raise
    return tuple(problems), Imported(len(files), len(found.hashes))


def _invalid(found: Mapped) -> list[Problem]:
    """What `accord validate` would find wrong, at the places in the export that it comes from."""
    from reconciler.run.validating import validate_folder
    from reconciler.source.certdog_shape import RULE
    from reconciler.source.export import export_state, resource_path

    places = {resource_path(kind, name): place for (kind, name), place in found.places.items()}
    with TemporaryDirectory(prefix="accord-import-") as scratch:
        folder = Path(scratch, "config")
        export_state(found.state, folder)
        validation = validate_folder(folder, Path(scratch, "cache"), now=datetime.now(UTC))
    problems = []
    for each in validation.problems:
        if each.severity == "error":
            place = places.get(_unsharded(os.path.relpath(each.file, folder)))
            message = f"{each.message} [{each.rule}]"
            problems.append(Problem(found.file, 1, 1, RULE, "error", message) if place is None else place.problem(message))
    return problems


def _unsharded(file: str) -> str:
    """The path that a resource's file has if there are few of its kind."""
    parts = Path(file).parts
    return file if len(parts) < 3 else f"{parts[0]}/{parts[-1]}"


def _write_hashes(file: Path, hashes: Mapping[str, str]) -> None:
    """Write password hashes to a new file that only its owner can read. Raises SourceError."""
    from reconciler.source.errors import SourceError

    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise SourceError(f"{file} is there already; name a new file for the password hashes") from None
    except OSError as error:
        raise SourceError(f"cannot write {file}: {error.strerror or error}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii", newline="\n") as opened:
            opened.writelines(f"{name}:{hashed}\n" for name, hashed in sorted(hashes.items()))
    except OSError as error:
        file.unlink(missing_ok=True)
        raise SourceError(f"cannot write {file}: {error.strerror or error}") from error
