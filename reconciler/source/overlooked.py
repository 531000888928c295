"""Chooses the files with resources from a listing, and warns about those that look meant and are not read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeVar

from reconciler.access.problems import Problem
from reconciler.source.ignoring import Hit, Ignoring
from reconciler.source.selection import is_candidate, is_link_of_interest, is_visible

T = TypeVar("T")
What = Literal["file", "link", "repository"]
Fate = Literal["read", "doubtful", "refused", "unseen"]
"""Whether a path is read, warned of if its content looks meant, warned of, or neither."""

MOST_OPENED = 1_000
"""How many files, of which only the content tells, are opened in one reading; those beside resources come first."""
_BEGINNING = 4_096
_NEARLY = re.compile(r"\.ya?ml[\s.]*\Z", re.IGNORECASE)
_YAML = re.compile(r"\.(ya?ml)", re.IGNORECASE)
_DOUBTFUL = re.compile(
    r"\.ya?ml|\.(?:json[c5]?|txt|ya|yam|yal|ym|yl|aml|yaaml|yamll|yalm|ymal|ymll|bak|orig|old|save|tmp)\Z|\A[^.]+\Z",
    re.IGNORECASE,
)
_FIRST_KEY = re.compile(r"""[{\[\s]*["']?(?:apiVersion|kind|metadata|spec)["']?\s*:""")
_VERSION = re.compile(r"""apiVersion["']?\s*:\s*["']?accord/""")


class _Doubt(NamedTuple):
    """A file that is not read; `hit` is the pattern that hides it."""

    path: str
    hit: Hit | None


def select(
    entries: Iterable[tuple[str, What, T]], ignoring: Ignoring, contents: Callable[[Sequence[T]], Iterable[bytes | None]]
) -> tuple[list[tuple[str, T]], list[tuple[str, Problem]]]:
    """Return the files to read, and warnings with their paths. `contents` returns the bytes of files, in order."""
    files: list[tuple[str, T]] = []
    warnings: list[tuple[str, Problem]] = []
    doubts: list[tuple[_Doubt, T]] = []
    for path, what, handle in entries:
        fate, hit = judge(path, what, ignoring)
        if fate == "read":
            files.append((path, handle))
        elif fate == "doubtful":
            doubts.append((_Doubt(path, hit), handle))
        elif fate == "refused":
            warnings.append((path, link_warning(path) if what == "link" else submodule_warning(path)))
    if doubts:
        warnings += _overlooked({path for path, _ in files}, doubts, contents)
    return files, warnings


def judge(path: str, what: What, ignoring: Ignoring) -> tuple[Fate, Hit | None]:
    """Tell what becomes of a path by its name alone, and which pattern hides it from a folder that is not hidden."""
    if what == "file":
        if is_candidate(path):
            hit = ignoring.hit(path)
            return ("read" if hit is None else "unseen" if hit.whole_folder else "doubtful"), hit
        return ("doubtful" if is_doubtful(path) and not ignoring(path) else "unseen"), None
    meant = is_link_of_interest(path) if what == "link" else is_visible(path)
    return ("refused" if meant and not ignoring(path, is_folder=what == "repository") else "unseen"), None


def _overlooked(
    read: set[str], doubts: list[tuple[_Doubt, T]], contents: Callable[[Sequence[T]], Iterable[bytes | None]]
) -> Iterator[tuple[str, Problem]]:
    """Yield a warning for each file that looks meant. A pattern of the ignore file counts only beside files that are read."""
    folders = {_folder(path) for path in read}
    doubts = [(doubt, handle) for doubt, handle in doubts if doubt.hit is None or _folder(doubt.path) in folders]
    sure = [doubt for doubt, _ in doubts if doubt.hit is None and is_misnamed(doubt.path)]
    unsure = [(doubt, handle) for doubt, handle in doubts if doubt.hit is not None or not is_misnamed(doubt.path)]
    unsure = sorted(unsure, key=lambda pair: (_folder(pair[0].path) not in folders, pair[0].path))[:MOST_OPENED]
    bytes_of = contents([handle for _, handle in unsure])
    meant = [doubt for (doubt, _), content in zip(unsure, bytes_of, strict=True) if looks_like_resource(content)]
    for doubt in (*sure, *meant):
        yield doubt.path, _not_read(doubt, read)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def is_doubtful(path: str) -> bool:
    """Tell whether a file that is not read may be meant, by its name."""
    return bool(_DOUBTFUL.search(path.rpartition("/")[2])) and is_visible(path)


def is_misnamed(path: str) -> bool:
    """Tell whether a name fails to end in `.yaml` or `.yml` only by capitals, blanks or dots."""
    return bool(_NEARLY.search(path)) and not path.endswith((".yaml", ".yml"))


def looks_like_resource(content: bytes | None) -> bool:
    """Tell whether a file begins like one of Accord's resources, in YAML or JSON."""
    if content is None:
        return False
    head = content[:_BEGINNING].decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")
    lines = (line.strip() for line in head.splitlines())
    first = next((line for line in lines if line not in ("", "{", "[", "---") and line[0] not in "#%"), "")
    return bool(_FIRST_KEY.match(first.removeprefix("--- ")) and _VERSION.search(head))


def _not_read(doubt: _Doubt, read: set[str]) -> Problem:
    path, hit = doubt
    if hit is not None:
        message = (
            f"this file is not read: the pattern `{hit.pattern[:80]}` in {hit.file}:{hit.line} hides it beside files that "
            "are read; remove the pattern, or move the file to a folder that is ignored as a whole"
        )
        return Problem(path, 1, 1, "not-read", "warning", message)
    better = _better(path)
    if better in read:
        message = f"this file is not read, because its name does not end in `.yaml` or `.yml`; `{better}` is. Remove this one"
        return Problem(path, 1, 1, "not-read", "warning", message)
    message = f"this file is not read, because its name does not end in `.yaml` or `.yml`; rename it to `{better}`"
    return Problem(path, 1, 1, "not-read", "warning", message, better)


def _better(path: str) -> str:
    """Return the name that a file was probably meant to have."""
    folder, slash, name = path.rpartition("/")
    found = _YAML.search(name)
    better = name[: found.start()] + found[0].lower() if found else name.rsplit(".", 1)[0].rstrip("~ ") + ".yaml"
    return f"{folder}{slash}{better}"


def link_warning(path: str) -> Problem:
    """Return the warning for a symbolic link."""
    return Problem(path, 1, 1, "symlink", "warning", "symbolic links are not followed; put the file itself here")


def submodule_warning(path: str) -> Problem:
    """Return the warning for a repository inside the repository."""
    return Problem(path, 1, 1, "submodule", "warning", "submodules are not read; put the files themselves here")
