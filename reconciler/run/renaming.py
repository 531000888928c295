"""accord rename: gives a resource another name in every file, checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reconciler.access.delegation import matches, patterns_about
from reconciler.access.problems import Problem
from reconciler.access.references import references
from reconciler.access.resources import KINDS, Declaration, Kind, Origin, Settings
from reconciler.run.deployment import Deployment, cache_folder
from reconciler.run.errors import InvalidConfiguration, RunError
from reconciler.wording.nearest import did_you_mean
from reconciler.wording.text import printable

if TYPE_CHECKING:
    from reconciler.run.inputs import Progress
    from reconciler.source.load import Loaded, Spot
    from reconciler.source.rewriting import Edit

_OWNERS = ("CODEOWNERS", ".github/CODEOWNERS", ".gitlab/CODEOWNERS", "docs/CODEOWNERS")


class Renaming(NamedTuple):
    """What a rename changes: files by the name that is shown, with their place; where the name is, and stays."""

    edits: Mapping[str, tuple[Path, Edit]]
    places: int
    declared_in: str
    left: list[tuple[Origin, str]]
    """Lines where the old name stays, since it means something else or people must decide, or a pattern that fits only it."""


def kind_named(text: str) -> Kind:
    """Return the kind, written in any case. Raises RunError with the nearest one."""
    found = next((kind for kind in KINDS if kind.casefold() == text.casefold()), None)
    if found is None:
        hint = did_you_mean(text, KINDS) or f"; the kinds are {', '.join(KINDS)}"
        raise RunError(f"there is no kind `{printable(text)}`{hint}")
    return found


def rename(deployment: Deployment, kind: Kind, old: str, new: str, *, now: datetime, progress: Progress = None) -> Renaming:
    """Work out a rename in the working folder. Nothing is written: give the edits to `rewrite`.

    Raises RunError or SourceError if it cannot be done, InvalidConfiguration if the files have errors before or after.
    """
    from reconciler.run.validating import working_folder
    from reconciler.source.cache import open_cache
    from reconciler.source.errors import SourceError
    from reconciler.source.folder import list_files
    from reconciler.source.load import load_folder
    from reconciler.source.renaming import rename_in
    from reconciler.source.rewriting import Edit

    folder = working_folder(deployment, "clone it, and run this in the clone")
    loaded = load_folder(folder, cache=open_cache(cache_folder(deployment)), progress=progress)
    _refuse_errors(loaded, now)
    declared = _check_names(loaded, kind, old, new)
    paths = dict(list_files(folder)[0])
    edits: dict[str, tuple[Path, Edit]] = {}
    places, left = 0, _owned(Path(deployment.repository), old)
    for file in sorted({each.origin.file for each in loaded.declarations if _mentions(each, kind, old)}):
        before = paths[file].read_bytes()
        try:
            renamed = rename_in(before, kind, old, new)
        except SourceError as error:
            raise SourceError(f"{file}: {error}") from None
        if renamed.places:
            edits[file] = paths[file], Edit(before, renamed.content)
        places += renamed.places
        left += [(Origin(file, line), text) for line, text in renamed.left]
    _refuse_errors(
        _with_edits(loaded, edits), now, "after the rename, the config repository would have errors; nothing was written"
    )
    return Renaming(edits, places, declared.origin.file, left)


def _refuse_errors(loaded: Loaded, now: datetime, message: str | None = None) -> None:
    from reconciler.source.rules import problems_of

    problems = [problem for problem in problems_of(loaded, now) if problem.severity == "error"]
    if problems:
        raise InvalidConfiguration(problems, message)


def _check_names(loaded: Loaded, kind: Kind, old: str, new: str) -> Declaration:
    """Return what declares the old name. Raises RunError if nothing does, or if the new name cannot be used."""
    from reconciler.source.schema import find_problems, schema_of

    by_name = {each.resource.name: each for each in loaded.declarations if each.kind == kind}
    if old not in by_name:
        successor = next((each for each in by_name.values() if old in each.resource.previously), None)
        hint = f"; it is `{successor.resource.name}` now, in {successor.origin}" if successor else did_you_mean(old, by_name)
        raise RunError(f"no {kind} `{printable(old)}` is declared{hint}")
    if new == old:
        raise RunError(f"the {kind} is called `{old}` already")
    if new in by_name:
        raise RunError(f"there is a {kind} `{new}` already, in {by_name[new].origin}")
    example = {**schema_of(kind)["examples"][0], "metadata": {"name": new}}
    for finding in find_problems(example):
        raise RunError(f"`{printable(new)}` cannot be the name of a {kind}: {printable(finding.message)}")
    return by_name[old]


def _mentions(declaration: Declaration, kind: Kind, name: str) -> bool:
    """Tell whether a declaration is about a resource, refers to it, or delegates it."""
    if declaration.kind == kind and declaration.resource.name == name:
        return True
    zones = declaration.resource.delegation if isinstance(declaration.resource, Settings) else ()
    if any(matches(patterns, name) for zone in zones for patterns in patterns_about(zone, kind).values()):
        return True
    return any(found.kind == kind and name in found.names for found in references(declaration.resource))


def _with_edits(loaded: Loaded, edits: Mapping[str, tuple[Path, Edit]]) -> Loaded:
    """Return what will be loaded once the edits are written."""
    from reconciler.source.blobs import read_blob
    from reconciler.source.build import build
    from reconciler.source.positions import locate

    declarations = [each for each in loaded.declarations if each.origin.file not in edits]
    problems = [problem for problem in loaded.problems if problem.file not in edits]
    for file, (_, edit) in edits.items():
        blob = read_blob(edit.after)
        declarations += [Declaration(value["kind"], build(value), Origin(file, line)) for line, value in blob.documents]
        problems += [Problem(file, *report) for report in blob.reports]  # type: ignore[arg-type]  # a blob knows no Severity

    def place(spots: Sequence[Spot]) -> list[tuple[int, int]]:
        rest = iter(loaded.locate([spot for spot in spots if spot[0].origin.file not in edits]))
        return [
            locate(edits[file][1].after, line, path) if file in edits else next(rest) for (_, _, (file, line, _)), path in spots
        ]

    return loaded._replace(declarations=tuple(declarations), problems=tuple(problems), locate=place)


def _owned(root: Path, name: str) -> list[tuple[Origin, str]]:
    """Return the lines of CODEOWNERS files that name the resource, or a team or person called like it."""
    word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")

    def found(file: str) -> Iterator[tuple[Origin, str]]:
        place = root / file
        lines = place.read_text("utf-8", "replace").splitlines() if place.is_file() else []
        return ((Origin(file, number), name) for number, line in enumerate(lines, 1) if word.search(line.partition("#")[0]))

    return [origin for file in _OWNERS for origin in found(file)]
