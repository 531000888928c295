"""A GitHub organisation's peribolos YAML (kubernetes-sigs/prow) as declared state.

Peribolos keeps organisations under the key `orgs`, in one or more files. A folder may also split an organisation into parts, as
kubernetes/org does: `org.yaml`, and files with more teams in folders below it. The folder of `org.yaml` then names it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from reconciler.access.problems import Problem
from reconciler.access.resources import DeclaredState
from reconciler.source.documents import LARGEST_FILE, Unreadable, compose, parse
from reconciler.source.errors import SourceError
from reconciler.source.peribolos_mapping import StateMaker, join_parts
from reconciler.source.peribolos_shape import ORGANISATION_KEYS, PERMISSIONS, Part, PartReader

_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DOMAIN = re.compile(r"(?=.{1,160}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*")
Locate = Callable[[tuple[str | int, ...]], tuple[int, int]]
_ENDINGS = (".yaml", ".yml")
_PART = ("org.yaml", "org.yml")


class Imported(NamedTuple):
    """The imported state, and problems. If one of them is an error, the state is incomplete and must not be used."""

    state: DeclaredState
    problems: tuple[Problem, ...]


def import_peribolos(
    path: Path,
    *,
    minimum_permission: Literal["write", "maintain", "admin"] = "write",
    email_domain: str = "example.org",
) -> Imported:
    """Read a peribolos file or a folder of them; `reconciler.source.peribolos_mapping` describes what it becomes.

    People with at least `minimum_permission` on a repository may use its issuer. Peribolos has no e-mail addresses, so everyone
    gets the placeholder `<login>@users.noreply.<email_domain>`. Raises SourceError if the files cannot be read.
    """
    if not _DOMAIN.fullmatch(email_domain):
        raise SourceError(f"{email_domain!r} is not a domain; write one such as example.org")
    problems: list[Problem] = []
    parts = [part for file in _files(path) for part in _parts(path, file, problems)]
    if not parts and not any(problem.severity == "error" for problem in problems):
        message = "no peribolos configuration found: no file has the key `orgs`, and there is no org.yaml"
        problems.append(Problem(str(path), 1, 1, "peribolos", "error", message))
    maker = StateMaker(PERMISSIONS.index(minimum_permission), email_domain)
    for organisation in join_parts(parts):
        maker.add(organisation)
    state = maker.state()
    return Imported(state, tuple(sorted(problems + maker.problems)))


def _files(path: Path) -> list[Path]:
    """List the YAML files at a path, sorted, except symbolic links and names that begin with a dot."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(f"{path} is neither a file nor a folder")
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        raise SourceError(f"cannot read {error.filename}: {error.strerror}") from error

    for folder, folders, files in os.walk(path, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        places = [Path(folder, name) for name in files if name.endswith(_ENDINGS) and not name.startswith(".")]
        found += [place for place in places if place.is_file() and not place.is_symlink()]
    return sorted(found)


def _read(file: Path, name: str, problems: list[Problem]) -> tuple[Mapping[str, Any], Locate] | None:
    """Return a file's only document and a function that locates places in it; None if it is empty or has a problem."""
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise SourceError(f"cannot read {file}: {error.strerror or error}") from error
    try:
        documents = parse(content)
    except Unreadable as error:
        problems.append(Problem(name, error.line, error.column, error.rule, "error", error.message))
        return None
    if not documents:
        return None
    line, value = documents[0]
    if len(documents) == 1 and isinstance(value, Mapping):
        return value, _locator(content, line)
    message = "the file must contain a mapping" if len(documents) == 1 else "the file must contain one document, not several"
    problems.append(Problem(name, documents[-1].line, 1, "peribolos", "error", message))
    return None


def _locator(content: bytes, first_line: int) -> Locate:
    """Return a function that finds the line and column of a key or a list item, parsing the file again at most once."""

    @cache
    def root() -> yaml.Node:
        return next(node for node, _ in compose(content) if node.start_mark.line + 1 == first_line)

    def locate(path: tuple[str | int, ...]) -> tuple[int, int]:
        node = place = root()
        for step in path:
            if isinstance(node, yaml.MappingNode):
                place, node = next((key, value) for key, value in node.value if key.value == step)
            else:
                place = node = node.value[step]
        return place.start_mark.line + 1, place.start_mark.column + 1

    return locate


def _parts(root: Path, file: Path, problems: list[Problem]) -> Iterator[Part]:
    """Yield the organisations, or the part of one, in a file."""
    name = str(file.relative_to(root)) if file != root else file.name
    document = _read(file, name, problems)
    if document is None:
        return
    content, locate = document
    reader = PartReader(name, locate, problems)
    if "orgs" in content:
        organisations = content["orgs"]
        if not isinstance(organisations, Mapping):
            reader.problem(("orgs",), "`orgs` must map the names of organisations to their contents")
            return
        for organisation, inside in organisations.items():
            yield from _organisation(reader, organisation, inside, ("orgs", organisation))
    elif content.keys() & ORGANISATION_KEYS:
        folder = _organisation_folder(root, file)
        if folder is None:
            reader.problem((), "this is part of an organisation, but no folder above it contains the org.yaml that names it")
        else:
            yield from _organisation(reader, folder.name, content, ())
    else:
        reader.problem((), "this is not peribolos configuration, so it is left out", "warning")


def _organisation(reader: PartReader, name: str, content: Any, path: tuple[str | int, ...]) -> Iterator[Part]:
    if not _LOGIN.fullmatch(name):
        reader.problem(path, f"{name!r} is not the name of a GitHub organisation")
    elif not isinstance(content, Mapping):
        reader.problem(path, f"the organisation {name!r} must be a mapping")
    else:
        yield reader.read(name, content, path)


def _organisation_folder(root: Path, file: Path) -> Path | None:
    """Return the nearest folder above a file, up to the root, that contains an org.yaml."""
    top = (root if root.is_dir() else root.parent).resolve()
    for folder in file.resolve().parents:
        if any((folder / part).is_file() for part in _PART):
            return folder
        if folder == top:
            return None
    return None
