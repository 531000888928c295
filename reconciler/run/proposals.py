"""accord proposals: the branches that hold proposals, one of them in full, and the withdrawal of one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.access.resources import Revision
from reconciler.run.deployment import Deployment
from reconciler.run.errors import InvalidConfiguration
from reconciler.run.inputs import desired_revision, read_declarations
from reconciler.run.planning import Read, compare
from reconciler.run.proposal_failures import Failed, ProposalFailed
from reconciler.run.workshop import Shown, Workshop, approvals_of, find_overlapping, open_workshop, plan_on_database
from reconciler.store.commit import committing

if TYPE_CHECKING:
    from reconciler.source.proposals import BranchState
    from reconciler.source.pushing import Branch
    from reconciler.source.scratch import Scratch


def list_proposals(deployment: Deployment, *, now: datetime) -> list[BranchState]:
    """Return every branch below `accord/`, those with the newest commits first, and how each stands to the branch's head."""
    from reconciler.source.proposals import states

    shop = open_workshop(deployment, now)
    head = desired_revision(deployment, shop.source, None)
    with shop.quarantine(head.commit) as scratch:
        return list(states(shop.source.repository, scratch, head.commit))


def show_proposal(deployment: Deployment, name: str, *, now: datetime) -> Shown:
    """Show one proposal as its preview did: what it would change now. Raises ProposalFailed if there is none of this name."""
    from reconciler.source.proposals import diff_of, file_changes, mailed_patch, message_of, proposed_by, state_of

    shop = open_workshop(deployment, now)
    repository = shop.source.repository
    head = desired_revision(deployment, shop.source, None)
    branch = _found(shop, name)
    with shop.quarantine(head.commit) as scratch:
        found = state_of(repository, scratch, head.commit, branch)
        start = repository.parent(branch.commit) if found.base in (None, branch.commit) else found.base
        base = shop.base_at(head if start is None else repository.resolve(start))
        message = message_of(repository, branch.commit)
        shown = Shown(
            found.state,
            base,
            commit=branch.commit,
            branch=branch.name,
            author=proposed_by(message) or found.revision.author,
            message=message,
            files=file_changes(scratch, base.revision.commit, branch.commit),
            diff=diff_of(scratch, base.revision.commit, branch.commit),
            patch=mailed_patch(scratch, branch.commit),
        )
        paths = [change.path for change in shown.files]
        shown = shown._replace(
            approvals=approvals_of(shop, head.commit, paths),
            overlapping=find_overlapping(shop, scratch, head.commit, paths, branch.commit),
            pull_request=_link(shop, branch),
        )
        return _planned(shop, scratch, shown, head, found)


def _planned(shop: Workshop, scratch: Scratch, shown: Shown, head: Revision, found: BranchState) -> Shown:
    """Add what merging an open proposal would do now, or what another one did beside its base."""
    from reconciler.source.proposals import merged_tree

    source = shop.within(scratch)
    base, commit = shown.base.revision, found.branch.commit
    if found.state == "open":
        tree = merged_tree(scratch, head.commit, commit)
        assert tree is not None
        base, commit = head, scratch.child_of(head.commit, tree)
    try:
        after, problems = read_declarations(source, commit, shop.now)
        before, stood = read_declarations(shop.source, base.commit, shop.now)
    except InvalidConfiguration as error:
        return shown._replace(problems=error.problems)
    revision = found.revision._replace(commit=commit)
    try:
        comparison = compare(Read(shop.source, base, before, stood), Read(source, revision, after, problems), now=shop.now)
        plan, unplanned = plan_on_database(shop, source, revision) if found.state == "open" else (None, None)
    except InvalidConfiguration as error:
        return shown._replace(problems=error.problems)
    return shown._replace(
        comparison=comparison._replace(revision=found.revision),
        plan=None if plan is None else plan._replace(revision=found.revision),
        unplanned=unplanned,
        problems=problems,
    )


def withdraw(deployment: Deployment, name: str, expect: str | None, *, now: datetime) -> Branch:
    """Delete the branch of a proposal, if it still leads to the commit that is expected, or that it led to when this began.

    Raises ProposalFailed unless it is below `accord/` and says who proposed it.
    """
    from reconciler.source.proposals import message_of, proposed_by
    from reconciler.source.pushing import PushFailed, delete_branch

    shop = open_workshop(deployment, now)
    branch = _found(shop, name)
    if expect not in (None, branch.commit):
        raise ProposalFailed("moved", f"{name} leads to {branch.commit[:12]} now, not to what was shown")
    if branch.name == deployment.branch or proposed_by(message_of(shop.source.repository, branch.commit)) is None:
        raise ProposalFailed("not-a-proposal", f"the commit at the head of {name} does not say `Proposed-by:`")
    with shop.quarantine(branch.commit) as scratch:
        try:
            with committing():
                delete_branch(shop.source.repository, scratch, branch, shop.remote, shop.left)
        except PushFailed as error:
            reason, words = error.refusal
            told: Failed = "moved" if reason == "exists" or reason == "busy" else reason  # noqa: PLR1714 - mypy narrows this
            raise ProposalFailed(told, f"the branch {name} was not deleted", remote=words) from None
    return branch


def _found(shop: Workshop, name: str) -> Branch:
    from reconciler.source.proposals import find_branches, find_proposal
    from reconciler.wording.nearest import did_you_mean
    from reconciler.wording.text import printable

    branch = find_proposal(shop.source.repository, name)
    if branch is None:
        hint = did_you_mean(name, [each.name for each in find_branches(shop.source.repository)])
        raise ProposalFailed("unknown-proposal", f"there is no branch `{printable(name[:200])}` below accord/{hint}")
    return branch


def _link(shop: Workshop, branch: Branch) -> str | None:
    from reconciler.source.forges import pull_request_link

    return pull_request_link(shop.remote, "", branch.name, shop.deployment.branch)
