"""Whose approval a CODEOWNERS file asks for, by the rules of GitHub and of GitLab.

GitHub (docs.github.com, "About code owners"): one list, in which the last line that matches decides; a line without owners
means nobody. GitLab (docs.gitlab.com, "Code Owners"): sections, each with a last line that matches and an approval of its own;
a section may have default owners, be optional (`^`), and exclude paths (`!`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from reconciler.source.ignoring import IgnoreFile, Ignoring
from reconciler.source.selection import path_shown_as

Rules = Literal["github", "gitlab"]
PLACES: dict[Rules, tuple[str, ...]] = {
    "github": (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"),
    "gitlab": ("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"),
}
"""Where each forge looks; the first file that exists counts."""
_SECTION = re.compile(r"(\^)?\[([^\]]+)\](?:\[\d+\])?\s*(.*)")
_MOST_RULES, _LONGEST_LINE, _MOST_COMPARED = 5_000, 1_000, 100_000
"""The most lines of a file, the longest one, and how many comparisons of a line with a path: a stranger may have brought both."""


class Approval(NamedTuple):
    """Who must approve a change of a file: one of the owners. `section` is GitLab's, and `optional` if it only may."""

    path: str
    owners: tuple[str, ...]
    section: str | None = None
    optional: bool = False


class _Rule(NamedTuple):
    pattern: str
    owners: tuple[str, ...]


class _Section(NamedTuple):
    name: str | None
    optional: bool
    usual: tuple[str, ...]
    rules: list[_Rule]


def approvals(paths: Sequence[str], content: Callable[[str], bytes | None], rules: Rules | None) -> list[Approval]:
    """Return who must approve changes of these files, given as they are shown; `content` reads a file of the base.

    Without a forge that is known, the place of the file tells whose rules count, or else whether it has sections.
    """
    found = _find(content, rules)
    if found is None:
        return []
    text, rules = found
    sections = _sections(text, rules)
    lines = sum(len(section.rules) for section in sections)
    looked_at = paths[: max(_MOST_COMPARED // max(lines, 1), 10)]
    return [approval for path in looked_at for section in sections if (approval := _approval(path, section, rules)) is not None]


def _find(content: Callable[[str], bytes | None], rules: Rules | None) -> tuple[str, Rules] | None:
    """Return the text of the file that counts, and whose rules do."""
    order = PLACES[rules] if rules else (".github/CODEOWNERS", *PLACES["gitlab"])
    for place in order:
        raw = content(place)
        if raw is None:
            continue
        text = raw.decode("utf-8-sig", "replace")
        if rules is None and not place.startswith(".github/"):
            has_sections = re.search(r"^\^?\[[^\]]+\]", text, re.MULTILINE) is not None
            return text, "gitlab" if has_sections or place.startswith(".gitlab/") else "github"
        return text, rules or "github"
    return None


def _sections(text: str, rules: Rules) -> list[_Section]:
    found = {"": _Section(None, False, (), [])}
    section = found[""]
    for line in text.split("\n")[:_MOST_RULES]:
        said = line.strip()
        if not said or said.startswith("#") or len(said) > _LONGEST_LINE:
            continue
        heading = _SECTION.fullmatch(said) if rules == "gitlab" else None
        if heading is not None:  # a section may be continued further down, whatever the case of its name
            new = _Section(heading[2].strip(), heading[1] is not None, tuple(_owners(heading[3])), [])
            section = found.setdefault(heading[2].strip().casefold(), new)
            continue
        pattern, owners = _parted(said)
        section.rules.append(_Rule(pattern, tuple(_owners(owners))))
    return list(found.values())


def _parted(line: str) -> tuple[str, str]:
    """Part a line into its pattern, in which a backslash may be before a blank, and its owners."""
    found = re.match(r"(?:\\.|[^\\\s])+", line)
    end = found.end() if found else 0
    return line[:end].replace("\\#", "#"), line[end:]


def _owners(text: str) -> Iterator[str]:
    """Yield each owner: `@name`, `@group/team`, `@@role` or an address. What follows `#` is a comment."""
    for word in text.partition(" #")[0].split():
        if word.startswith("#"):
            return
        if "@" in word:
            yield word


def _approval(path: str, section: _Section, rules: Rules) -> Approval | None:
    name = path_shown_as(path)
    if rules == "gitlab" and any(_matches(rule.pattern[1:], name) for rule in section.rules if rule.pattern.startswith("!")):
        return None
    for rule in reversed(section.rules):
        if not rule.pattern.startswith("!") and _matches(rule.pattern, name):
            owners = rule.owners or (section.usual if rules == "gitlab" else ())
            return Approval(path, owners, section.name, section.optional) if owners else None
    return None


@lru_cache(maxsize=_MOST_RULES)
def _compiled(pattern: str) -> IgnoreFile:
    return IgnoreFile("CODEOWNERS", pattern)


def _matches(pattern: str, path: str) -> bool:
    """Tell whether a pattern is about a file or a folder that contains it; `folder/*` is only about what is right in there."""
    file = _compiled(pattern)
    if pattern.endswith("/*"):
        return file.decide(path, False) is not None
    return Ignoring(file)(path)
