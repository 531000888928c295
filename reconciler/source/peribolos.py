"""A GitHub organisation's peribolos YAML (kubernetes-sigs/prow) as declared state.

Peribolos keeps organisations under a key `orgs`, in one file or several. A folder may also hold an organisation in parts, as
kubernetes/org does: `org.yaml` and, in folders below, files with more teams; the folder of `org.yaml` then names it.
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
    """What was made of the files. Where a problem is an error, the state lacks something and must not be used."""

    state: DeclaredState
    problems: tuple[Problem, ...]


def import_peribolos(
    path: Path,
    *,
    minimum_permission: Literal["write", "maintain", "admin"] = "write",
    email_domain: str = "example.org",
) -> Imported:
    """Read a peribolos file, or a folder of them; `reconciler.source.peribolos_mapping` tells what becomes of it.

    Who has at least `minimum_permission` on a repository may use the issuer it becomes. Peribolos holds no e-mail addresses:
    everybody gets the placeholder `<login>@users.noreply.<email_domain>`. Raises SourceError where nothing can be read.
    """
    if not _DOMAIN.fullmatch(email_domain):
        raise SourceError(f"{email_domain!r} is not a domain; write one such as example.org")
    problems: list[Problem] = []
    parts = [part for file in _files(path) for part in _parts(path, file, problems)]
    if not parts and not any(problem.severity == "error" for problem in problems):
        message = "there is no peribolos configuration: no file with a key `orgs`, and no org.yaml"
        problems.append(Problem(str(path), 1, 1, "peribolos", "error", message))
    maker = StateMaker(PERMISSIONS.index(minimum_permission), email_domain)
    for organisation in join_parts(parts):
        maker.add(organisation)
    state = maker.state()
    return Imported(state, tuple(sorted(problems + maker.problems)))


def _files(path: Path) -> list[Path]:
    """The YAML files at a path, sorted; names that begin with a dot, and symbolic links, are left out."""
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
    """A file's one document, and how to find a place in it; None where it is empty or has a problem."""
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
    message = "the file must hold a mapping" if len(documents) == 1 else "the file must hold one document, not several"
    problems.append(Problem(name, documents[-1].line, 1, "peribolos", "error", message))
    return None


def _locator(content: bytes, first_line: int) -> Locate:
    """How to find the line and column of a key or of a list's item. The file is parsed again at most once."""

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
    """The organisations, or the part of one, that a file describes."""
    name = str(file.relative_to(root)) if file != root else file.name
    document = _read(file, name, problems)
    if document is None:
        return
    content, locate = document
    reader = PartReader(name, locate, problems)
    if "orgs" in content:
        organisations = content["orgs"]
        if not isinstance(organisations, Mapping):
            reader.problem(("orgs",), "`orgs` must be a mapping by the organisation's name")
            return
        for organisation, inside in organisations.items():
            yield from _organisation(reader, organisation, inside, ("orgs", organisation))
    elif content.keys() & ORGANISATION_KEYS:
        folder = _organisation_folder(root, file)
        if folder is None:
            reader.problem((), "this is a part of an organisation, and no folder above holds its org.yaml, which would name it")
        else:
            yield from _organisation(reader, folder.name, content, ())
    else:
        reader.problem((), "this is no peribolos configuration, and is left out", "warning")


def _organisation(reader: PartReader, name: str, content: Any, path: tuple[str | int, ...]) -> Iterator[Part]:
    if not _LOGIN.fullmatch(name):
        reader.problem(path, f"{name!r} is not the name of a GitHub organisation")
    elif not isinstance(content, Mapping):
        reader.problem(path, f"the organisation {name!r} must be a mapping")
    else:
        yield reader.read(name, content, path)


def _organisation_folder(root: Path, file: Path) -> Path | None:
    """The nearest folder from a file upwards, not beyond the root, that holds an org.yaml."""
    top = (root if root.is_dir() else root.parent).resolve()
    for folder in file.resolve().parents:
        if any((folder / part).is_file() for part in _PART):
            return folder
        if folder == top:
            return None
    return None
