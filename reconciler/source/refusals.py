"""Why a repository does not take a branch: told from what git reports and from the remote's own words."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from reconciler.source.git_command import Attempt
from reconciler.source.location import without_credentials
from reconciler.wording.text import printable

Reason = Literal[
    "exists",
    "branch-name-taken",
    "protected-branch",
    "signing-required",
    "hook",
    "permission",
    "network",
    "timeout",
    "busy",
    "refused",
]
_MOST_SAID, _MOST_LINES = 4_000, 60
_PATTERNS: dict[Reason, str] = {
    "signing-required": r"verified signature|must be signed|not signed|unsigned commit|required_signatures|signed commits|gpg key"
    r"|gpg signature",
    "branch-name-taken": r"'refs/heads/accord' exists|cannot create 'refs/heads/accord/|directory[/ ]file conflict"
    r"|refname conflict",
    "protected-branch": r"protected branch|\bGH006\b|\bGH013\b|repository rule violations|branch is protected|protected ref"
    r"|only be modified through pull requests|branch permission|not allowed to (create|push (code )?to) (protected )?branch",
    "permission": r"permission (to \S+ )?denied|denied to|not allowed to push|not allowed to upload|write access|read[- ]only"
    r"|access denied|not authorized|forbidden|\b403\b|authentication failed|could not read (username|password)|\b401\b"
    r"|insufficient permission|unable to create temporary|deploy key|repository (it )?not found|does not appear to be a git",
    "exists": r"stale info|reference already exists|remote ref updated since|fetch first|non-fast-forward|already exists",
    "busy": r"unable to create '[^']*\.lock'|another git process|cannot lock ref|failed to update ref|too many",
    "hook": r"hook declined|pre-receive|hook",
}
_WORDS = {reason: re.compile(words, re.IGNORECASE) for reason, words in _PATTERNS.items()}
"""What is told apart by words, in this order: a forge refuses a protected branch by a hook of its own."""
_NETWORK = re.compile(
    r"could not resolve|unable to access|connection|timed out|timeout|hung up|early EOF|RPC failed|unexpected disconnect"
    r"|the remote end|certificate|SSL|TLS|network|returned error: 5\d\d|\b50\d\b|broken pipe|host key|no route",
    re.IGNORECASE,
)


_NAMES = re.compile(
    r"\b(?:https?|ssh|git|file)://\S+"
    r"|(?<=refs/heads/accord/)[\w./-]+"
    r"|(?<=connect to )(?:host )?\S+|(?<=resolve hostname )\S+|(?<=resolve host: )\S+"
    r"|(?<!\S)[^\s@]*+@\S+",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"'[^'\n]*'")
_WHERE = re.compile(r"\A(?:git failed in|cannot read the repository) .*?: (?=fatal:|error:)")
"""What anybody may have named after a reason: addresses, branches, hosts and accounts; and what git puts in quotes."""


class Refusal(NamedTuple):
    """Why a branch was not made, and the remote's own words as text that nothing obeys."""

    reason: Reason
    said: str


def refusal_of(attempt: Attempt) -> Refusal:
    """Tell why a push failed."""
    said = remote_words(attempt.errors)
    if attempt.status is None:
        return Refusal("timeout", said)
    rows = [row.split("\t") for row in attempt.output.splitlines() if row.startswith("!")]
    told = " ".join(row[-1] for row in rows)
    whole = f"{told}\n{_without_names(attempt.errors[:100_000])}"
    if not rows and _NETWORK.search(whole) and not _WORDS["permission"].search(whole):
        return Refusal("network", said)
    for reason, words in _WORDS.items():
        if words.search(whole):
            return Refusal(reason, said)
    return Refusal("network" if not rows else "refused", said or printable(told))


def _without_names(errors: str) -> str:
    """Return what git and the remote said without the names in it: `webhook-access.git` is no hook, and refuses no access."""
    lines = [line if line.startswith("remote:") else _QUOTED.sub(_unnamed, line) for line in errors.splitlines()]
    return "\n".join(_NAMES.sub("it", line) for line in lines if not line.startswith(("error: failed to push", "To ")))


def _unnamed(found: re.Match[str]) -> str:
    if found[0].startswith("'refs/"):
        return found[0]
    return "'it.lock'" if found[0].endswith(".lock'") else "it"


def local_refusal(message: str) -> Refusal:
    """Tell why a repository on this machine does not take a branch, by git's message."""
    told: tuple[Reason, ...] = ("branch-name-taken", "exists", "permission", "busy")
    complaint = _without_names(_WHERE.sub("", message[:100_000]))
    usual: Reason = "permission" if "denied" in complaint.lower() else "refused"
    return Refusal(next((reason for reason in told if _WORDS[reason].search(complaint)), usual), inert_words(message))


def remote_words(errors: str, *, only_its: bool = False) -> str:
    """Return what the remote said, or, if it said nothing, maybe what git did; so many lines, and nothing hidden in them."""
    lines = errors[:100_000].splitlines()
    own = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    return inert_words("\n".join(own if only_its or any(own) else lines))


def inert_words(text: str) -> str:
    """Return a stranger's text, cut to what somebody may read, without credentials and with nothing hidden."""
    lines = [printable(line.strip()) for line in without_credentials(text[:100_000]).splitlines() if line.strip()]
    return "\n".join(lines[:_MOST_LINES])[:_MOST_SAID]
