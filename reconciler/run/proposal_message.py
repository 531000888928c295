"""What a proposal's commit says, and what its branch is called. Both follow from the acts, and stay the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reconciler.plan.plan import GuardResult
from reconciler.wording.text import listed, printable

if TYPE_CHECKING:
    from reconciler.source.intent import Act, Author, Intent

_LONGEST_SUBJECT, _LONGEST_NAME, _MOST_LISTED = 72, 48, 50
_SKIPS_CI = re.compile(r"\[([^\[\]\n]{0,20}\b(?:ci|actions|pipelines?)\b[^\[\]\n]{0,20})\]", re.IGNORECASE)
_READ_BY_MAIL = re.compile(r"(?=diff -|Index: |---|>?From |(?:From|Subject|Date):|\[PATCH)", re.IGNORECASE)
"""Beginnings of lines that `git am` obeys: where a patch begins, another mail, and who wrote it (git-mailinfo, git-mailsplit)."""
_SCISSORS = re.compile(r">(?=[8%])|[8%](?=<)")
"""What such a line cuts everything above it off with, if it also has dashes and the reader's Git is set so."""
_STARRED = re.compile(r"\*{3}(no_ci)\*{3}", re.IGNORECASE)

_SUBJECTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "add-user": lambda given: f"Add the user {given['name']}{_to_teams(given.get('teams', ()))}",
    "add-member": lambda given: f"Add {given['user']} to the team {given['team']}",
    "remove-member": lambda given: f"Remove {given['user']} from the team {given['team']}",
    "grant": lambda given: f"Grant {given['issuer']} to the team {given['team']}",
    "revoke": lambda given: f"Revoke {given['issuer']} from the team {given['team']}",
    "disable": lambda given: f"Disable the user {given['name']}",
    "enable": lambda given: f"Enable the user {given['name']}",
    "remove-user": lambda given: f"Remove the user {given['name']}",
    "set": lambda given: f"Set {_what(given)} of the {_kind(given['kind'])} {given['name']}",
}


def _to_teams(teams: Sequence[str]) -> str:
    return f" to the team{'s' if len(teams) > 1 else ''} {listed(teams)}" if teams else ""


def _what(given: Mapping[str, Any]) -> str:
    return listed([*given.get("fields", {}), *(["teams"] if "teams" in given else [])])


def _kind(kind: str) -> str:
    return {"EmailTemplate": "mail template", "Settings": "settings"}.get(kind, kind.lower())


def subject_of(acts: Sequence[Act]) -> str:
    """Return the first line: what the first act does, and how many more there are."""
    more = f" and {len(acts) - 1} more" if len(acts) > 1 else ""
    first = printable(_SUBJECTS[acts[0].act](acts[0].arguments))
    room = _LONGEST_SUBJECT - len(more)
    return (first if len(first) <= room else f"{first[: room - 1]}…") + more


def message_of(intent: Intent, author: Author, refused: Sequence[GuardResult]) -> str:
    """Return the whole message: what, why, which guards would refuse it, and who proposes it."""
    from reconciler.source.proposals import TRAILER

    parts = [subject_of(intent.acts)]
    reason = _without_commands("\n".join(_as_prose(printable(line.rstrip())) for line in intent.reason.strip().splitlines()))
    parts += [reason] if reason.strip() else []
    whole = [printable(_SUBJECTS[act](given)) for act, given in intent.acts]
    if len(whole) > 1 or whole[0] != parts[0]:
        rest = [f"- and {len(whole) - _MOST_LISTED} more"] if len(whole) > _MOST_LISTED else []
        parts.append("\n".join([*(f"- {line}" for line in whole[:_MOST_LISTED]), *rest]))
    if refused:
        parts.append("\n".join(f"The guard {guard.id} would refuse this: {_plain(guard.message)}" for guard in refused))
    parts.append(f"{TRAILER}: {author}")
    return "\n\n".join(parts) + "\n"


def _as_prose(line: str) -> str:
    """Return a line of a message as people read it, and the message's mail too: what somebody typed is no patch."""
    if "-" in line:
        line = _SCISSORS.sub(r"\g<0> ", line)
    return f" {line}" if _READ_BY_MAIL.match(line) else line


def _plain(text: str) -> str:
    return _without_commands(printable(text))


def _without_commands(text: str) -> str:
    """Take the brackets from words by which a commit's message keeps CI from checking it."""
    return _STARRED.sub(r"\1", _SKIPS_CI.sub(r"(\1)", text))


def branch_name(acts: Sequence[Act], commit: str, digits: int = 6) -> str:
    """Return a name that Git and shells take as it is: what the first act is about, and the beginning of the commit's id."""
    act, given = acts[0]
    about = "-".join(str(given[key]) for key in ("name", "user", "team", "issuer") if key in given)
    said = re.sub(r"[^a-z0-9]+", "-", f"{act}-{about}".lower())[:_LONGEST_NAME].strip("-")
    return f"accord/{said}-{commit[:digits]}"
