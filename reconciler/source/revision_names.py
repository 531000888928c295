"""What the name of a revision means. Whoever may push tags and branches must not decide what somebody else's name leads to:
a branch is found by its full name alone, and a name among whose meanings git would choose is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.source.errors import RepositoryUnreachable, SourceError, UnknownRevision
from reconciler.source.git_command import GitCommand
from reconciler.wording.nearest import did_you_mean

_LONGEST_REV = 1_000
_ABBREVIATED = re.compile(r"(?:.+-g)?([0-9a-fA-F]{4,64})")
"""An id or the beginning of one, maybe as `git describe` says it."""
_PSEUDO = re.compile(r"[A-Z_]+_HEAD")
"""What git leaves in its folder, such as FETCH_HEAD, and takes for that as long as it is there (gitglossary, pseudoref)."""
_BRANCHES = ("refs/heads/{}", "refs/remotes/origin/{}", "refs/remotes/{}")
_MEANINGS = ("refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")
"""What git takes a name for: the first that exists."""


def find_branch(git: GitCommand, branch: str) -> str:
    """Return the id that a branch leads to, local or last fetched. Raises UnknownRevision."""
    _refuse_unnameable(branch)
    places = [form.format(branch) for form in _BRANCHES]
    found = _references(git, places)
    for place in places:
        if place in found:
            return found[place]
    raise unknown(git, branch, "branch")


def checked_out(git: GitCommand) -> str | None:
    """Return the id that HEAD, and nothing else of that name, leads to; None if it leads nowhere."""
    try:
        found: str = git.run("show-ref", "--verify", "--hash", "HEAD").strip()
    except RepositoryUnreachable:
        raise
    except SourceError:
        return None
    return found


def refuse_doubtful(git: GitCommand, rev: str) -> None:
    """Raise UnknownRevision or SourceError unless a revision begins with an id, or with a name that has one meaning."""
    _refuse_unnameable(rev)
    name = re.split(r"[~^:]|@\{", rev, maxsplit=1)[0]
    if name in ("", "@", "HEAD"):
        if checked_out(git) is None:  # git would go on to a tag or branch of this name
            raise unknown(git, "HEAD")
        return
    by_id = _ABBREVIATED.fullmatch(name)
    ids = git.run("rev-parse", f"--disambiguate={by_id[1]}").split() if by_id else []
    if name.lower() in ids:
        return  # whole, it means nothing else
    places = [name] if name.startswith("refs/") else [form.format(name) for form in _MEANINGS]
    references = _references(git, places)
    found = [place for place in places if place in references]
    if places == [name] and not found:
        raise unknown(git, name)
    if found:
        found += [each for each in ids if _is_revision(git, each)]
        found += [f"git's own {name}"] if _PSEUDO.fullmatch(name) else []
    if len(found) > 1:
        raise SourceError(f"`{name}` is ambiguous in {git.origin}: {' or '.join(found)}; name one of them in full")


def _is_revision(git: GitCommand, found: str) -> bool:
    """Tell whether an object is a commit or leads to one: nobody means a file or a folder by a revision's name."""
    return git.run("cat-file", "-t", found).strip() in ("commit", "tag")


def last_fetched(git: GitCommand, branch: str) -> str | None:
    """Return the id that a branch led to when `origin` was last fetched."""
    place = _BRANCHES[1].format(branch)
    return _references(git, [place]).get(place)


def unknown(git: GitCommand, rev: str, what: str = "revision") -> UnknownRevision:
    """Return the error that a revision does not exist, with the nearest name."""
    names = git.run("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes").split()
    if not names:
        return UnknownRevision(f"there is no {what} `{rev}`: {git.origin} has no commits yet")
    if rev == "HEAD":
        return UnknownRevision(f"{git.origin} has no HEAD to go by; name the branch, such as --branch main")
    if rev in names and what == "revision":
        return UnknownRevision(f"`{rev}` in {git.origin} refers to a missing commit; fetch the repository again")
    return UnknownRevision(f"there is no {what} `{rev}` in {git.origin}{did_you_mean(rev, names)}")


def _references(git: GitCommand, places: Iterable[str]) -> dict[str, str]:
    """Return the ids of references by their full names; there may be more than were asked for."""
    listed = git.run("for-each-ref", "--format=%(objectname) %(refname)", *places).splitlines()
    return {name: found for found, _, name in (line.partition(" ") for line in listed)}


def _refuse_unnameable(rev: str) -> None:
    if not rev or rev[0] in "-^" or ".." in rev or not rev.isprintable() or len(rev) > _LONGEST_REV:
        raise UnknownRevision(f"`{rev[:_LONGEST_REV]!r}` is not a revision")
