"""Makes and deletes branches of the config repository: in a repository on this machine by `update-ref`, elsewhere by a push.

Neither replaces anything: a branch is made only if there is none of its name, and deleted only if it is still where it was.
"""

from __future__ import annotations

from typing import NamedTuple

from reconciler.source.errors import SourceError
from reconciler.source.git_command import fed
from reconciler.source.location import Remote
from reconciler.source.mirror import remote_access
from reconciler.source.refusals import Refusal, local_refusal, refusal_of, remote_words
from reconciler.source.repository import Repository
from reconciler.source.scratch import Scratch
from reconciler.source.selection import shown_path

_PUSH = ("--porcelain", "--no-verify", "--no-follow-tags", "--no-signed", "--recurse-submodules=no")


class Branch(NamedTuple):
    """A branch, by its name without `refs/heads/`, and the commit that it is to lead to, or leads to."""

    name: str
    commit: str

    @property
    def reference(self) -> str:
        """The whole name of the branch."""
        return f"refs/heads/{self.name}"


class PushFailed(SourceError):
    """The repository did not take a branch."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"the branch was not made: {refusal.said or refusal.reason}")
        self.refusal = refusal


def make_branch(
    repository: Repository, scratch: Scratch, branch: Branch, base: str, remote: Remote | None, seconds: float
) -> str:
    """Make a branch that leads to a commit in the temporary repository, and return what the remote said; it has so many seconds.

    Raises PushFailed; then there is no such branch, or after a timeout maybe.
    """
    if remote is None:
        _make_here(repository, scratch, branch, base)
        return ""
    return _push(scratch, remote, branch, f"{branch.commit}:{branch.reference}", "", seconds)


def delete_branch(repository: Repository, scratch: Scratch, branch: Branch, remote: Remote | None, seconds: float) -> str:
    """Delete a branch that leads to the given commit, and return what the remote said. Raises PushFailed."""
    if remote is None:
        folder = _checked_out(repository, branch)
        if folder is not None:
            raise PushFailed(
                Refusal("refused", f"{folder} has this branch checked out; switch to another one there (git switch)")
            )
        try:
            repository.git.run("update-ref", "--no-deref", "-d", branch.reference, branch.commit)
        except SourceError as error:
            raise PushFailed(local_refusal(str(error))) from None
        return ""
    return _push(scratch, remote, branch, f":{branch.reference}", branch.commit, seconds)


def _checked_out(repository: Repository, branch: Branch) -> str | None:
    """Return where a branch is checked out: the work tree, or the Git folder whose HEAD it is. Deleted, HEAD led to nothing."""
    options = ("--format=%(refname) %(worktreepath)", "--end-of-options", branch.reference)
    raw: bytes = repository.git.run("for-each-ref", *options, stdout_as_string=False)
    rows = (row.split(" ", 1) for row in raw.decode("utf-8", "surrogateescape").splitlines())
    return next((shown_path(folder) for name, folder in rows if name == branch.reference and folder), None)


def _push(scratch: Scratch, remote: Remote, branch: Branch, what: str, before: str, seconds: float) -> str:
    config, environment = remote_access(remote)
    lease = f"--force-with-lease={branch.reference}:{before}"
    ended = scratch.git.attempt_within(
        seconds, *config, "push", *_PUSH, lease, "--end-of-options", remote.url, what, env=environment
    )
    if ended.status != 0:
        raise PushFailed(refusal_of(ended))
    return remote_words(ended.errors, only_its=True)


def _make_here(repository: Repository, scratch: Scratch, branch: Branch, base: str) -> None:
    """Bring the commit's objects into the repository, and then the branch: without it, nothing leads to them."""
    with fed(f"{branch.commit}\n^{base}\n".encode()) as wanted:
        pack = scratch.git.run("pack-objects", "--revs", "--stdout", "-q", istream=wanted, stdout_as_string=False)
    none = "0" * len(branch.commit)
    try:
        with fed(pack) as packed:
            repository.git.run("unpack-objects", "-q", istream=packed)
        repository.git.run("update-ref", "--no-deref", "-m", "accord: proposed", branch.reference, branch.commit, none)
    except SourceError as error:
        raise PushFailed(local_refusal(str(error))) from None
