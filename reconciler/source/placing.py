"""Finds the file for a new resource: where most of its kind are, named as they are.

Only a bounded sample of the files is read, so that the work does not grow with the configuration.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from reconciler.access.delegation import Zones, oversteps
from reconciler.access.resources import KINDS, Kind, Resource, Settings
from reconciler.source.blobs import read_blob
from reconciler.source.build import build
from reconciler.source.errors import SourceError
from reconciler.source.export import resource_path
from reconciler.source.ignoring import IGNORE_FILE, Ignoring, read_ignore_files
from reconciler.source.schema import FILES
from reconciler.source.selection import is_candidate

MOST_READ = 64
"""How many files are read at most to see where resources are."""
_MOST_FOLDERS = 32
_LARGEST = 4 << 20
_KIND = re.compile(rf"""\bkind["']?\s*:\s*["']?({"|".join(KINDS)})\b""")
_NAME = re.compile(r"""\bname["']?\s*:\s*["']?([a-z0-9][a-z0-9._-]{0,63})""")
MODELINE = re.compile(r"[ \t]*#\s*yaml-language-server\s*:")
_SCHEMA = re.compile(r"\$schema=(\S+)")


class Place(NamedTuple):
    """The file where a new resource goes, and what its first lines are if it is new."""

    file: str
    head: str = ""


class _Sample(NamedTuple):
    """A file that was read: the kinds of its documents, the first name in it, its line for editors, how many it stands for."""

    path: str
    kinds: Counter[str]
    name: str
    schema_line: str
    weight: int


class _Form(NamedTuple):
    """How the files of a kind are named, with `{}` for the name and `{0}` for its first letter; or one file of many."""

    path: str
    is_shared: bool = False

    def filled(self, name: str) -> str:
        """Return the path for a resource."""
        return self.path if self.is_shared else self.path.replace("{0}", name[0]).replace("{}", name)


class Places:
    """Finds places for the new resources of one proposal. `paths`: those of all YAML files of the configuration.

    They begin at the folder of all resources, which is at `root` in the repository: delegations are written from there.
    `is_free` tells whether a new file would replace nothing; without it, only what `content` returns is seen.
    """

    def __init__(
        self,
        content: Callable[[str], bytes | None],
        paths: Sequence[str],
        root: str = "",
        is_free: Callable[[str], bool] | None = None,
    ) -> None:
        self._root, self._content, self._is_free = root, content, is_free or self._has_no_file
        self._paths = sorted(path for path in paths if is_candidate(posixpath.basename(path)))
        self._taken = {path.casefold() for path in paths}

    def of(self, kind: Kind, resource: Resource) -> Place:
        """Return the place for a new resource. Raises SourceError if there is none that nothing stands against."""
        usual = resource_path(kind, resource.name)
        for form in (*self._forms(kind), _Form(usual)):
            file = form.filled(resource.name)
            if (form.is_shared or self._can_be_made(file)) and self._may_declare(file, kind, resource):
                self._taken.add(file.casefold())
                return Place(file, "" if form.is_shared else self._head(kind, file))
        raise SourceError(
            f"there is no place for {kind} `{resource.name}`: `{usual}` is taken, ignored (`{IGNORE_FILE}`), or in a folder that "
            "may not declare it (`delegation`); write its file by hand"
        )

    def _can_be_made(self, file: str) -> bool:
        return self._taken.isdisjoint(path.casefold() for path in _and_above(file)) and self._is_free(file)

    def _has_no_file(self, file: str) -> bool:
        return all(self._content(path) is None for path in _and_above(file))

    def _may_declare(self, file: str, kind: Kind, resource: Resource) -> bool:
        """Tell whether neither an ignore file nor a delegation prevents a file from declaring a resource."""
        if self._ignoring(file):
            return False
        zone = self._zones.of(posixpath.join(self._root, file))
        return zone is None or next(oversteps(zone, kind, resource), None) is None

    # What is there

    @cached_property
    def _samples(self) -> list[_Sample]:
        folders: dict[str, list[str]] = defaultdict(list)
        for path in self._paths:
            folders[posixpath.dirname(path)].append(path)
        found = []
        chosen = _spread(sorted(folders), _MOST_FOLDERS)
        share = max(len(folders) // max(len(chosen), 1), 1)
        for folder in chosen:
            read = _spread(folders[folder], max(MOST_READ // len(chosen), 1))
            for path in read:
                found.append(self._sample(path, max(len(folders[folder]) // len(read), 1) * share))
        return found

    def _sample(self, path: str, weight: int) -> _Sample:
        text = (self._content(path) or b"")[:_LARGEST].decode("utf-8", "replace").removeprefix("\ufeff")
        name = _NAME.search(text)
        first = next((line for line in text.split("\n", 5)[:5] if MODELINE.match(line)), "")
        return _Sample(path, Counter(_KIND.findall(text)), name[1] if name else "", first.strip(), weight)

    def _forms(self, kind: Kind) -> list[_Form]:
        """Return how the files of a kind are named, the most usual way first."""
        found: Counter[_Form] = Counter()
        for sample in self._samples:
            number = sample.kinds[kind]
            if sample.kinds.total() > 1:
                found[_Form(sample.path, is_shared=True)] += number
            elif number:
                found[_Form(_template(sample.path, sample.name))] += sample.weight
        return sorted((form for form in found if found[form]), key=lambda form: (-found[form], form.path.count("{") * -1, form))

    def _head(self, kind: Kind, file: str) -> str:
        """Return the line for editors that the other files of the kind have, or else those of other kinds, with a file's path."""
        lines: Counter[str] = Counter()
        for sample in self._samples:
            if sample.kinds.total() == 1:
                lines[self._schema_line(sample, kind, file)] += 1 + (1_000 if sample.kinds[kind] else 0)
        line = max(lines, key=lambda line: (lines[line], line), default="")
        return f"{line}\n" if line else ""

    @staticmethod
    def _schema_line(sample: _Sample, kind: Kind, file: str) -> str:
        reference = _SCHEMA.search(sample.schema_line)
        if reference is None:
            return ""
        own = next(FILES[each] for each in sample.kinds)
        if not sample.kinds[kind] and not reference[1].endswith(f"/{own}"):
            return ""
        target = reference[1].removesuffix(own) + FILES[kind] if reference[1].endswith(f"/{own}") else reference[1]
        if "://" not in target and not target.startswith("/"):
            target = posixpath.join(posixpath.dirname(sample.path), target)
            target = posixpath.relpath(posixpath.normpath(target), posixpath.dirname(file) or ".")
        start, end = reference.span(1)
        return sample.schema_line[:start] + target + sample.schema_line[end:]

    # What may be there

    @cached_property
    def _ignoring(self) -> Ignoring:
        content = self._content(IGNORE_FILE)
        return read_ignore_files([] if content is None else [("", IGNORE_FILE, content)])[0]

    @cached_property
    def _zones(self) -> Zones:
        return Zones([zone for settings in self._settings() for zone in settings.delegation])

    def _settings(self) -> Iterator[Settings]:
        """Yield the settings, as far as they are in a file that is called so or that was read."""
        named = [path for path in self._paths if posixpath.basename(path).startswith("settings")]
        sampled = [sample.path for sample in self._samples if sample.kinds["Settings"]]
        for path in dict.fromkeys([*named[:8], *sampled[:8]]):
            for _, value in read_blob(self._content(path) or b"").documents:
                if value["kind"] == "Settings":
                    settings = build(value)
                    assert isinstance(settings, Settings)
                    yield settings


def _and_above(file: str) -> Iterator[str]:
    """Yield a path and the paths of the folders that it is in."""
    while file:
        yield file
        file = posixpath.dirname(file)


def _template(path: str, name: str) -> str:
    """Return how a file of one resource is named, with its name replaced: that of its folder, and in its own the last one between
    separators."""
    folder, file = posixpath.split(path)
    stem, extension = posixpath.splitext(file)
    *above, last = folder.split("/")
    if name and last == name:
        last = "{}"
    elif name and last == name[0] and stem.startswith(last):
        last = "{0}"
    found = [*re.finditer(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", stem)] if name else []
    if found:
        stem = f"{stem[: found[-1].start()]}{{}}{stem[found[-1].end() :]}"
    elif last != "{}":
        stem = "{}"
    return posixpath.join(*above, last, f"{stem}{extension}")


def _spread(items: Sequence[str], most: int) -> list[str]:
    """Return at most so many items, evenly from all places of a list."""
    if len(items) <= most:
        return [*items]
    return [items[number * len(items) // most] for number in range(most)]
