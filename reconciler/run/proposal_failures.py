"""Why nothing was proposed: each reason with its title, what to do about it, and what can still be done by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from reconciler.access.problems import Problem
from reconciler.run.errors import InvalidBase, InvalidConfiguration, Misconfigured, RunError

Failed = Literal[
    "invalid", "invalid-base", "unknown-name", "name-taken", "not-editable", "moved", "too-many", "unknown-proposal",
    "not-a-proposal", "protected-branch", "signing-required", "hook", "permission", "branch-name-taken", "refused", "network",
    "timeout", "busy", "repository", "database", "misconfigured", "internal",
]  # fmt: skip
TITLES: Mapping[Failed, tuple[str, str]] = {
    "invalid": ("This cannot be declared", "Change what is asked for, and preview it again."),
    "invalid-base": ("The config repository has errors", "Repair the branch first: nothing can be compared with it."),
    "unknown-name": ("There is no such name", "Correct the name; the branch was just read."),
    "name-taken": ("This name is declared already", "Change what is declared, or choose another name."),
    "not-editable": ("These files cannot be edited by themselves", "Edit the file by hand."),
    "moved": ("Something changed since the preview", "Preview it again: what was shown is no longer what would happen."),
    "too-many": ("Too many proposals are open", "Withdraw some, or wait until people have merged them."),
    "unknown-proposal": ("There is no such proposal", "It may have been merged or withdrawn; list the proposals."),
    "not-a-proposal": ("This branch is no proposal", "Only branches below accord/ that Accord made can be withdrawn; use git."),
    "protected-branch": (
        "The repository protects this branch",
        "Allow branches below accord/ to be made, or apply the patch yourself (git am --keep-cr) and push a branch of your own.",
    ),
    "signing-required": (
        "The repository takes only signed commits",
        "Set ACCORD_PROPOSAL_SIGNING_KEY, or apply the patch yourself (git am --keep-cr -S) and push a branch of your own.",
    ),
    "hook": ("A hook of the repository refused it", "Read what it said, or apply the patch yourself (git am --keep-cr)."),
    "permission": (
        "This account may not push",
        "Give Accord's account the right to push branches below accord/, or apply the patch yourself (git am --keep-cr).",
    ),
    "branch-name-taken": (
        "A branch called `accord` is in the way",
        "Rename or delete it: Git keeps no branches below the name of a branch. Or apply the patch yourself (git am --keep-cr).",
    ),
    "refused": ("The repository refused it", "Read what it said, or apply the patch yourself (git am --keep-cr)."),
    "network": ("The repository was not reached", "Try again: what was made, if anything was, is not made twice."),
    "timeout": ("The repository did not answer in time", "Try again: if the branch was made after all, that says so."),
    "busy": ("Others are using the repository", "Try again."),
    "repository": ("The config repository cannot be read", "Nothing was changed."),
    "database": ("The database cannot be read", "Nothing was changed."),
    "misconfigured": ("A setting is not valid", "Nothing was changed."),
    "internal": ("Internal error", "This is a bug in Accord; nothing was changed."),
}


class ProposalFailed(RunError):
    """Nothing was proposed. `remote` holds the remote's own words, `patch` what was to be proposed."""

    def __init__(
        self,
        reason: Failed,
        message: str,
        *,
        remote: str | None = None,
        patch: str | None = None,
        problems: Sequence[Problem] = (),
    ) -> None:
        super().__init__(message)
        self.reason, self.remote, self.patch, self.problems = reason, remote or None, patch or None, list(problems)

    @property
    def title(self) -> str:
        """What happened, in a few words."""
        return TITLES[self.reason][0]

    @property
    def detail(self) -> str:
        """What happened, and what to do."""
        message = str(self)
        if message.split(" ", 1)[0].isalpha():  # not the name of a file
            message = message[:1].upper() + message[1:]
        return f"{message}{'' if message.endswith(('.', '?', '!')) else '.'} {TITLES[self.reason][1]}"


def failure_of(error: Exception) -> ProposalFailed:
    """Return why nothing was proposed, for an error of any step."""
    from reconciler.source import errors
    from reconciler.store.errors import StoreError

    if isinstance(error, ProposalFailed):
        return error
    if isinstance(error, InvalidBase):
        return ProposalFailed("invalid-base", f"the commit {error.base} is not valid", problems=error.problems)
    if isinstance(error, InvalidConfiguration):
        return ProposalFailed("invalid", str(error), problems=error.problems)
    if isinstance(error, errors.RepositoryUnreachable) and not isinstance(error, errors.Busy):
        return ProposalFailed("timeout" if "in time" in str(error) else "network", str(error))
    if isinstance(error, StoreError):
        return ProposalFailed("busy" if error.again else "database", str(error))
    reasons: tuple[tuple[type[Exception], Failed], ...] = (
        (errors.InvalidIntent, "invalid"),
        (errors.UnknownName, "unknown-name"),
        (errors.NameTaken, "name-taken"),
        (errors.Busy, "busy"),
        (Misconfigured, "misconfigured"),
        (RunError, "repository"),
        (errors.SourceError, "repository"),
        (OSError, "repository"),
    )
    found = next((reason for kind, reason in reasons if isinstance(error, kind)), None)
    return ProposalFailed(found or "internal", str(error) if found else f"internal error ({type(error).__name__})")
