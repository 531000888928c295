"""`.accordignore`: which paths it hides, as Git's `gitignore` does, in time that grows linearly with the path.

A stranger's pull request may bring the patterns and the names, so nothing goes back over what it has matched (hence the atomic
groups). A file that cannot be read as meant is refused, since what it was to hide could grant access.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from reconciler.access.problems import Problem
from reconciler.source.errors import SourceError

IGNORE_FILE = ".accordignore"
MOST_PATTERNS = 1_000
LARGEST = 32 << 10
DEEPEST = 64
"""The most patterns and bytes of an ignore file, and folders above a path: each is compared with each pattern."""

_TOO_LARGE = f"the file has more than {MOST_PATTERNS:,} patterns or {LARGEST:,} bytes; name folders instead"

_CLASSES = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": " \\t", "cntrl": "\\x00-\\x1f\\x7f", "digit": "0-9",
    "graph": "\\x21-\\x7e", "lower": "a-z", "print": "\\x20-\\x7e", "punct": "\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e",
    "space": " \\t\\n\\r\\f\\v", "upper": "A-Z", "xdigit": "0-9a-fA-F",
}  # fmt: skip
_NEVER = "(?!)"


class Hit(NamedTuple):
    """The pattern that decided about a path."""

    file: str
    line: int
    pattern: str
    hides: bool
    whole_folder: bool
    """Whether it hides a folder that contains the path, not the path alone."""


class _Pattern(NamedTuple):
    line: int
    text: str
    hides: bool
    only_folders: bool
    anchored: bool
    runs: list[list[re.Pattern[str]]]


class IgnoreFile:
    """The patterns of an ignore file."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self._lines = file, list(_lines(text))

    @cached_property
    def _patterns(self) -> list[_Pattern]:
        """The patterns, the last first: it decides."""
        return [pattern for number, line in reversed(self._lines) for pattern in _compiled(number, line)]

    def __len__(self) -> int:
        return len(self._lines)

    def decide(self, relative: str, is_folder: bool) -> Hit | None:
        """Return the last pattern that matches a path relative to the file's folder."""
        relative = _bytes(relative)
        names = relative.split("/")
        for line, text, hides, only_folders, anchored, runs in self._patterns:
            if (is_folder or not only_folders) and fits(runs, names if anchored else names[-1:]):
                return Hit(self.file, line, text, hides, False)
        return None


class Ignoring:
    """What an ignore file hides in its folder; paths are relative to it."""

    def __init__(self, file: IgnoreFile | None) -> None:
        self._file = file
        self._folders: dict[str, Hit | None] = {"": None}

    def __call__(self, path: str, *, is_folder: bool = False) -> bool:
        """Tell whether a path is hidden."""
        return self.hit(path, is_folder=is_folder) is not None

    def hit(self, path: str, *, is_folder: bool = False) -> Hit | None:
        """Return the pattern that hides a path, or None. What is in a hidden folder cannot be shown again."""
        if self._file is None:
            return None
        return self._hidden_folder(path.rpartition("/")[0]) or self._hides(path, is_folder)

    def _hidden_folder(self, folder: str) -> Hit | None:
        if folder.count("/") >= DEEPEST:
            raise SourceError(f"`{folder[:80]}…` is in more than {DEEPEST} folders; move it up")
        waiting = []
        while folder not in self._folders:
            waiting.append(folder)
            folder = folder.rpartition("/")[0]
        found = self._folders[folder]
        for inner in reversed(waiting):
            if found is None:
                found = self._hides(inner, True)
                found = found and found._replace(whole_folder=True)
            self._folders[inner] = found
        return found

    def _hides(self, path: str, is_folder: bool) -> Hit | None:
        found = None if self._file is None else self._file.decide(path, is_folder)
        return found if found is not None and found.hides else None


NOTHING_IGNORED = Ignoring(None)


def read_ignore_files(found: Iterable[tuple[str, str, bytes | None]]) -> tuple[Ignoring, list[Problem]]:
    """Read ignore files, each given as its folder, the name to show, and its bytes; None if it is not a regular file.

    A file that cannot be read as it was meant is a problem, and nothing may be read then. So is one below the folder of all
    resources: the owners of a sub-folder could hide what others declare in it.
    """
    file: IgnoreFile | None = None
    problems: list[Problem] = []
    for folder, shown, content in found:
        flaw, text = _text(content)
        if folder:
            flaw = (
                1,
                f"only the `{IGNORE_FILE}` in the folder of all resources counts; write them there, as `/{folder}/…`",
            )
        if flaw is None:
            file = IgnoreFile(shown, text)
            if len(file) > MOST_PATTERNS:
                flaw = (1, _TOO_LARGE)
        if flaw is not None:
            problems.append(_refused(shown, flaw))
    return (NOTHING_IGNORED if problems else Ignoring(file)), problems


def _refused(file: str, flaw: tuple[int, str]) -> Problem:
    return Problem(file, flaw[0], 1, "ignore-file", "error", flaw[1])


def _text(content: bytes | None) -> tuple[tuple[int, str] | None, str]:
    """Return what is wrong with an ignore file's bytes and where, and their text."""
    if content is None:
        return (1, "this is not a regular file, so its patterns would not count; put a file with the patterns here"), ""
    if len(content) > LARGEST:  # whoever reads files may have cut it off there
        return (1, _TOO_LARGE), ""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return (content.count(b"\n", 0, error.start) + 1, "the file is not UTF-8; save it as UTF-8"), ""
    if "\0" in text:
        return (text.count("\n", 0, text.index("\0")) + 1, "the file contains NUL characters; save it as UTF-8"), ""
    return None, text


def _lines(text: str) -> Iterable[tuple[int, str]]:
    """Yield each line that is a pattern. Blanks at its end do not count, except one behind a backslash."""
    for number, line in enumerate(text.split("\n"), 1):
        if line and not line.startswith("#"):
            whole = line.removesuffix("\r")
            trimmed = whole.rstrip(" ")
            if trimmed != whole and (len(trimmed) - len(trimmed.rstrip("\\"))) % 2:
                trimmed += " "
            if trimmed:
                yield number, trimmed


def _compiled(number: int, line: str) -> Iterable[_Pattern]:
    hides = not line.startswith("!")
    pattern = line.removeprefix("!")
    only_folders = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    if pattern:
        anchored = "/" in pattern
        runs = _runs(_bytes(pattern.removeprefix("/")))
        if runs is not None:
            yield _Pattern(number, line, hides, only_folders, anchored, runs)


def _bytes(text: str) -> str:
    """Return text with a character for each byte of its UTF-8: Git's `?` and `[…]` match bytes."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def _runs(pattern: str) -> list[list[re.Pattern[str]]] | None:
    """Translate a pattern into names, in runs: `**` between two runs is any number of folders. None: it can match nothing."""
    tokens = _tokens(pattern)
    if tokens is None:
        return None
    parts: list[list[str]] = [[]]
    for part in tokens:
        if part == "/":
            parts.append([])
        else:
            parts[-1].append(part)
    runs: list[list[re.Pattern[str]]] = [[]]
    for tokens_of_name in parts:
        if tokens_of_name == ["**"]:
            runs.append([])
        else:
            runs[-1].append(re.compile(_name(tokens_of_name), re.DOTALL))
    return runs


def fits(runs: Sequence[list[re.Pattern[str]]], names: list[str]) -> bool:
    """Tell whether the names in a path match runs of names, with any number of folders between two runs.

    Behind the last run may be nothing; an empty one stands for at least one name. The first place where a run fits is as good as
    any, so that time grows linearly with the path.
    """
    first, *rest = runs
    if not rest:
        return len(names) == len(first) and _fit(first, names, 0)
    *middle, last = rest
    at, end = len(first), len(names) - len(last)
    if at > end or not _fit(first, names, 0) or not _fit(last, names, end):
        return False
    for run in middle:
        while at + len(run) <= end and not _fit(run, names, at):
            at += 1
        at += len(run)
    return at < end or (at == end and bool(last))


def _fit(run: list[re.Pattern[str]], names: list[str], at: int) -> bool:
    return all(regex.fullmatch(name) for regex, name in zip(run, names[at : at + len(run)], strict=True))


def _name(tokens: list[str]) -> str:
    """Translate what must match one name: characters between stars, which are taken where they first fit."""
    runs: list[str] = [""]
    for token in tokens:
        if token in ("*", "**"):
            runs.append("")
        else:
            runs[-1] += token
    first, *rest = runs
    if not rest:
        return first
    middle = "".join(f"(?>[^/]*?{run})" for run in rest[:-1] if run)
    return f"{first}{middle}[^/]*{rest[-1]}"


def _tokens(pattern: str) -> list[str] | None:
    """Split a pattern into `/`, `*`, `**`, and regular expressions for one character; None if it can match nothing."""
    found, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            begin = at
            while at < len(pattern) and pattern[at] == "*":
                at += 1
            found.append("**" if at > begin else "*")
        elif char == "?":
            found.append("[^/]")
        elif char == "[":
            end, regex = _bracket(pattern, at)
            if not end:
                return None
            found.append(regex)
            at = end
        elif char == "\\":
            if at == len(pattern):
                return None
            found.append("/" if pattern[at] == "/" else re.escape(pattern[at]))
            at += 1
        else:
            found.append("/" if char == "/" else re.escape(char))
    return found


def _bracket(pattern: str, at: int) -> tuple[int, str]:
    """Translate `[…]`, from behind its bracket; return where it ends and the regular expression, or 0 if it does not end."""
    negated = pattern[at : at + 1] in ("!", "^") and at < len(pattern)
    at += negated
    inside, first = "", True
    while at < len(pattern) and (first or pattern[at] != "]"):
        first = False
        named = re.compile(r"\[:([^\]:]*):\]").match(pattern, at)
        if named:
            if named[1] not in _CLASSES:
                return 0, ""
            inside += _CLASSES[named[1]]
            at = named.end()
            continue
        low, at = _member(pattern, at)
        high = low
        inside += f"\\U{ord(low):08x}" if low else ""
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in ("", "]"):
            high, at = _member(pattern, at + 1)
        if high and low < high:
            inside += f"\\U{ord(low):08x}-\\U{ord(high):08x}"
    if at >= len(pattern):
        return 0, ""
    return at + 1, f"(?!/)[{'^' if negated else ''}{inside}]" if inside else "[^/]" if negated else _NEVER


def _member(pattern: str, at: int) -> tuple[str, int]:
    """Return one character of a bracket, which a backslash may be before, and where the next one is."""
    if pattern[at] == "\\":
        at += 1
    return pattern[at : at + 1], at + 1
