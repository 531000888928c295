"""Whose approval a CODEOWNERS file asks for, by the rules of GitHub and of GitLab.

GitHub (docs.github.com, "About code owners"): one list, in which the last line that matches decides; a line without owners
means nobody, and one that is not valid counts as if it were not there. GitLab (docs.gitlab.com, "Syntax of CODEOWNERS file"):
sections, each with a last line that matches and an approval of its own; a section may have default owners, be optional (`^`),
and exclude paths (`!`). Other forges have other rules: Gitea's patterns are regular expressions, and Bitbucket's groups differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from reconciler.source.owner_patterns import github_matches, gitlab_matches
from reconciler.source.selection import path_shown_as

Rules = Literal["github", "gitlab"]
PLACES: dict[Rules, tuple[str, ...]] = {
    "github": (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"),
    "gitlab": ("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"),
}
"""Where each forge looks; the first file that exists counts."""
_SECTION = re.compile(r"(\^)?\[([^\]]+)\](?:\[\d+\])?\s*(.*)")
_GITHUB_OWNER = re.compile(r"@[A-Za-z0-9][A-Za-z0-9_-]*(?:/[A-Za-z0-9._-]+)?|[^\s@]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_MATCHES: dict[Rules, Callable[[str, str], bool]] = {"github": github_matches, "gitlab": gitlab_matches}
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
            has_sections = re.search(r"^\^?\[[^\]\n]+\]", text, re.MULTILINE) is not None
            return text, "gitlab" if has_sections or place.startswith(".gitlab/") else "github"
        return text, rules or "github"
    return None


def _sections(text: str, rules: Rules) -> list[_Section]:
    found = {"": _Section(None, False, [])}
    place, usual = "", tuple[str, ...]()
    for line in text.split("\n")[:_MOST_RULES]:
        said = line.strip()
        if not said or said.startswith("#") or len(said) > _LONGEST_LINE:
            continue
        heading = _SECTION.fullmatch(said) if rules == "gitlab" else None
        if heading is None:
            rule = _gitlab_rule(said, usual) if rules == "gitlab" else _github_rule(said)
            found[place].rules.extend([] if rule is None else [rule])
            continue
        # a section may be continued further down, whatever the case of its name; it is optional only if it is everywhere
        name, optional, usual = heading[2].strip(), heading[1] is not None, _owners(heading[3])
        place = name.casefold()
        known = found.setdefault(place, _Section(name, optional, []))
        found[place] = known._replace(optional=known.optional and optional)
    return list(found.values())


def _parted(line: str) -> tuple[str, str]:
    """Part a line into its pattern, in which a backslash may be before a blank, and what follows."""
    found = re.match(r"(?:\\.|[^\\\s])+", line)
    end = found.end() if found else 0
    return line[:end], line[end:].strip()


def _github_rule(line: str) -> _Rule | None:
    """Read a line; None if it is not valid, by its pattern or by an owner. What follows a `#` is a comment."""
    pattern, rest = _parted(line)
    owners = re.split(r"(?:\A|\s)#", rest, maxsplit=1)[0].split()
    if pattern.startswith(("!", "\\#")) or re.search(r"[\[\]]", pattern):
        return None
    return _Rule(pattern, tuple(owners)) if all(_GITHUB_OWNER.fullmatch(owner) for owner in owners) else None


def _gitlab_rule(line: str, usual: tuple[str, ...]) -> _Rule:
    """Read a line, whose owners are the usual ones of its section if nothing follows the pattern. There are no comments there."""
    pattern, rest = _parted(line)
    return _Rule(pattern, _owners(rest) if rest else usual)


def _owners(text: str) -> tuple[str, ...]:
    """Return each owner: `@name`, `@group/team`, `@@role` or an address."""
    return tuple(word for word in text.split() if "@" in word)


def _approval(path: str, section: _Section, rules: Rules) -> Approval | None:
    name, matches = path_shown_as(path), _MATCHES[rules]
    if any(matches(rule.pattern[1:], name) for rule in section.rules if rule.pattern.startswith("!")):
        return None
    for rule in reversed(section.rules):
        if not rule.pattern.startswith("!") and matches(rule.pattern, name):
            return Approval(path, rule.owners, section.name, section.optional) if rule.owners else None
    return None
