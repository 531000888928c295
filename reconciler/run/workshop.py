"""What proposals are made and shown with: the repository and its limits, a temporary one, and everything about a proposal that
people and programs are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Literal, NamedTuple

from reconciler.access.problems import Problem
from reconciler.access.resources import Revision
from reconciler.plan.plan import GuardResult, Plan
from reconciler.run.deployment import Deployment
from reconciler.run.errors import Rewind
from reconciler.run.inputs import Source, is_new, open_source
from reconciler.run.planning import plan_against
from reconciler.store.digests import drifted
from reconciler.store.engine import open_database

if TYPE_CHECKING:
    from reconciler.source.code_owners import Approval
    from reconciler.source.editing import OrphanComment
    from reconciler.source.intent import Intent
    from reconciler.source.location import Remote
    from reconciler.source.proposals import BranchState, FileChange
    from reconciler.source.pushing import Branch
    from reconciler.source.repository import Repository
    from reconciler.source.scratch import Scratch

Status = Literal["previewed", "proposed", "already-proposed", "already-declared", "open", "merged", "stale"]


class Base(NamedTuple):
    """What a proposal stands on: a commit of the configured branch, and when it was committed, in seconds since 1970."""

    revision: Revision
    committed_at: int
    branch: str


class Shown(NamedTuple):
    """Everything about a proposal that people and programs are shown."""

    status: Status
    base: Base
    intent: Intent | None = None
    commit: str | None = None
    branch: str | None = None
    author: str | None = None
    message: str = ""
    files: Sequence[FileChange] = ()
    diff: str = ""
    patch: str = ""
    comparison: Plan | None = None
    """What it changes beside its base, from Git alone."""
    plan: Plan | None = None
    """What applying it would do to the database; None without a database, or if it cannot be planned."""
    unplanned: str | None = None
    """Why there is no plan although there is a database."""
    problems: Sequence[Problem] = ()
    approvals: Sequence[Approval] | None = ()
    """Whose approval CODEOWNERS asks for; None if the rules of the forge are not known here."""
    comments: Sequence[OrphanComment] = ()
    overlapping: Sequence[BranchState] = ()
    pull_request: str | None = None
    remote: str | None = None
    moved: Base | None = None
    """The head, if it moved since the preview without any bearing on this."""
    applied: bool | None = None
    """Of what is declared already: whether it is applied too; None without a database."""

    @property
    def guards(self) -> list[GuardResult]:
        """The guards that would refuse it: by the database if there is one, and by what it changes itself."""
        return refusing(self.plan, self.comparison)


class Workshop(NamedTuple):
    """Where a proposal is made: the deployment, the config repository with its remote (None: a path), and a time limit."""

    deployment: Deployment
    source: Source
    remote: Remote | None
    now: datetime
    deadline: float

    @property
    def left(self) -> float:
        """How many seconds are left; at least one, so that what is stopped is stopped by its own limit."""
        return max(self.deadline - monotonic(), 1.0)

    @property
    def is_late(self) -> bool:
        """Whether no time is left."""
        return monotonic() > self.deadline

    def base_at(self, revision: Revision) -> Base:
        """Return a commit of the configured branch as a base."""
        from reconciler.source.proposals import committed_at

        return Base(revision, committed_at(self.source.repository, revision.commit), self.deployment.branch)

    def quarantine(self, commit: str) -> AbstractContextManager[Scratch]:
        """Make the temporary repository in which all is made that the config repository must not see."""
        from reconciler.source.scratch import borrow

        return borrow(self.source.repository, len(commit))

    def within(self, scratch: Repository) -> Source:
        """Return the source that reads a temporary repository, and whose readings nobody remembers."""
        from reconciler.source.cache import ReadOnlyCache

        return self.source._replace(repository=scratch, cache=ReadOnlyCache(self.source.cache))


def open_workshop(deployment: Deployment, now: datetime) -> Workshop:
    """Fetch the config repository, within the time limit. Raises SourceError."""
    from reconciler.source.location import is_remote, parse_remote

    deadline = monotonic() + deployment.proposal_seconds
    source = open_source(deployment, within=deployment.proposal_seconds)
    remote = parse_remote(deployment.repository, deployment.without_tls) if is_remote(deployment.repository) else None
    return Workshop(deployment, source, remote, now, deadline)


def refusing(*plans: Plan | None) -> list[GuardResult]:
    """Return the guards that refuse any of the plans, each once."""
    found: dict[str, GuardResult] = {}
    for plan in plans:
        for guard in plan.refusals if plan is not None else ():
            found.setdefault(guard.id, guard)
    return list(found.values())


def plan_on_database(shop: Workshop, source: Source, revision: Revision) -> tuple[Plan | None, str | None]:
    """Return the plan of a revision on the database, or why it cannot be planned; neither without a database."""
    if not has_database(shop.deployment):
        return None, None
    with (
        open_database(shop.deployment.database_url, read_only=True) as database,
        nullcontext() if is_new(database) else database.reading() as connection,
    ):
        try:
            return plan_against(
                connection,
                source,
                revision,
                now=shop.now,
                in_accord=connection is not None and not drifted(connection),
                branch=shop.deployment.branch,
                merging=True,
            ), None
        except Rewind as error:
            return None, str(error)


def has_database(deployment: Deployment) -> bool:
    """Tell whether there is a database: one that somebody named, or the file that is the default."""
    return deployment.database_named or Path(deployment.database_url.removeprefix("sqlite:///")).exists()


def approvals_of(shop: Workshop, commit: str, paths: Sequence[str]) -> list[Approval] | None:
    """Return whose approval a commit's CODEOWNERS asks for, by the rules of the remote's forge; None if that has others."""
    from reconciler.source.code_owners import approvals
    from reconciler.source.forges import forge_of

    forge, repository = forge_of(shop.remote), shop.source.repository
    if forge not in (None, "github", "gitlab"):
        return None
    rules = forge if forge == "github" or forge == "gitlab" else None  # noqa: PLR1714 - mypy narrows this
    return approvals(paths, lambda file: repository.content(commit, file), rules)


def find_overlapping(shop: Workshop, scratch: Scratch, head: str, paths: Sequence[str], commit: str) -> list[BranchState]:
    """Return the other open proposals that change any of these files."""
    from reconciler.source.proposals import find_branches, state_of, touched

    repository = shop.source.repository
    others = [branch for branch in find_branches(repository, head) if branch.commit != commit]
    near = [branch for branch in others if set(paths) & set(touched(repository, head, branch.commit)[1])]
    return [found for branch in near if (found := state_of(repository, scratch, head, branch)).state == "open"]


def named(shop: Workshop, shown: Shown, branch: Branch, status: Status, said: str) -> Shown:
    """Return a proposal with its branch, and the page on which a pull request is opened; `said` is what the push printed."""
    from reconciler.source.forges import pull_request_link

    link = pull_request_link(shop.remote, said, branch.name, shop.deployment.branch)
    return shown._replace(status=status, branch=branch.name, remote=said or None, pull_request=link)
