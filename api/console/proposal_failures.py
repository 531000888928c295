"""Why nothing was proposed, in the words of a page: each reason with what happened and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from api.console.proposing import ProposalFailed

Step = Literal["form", "again", "patch", "operator", "list"]
"""Who can go on, and how: by changing the form, by trying again, with the patch; only an operator; from the list of proposals."""


class Words(NamedTuple):
    """What a page says of a failure."""

    title: str
    what: str
    next: str
    step: Step
    status: int = 409


_PATCH = "Until then, download the patch, apply it to a clone with git am --keep-cr, and push a branch of your own."
MAYBE_MADE = "Try again: if the branch was made after all, you are shown it, and nothing is made twice."
"""Next where nobody knows whether the branch was made."""
FAILURES: Mapping[str, Words] = {
    "not-configured": Words(
        "Proposing is not set up",
        "This server does not know where the config repository is.",
        "An operator must set ACCORD_REPOSITORY for accord-api, and give its account the right to push branches below accord/.",
        "operator",
    ),
    "invalid": Words("This cannot be declared", "", "Change what you asked for, and preview it again.", "form", 422),
    "unknown-name": Words("There is no such name", "", "Correct the name. The config repository was just read.", "form", 422),
    "name-taken": Words("This name is taken", "", "Choose another name, or change what is declared.", "form", 422),
    "not-editable": Words(
        "The file cannot be edited by a form",
        "What declares this is written in a way that only people can change.",
        "Edit the file by hand, and open a pull request yourself.",
        "form",
    ),
    "invalid-base": Words(
        "The config repository has errors",
        "Its branch is not valid, so nothing can be compared with it.",
        "Somebody must repair the branch first; accord validate shows what is wrong.",
        "again",
    ),
    "moved": Words("The branch moved since the preview", "", "Look at the new preview below, and propose that.", "again"),
    "changed-meanwhile": Words(
        "This proposal changed meanwhile",
        "Its branch leads to another commit than the one that you saw. Nothing was deleted.",
        "Look at it again before you withdraw it.",
        "again",
    ),
    "too-many": Words(
        "You have too many open proposals",
        "Nobody may have more at once, so that reviewers can keep up.",
        "Withdraw some that are not needed, or wait until others are merged.",
        "list",
    ),
    "unknown-proposal": Words(
        "There is no such proposal", "It may have been merged or withdrawn meanwhile.", "Go back to the list.", "list", 404
    ),
    "not-a-proposal": Words(
        "This branch is no proposal",
        "Its commit does not say that Accord made it, so nothing is done with it here.",
        "Use git, if it must go.",
        "list",
    ),
    "protected-branch": Words(
        "The repository protects this branch",
        "A rule of the repository refuses new branches below accord/.",
        f"Ask its administrators to allow Accord's account to make branches below accord/. {_PATCH}",
        "patch",
    ),
    "signing-required": Words(
        "The repository takes only signed commits",
        "Accord's commit is not signed.",
        f"An operator can set ACCORD_PROPOSAL_SIGNING_KEY to an SSH key that the repository knows. {_PATCH}",
        "patch",
    ),
    "hook": Words(
        "A hook of the repository refused it",
        "The repository checks what is pushed, and did not take this.",
        f"Read what it said below. If that can be met, change the form; if not: {_PATCH[:1].lower()}{_PATCH[1:]}",
        "patch",
    ),
    "permission": Words(
        "Accord's account may not push",
        "The repository knows the account, or does not, and refuses its push.",
        f"An operator must give it the right to push branches below accord/. {_PATCH}",
        "patch",
    ),
    "branch-name-taken": Words(
        "A branch called “accord” is in the way",
        "Git keeps no branches below the name of a branch.",
        f"Somebody must rename or delete the branch “accord”. {_PATCH}",
        "patch",
    ),
    "refused": Words(
        "The repository refused it", "It did not take the new branch.", f"Read what it said below. {_PATCH}", "patch"
    ),
    "network": Words(
        "The repository was not reached",
        "The connection failed or broke off.",
        MAYBE_MADE,
        "again",
        503,
    ),
    "timeout": Words(
        "The repository did not answer in time",
        "It was stopped waiting for.",
        MAYBE_MADE,
        "again",
        503,
    ),
    "busy": Words("Others are using the repository", "Somebody else is writing to it.", "Try again in a moment.", "again", 503),
    "busy-here": Words(
        "Busy",
        "This server is making as many proposals as it can at once. Nothing was done.",
        "Try again in a few seconds.",
        "again",
        503,
    ),
    "timeout-here": Words(
        "It took too long",
        "The work was ended, because the repository or the database did not answer in time.",
        MAYBE_MADE,
        "again",
        503,
    ),
    "too-large": Words(
        "This is too large to be shown here",
        "The diff or the plan is larger than a page can hold. Nothing was proposed.",
        "Use the command below, on a terminal.",
        "operator",
    ),
    "repository": Words(
        "The config repository cannot be read", "", "An operator must look at ACCORD_REPOSITORY, and at the log.", "operator", 503
    ),
    "database": Words(
        "The database cannot be read", "", "An operator must look at the log. Nothing was changed.", "operator", 503
    ),
    "misconfigured": Words("A setting is not valid", "", "An operator must correct it. Nothing was changed.", "operator", 503),
    "internal": Words(
        "Internal error",
        "The program that makes proposals failed. This is a bug in Accord.",
        "Nothing was changed. The log of accord-api has what it said.",
        "operator",
        500,
    ),
}
_TELLING = ("invalid", "unknown-name", "name-taken", "not-editable", "invalid-base", "moved", "repository", "misconfigured")
"""Reasons of which the program's own sentence tells more than ours."""
_ABOUT_SERVER = ("repository", "misconfigured", "invalid-base", "not-editable")
"""What those sentences tell is about the server or other files: only administrators are shown it."""
_LONGEST = 2_000
_GUESSES = ("unknown-name", "name-taken")
"""They may suggest a name that a person who is no administrator has not been shown."""


_FROM_AFAR = ("hook", "protected-branch", "signing-required")
"""What only a server says, in words for whoever pushes. Other words may be git's, about this machine."""


def said_to(failed: ProposalFailed, *, administrator: bool) -> str:
    """The repository's own words, as far as this visitor is shown them."""
    return failed.remote if administrator or failed.reason in _FROM_AFAR else ""


def words_of(failed: ProposalFailed, *, administrator: bool) -> Words:
    """What a page says of a failure to this visitor."""
    found = FAILURES.get(failed.reason, FAILURES["internal"])
    told = failed.reason in _TELLING and (administrator or failed.reason not in (*_ABOUT_SERVER, *_GUESSES, "moved"))
    if told and failed.detail:  # it ends with its own advice
        return found._replace(what=failed.detail[:_LONGEST], next=found.next if failed.reason == "moved" else "")
    if failed.reason in _GUESSES:
        return found._replace(what="The config repository has nothing of the name you wrote that you could use here.")
    return found._replace(what=found.what or "What you asked for is not possible now.")
