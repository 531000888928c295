"""Which files a pattern of CODEOWNERS is about, as GitHub and as GitLab read it, in time that grows linearly with the path.

GitHub reads patterns as Git does those of `.gitignore`. GitLab puts `/**/` before a pattern without a slash in front and `**/*`
behind a slash at the end, and compares the whole path as Ruby's `File.fnmatch` does with FNM_PATHNAME and FNM_DOTMATCH: so a
pattern without such a slash names a file, and never what is in a folder. A stranger may have brought both patterns and paths,
so nothing goes back over what it has matched (hence the atomic groups).
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import groupby

from reconciler.source.ignoring import IgnoreFile, Ignoring, fits

_MOST_KEPT = 5_000
_NEVER = "(?!)"
_Run = list[re.Pattern[str]]


def github_matches(pattern: str, path: str) -> bool:
    """Tell whether a pattern is about a file or a folder that contains it; `folder/*` is only about what is right in there."""
    file = _ignore_file(pattern)
    if pattern.endswith("/*"):
        return file.decide(path, False) is not None
    return Ignoring(file)(path)


def gitlab_matches(pattern: str, path: str) -> bool:
    """Tell whether a pattern is about a file, given by its path from the top of the repository."""
    return fits(_gitlab_runs(pattern), path.split("/"))


@lru_cache(maxsize=_MOST_KEPT)
def _ignore_file(pattern: str) -> IgnoreFile:
    return IgnoreFile("CODEOWNERS", pattern)


@lru_cache(maxsize=_MOST_KEPT)
def _gitlab_runs(pattern: str) -> tuple[_Run, ...]:
    """Translate a pattern into names, in runs: between two of them is any number of folders, which `**/` stands for."""
    whole = pattern if pattern.startswith("/") else f"/**/{pattern}"
    whole = f"{whole}**/*" if whole.endswith("/") else whole
    *folders, file = whole[1:].split("/")
    runs: list[_Run] = [[]]
    for is_any, names in groupby(folders, "**".__eq__):
        if is_any:
            runs.append([])
        else:
            runs[-1].extend(map(_name, names))
    runs[-1].append(_name(file))
    return tuple(runs)


def _name(glob: str) -> re.Pattern[str]:
    """Translate what must match one name: characters between stars, which are taken where they first fit."""
    first, *rest = _between_stars(glob)
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{run})" for run in rest[:-1] if run)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def _between_stars(glob: str) -> list[str]:
    """Return the regular expressions of what is between stars."""
    runs, at = [""], 0
    while at < len(glob):
        char, at = glob[at], at + 1
        if char == "*":
            runs.append("")
        elif char == "?":
            runs[-1] += "."
        elif char == "[":
            regex, at = _set(glob, at)
            runs[-1] += regex
        else:
            if char == "\\" and at < len(glob):
                char, at = glob[at], at + 1
            runs[-1] += re.escape(char)
    return runs


def _set(glob: str, at: int) -> tuple[str, int]:
    """Translate a set from behind its bracket, and return where it ends; one that does not end matches nothing, as `[]` does."""
    negated = glob[at : at + 1] in ("!", "^") and at < len(glob)
    at += negated
    inside = ""
    while at < len(glob) and glob[at] != "]":
        low, at = _member(glob, at)
        high = low
        if glob[at : at + 1] == "-" and glob[at + 1 : at + 2] not in ("", "]"):
            high, at = _member(glob, at + 1)
        if low and low <= high:
            inside += f"\\U{ord(low):08x}-\\U{ord(high):08x}"
    if at >= len(glob):
        return _NEVER, at
    empty = "." if negated else _NEVER
    return (f"[{'^' if negated else ''}{inside}]" if inside else empty), at + 1


def _member(glob: str, at: int) -> tuple[str, int]:
    at += glob[at] == "\\"
    return glob[at : at + 1], at + 1
