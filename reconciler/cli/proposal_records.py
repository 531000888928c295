"""Proposals as JSON for programs and as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reconciler.access.instants import format_instant
from reconciler.plan.render.document import guard_document, plan_document
from reconciler.plan.render.problems import problems_json
from reconciler.plan.render.text import Line, Style
from reconciler.run.proposal_failures import ProposalFailed
from reconciler.run.workshop import Base, Shown
from reconciler.wording.text import listed, printable

if TYPE_CHECKING:
    from reconciler.source.proposals import BranchState

VERSION = 1
_SIGNS: dict[str, Style] = {"+": "added", "-": "removed", "@": "dim"}
_STATUS = {
    "previewed": "Nothing was pushed: this is a preview.",
    "proposed": "Proposed.",
    "already-proposed": "Proposed already: this very commit is on a branch.",
    "already-declared": "All of this is declared already; there is nothing to propose.",
    "open": "This proposal is open.",
    "merged": "This proposal is merged: the branch has what it changes.",
    "stale": "This proposal no longer applies: it conflicts with the branch.",
}


def shown_document(shown: Shown) -> dict[str, Any]:
    """Return a proposal as `schemas/proposal.schema.json` describes it."""
    from reconciler.source.intent import intent_document

    plan = shown.plan or shown.comparison
    return {
        "version": VERSION,
        "status": shown.status,
        "commit": shown.commit,
        "branch": shown.branch,
        "base": _base(shown.base),
        "moved": None if shown.moved is None else _base(shown.moved),
        "author": shown.author,
        "subject": shown.message.split("\n", 1)[0] or None,
        "message": shown.message or None,
        "files": [change._asdict() for change in shown.files],
        "diff": shown.diff,
        "patch": shown.patch,
        "plan": None if plan is None else plan_document(plan),
        "comparison": None if shown.comparison is None else plan_document(shown.comparison),
        "unplanned": shown.unplanned,
        "validation": problems_json(shown.problems),
        "approvals": [{**each._asdict(), "owners": list(each.owners)} for each in shown.approvals],
        "comments": [each._asdict() for each in shown.comments],
        "overlapping": [_overlap(each) for each in shown.overlapping],
        "guards": [guard_document(guard) for guard in shown.guards],
        "pullRequest": shown.pull_request,
        "remote": shown.remote,
        "applied": shown.applied,
        "intent": None if shown.intent is None else intent_document(shown.intent),
    }


def _base(base: Base) -> dict[str, Any]:
    return {
        "commit": base.revision.commit,
        "author": base.revision.author,
        "committedAt": format_instant(datetime.fromtimestamp(base.committed_at, UTC)),
        "branch": base.branch,
        "subject": base.revision.summary,
    }


def _overlap(found: BranchState) -> dict[str, Any]:
    revision = found.revision
    return {
        "branch": found.branch.name,
        "commit": revision.commit,
        "author": revision.author,
        "proposedBy": found.proposed_by,
        "subject": revision.summary,
        "files": list(found.files),
    }


def listed_document(found: BranchState) -> dict[str, Any]:
    """Return a proposal of the list, as `schemas/proposals.schema.json` describes it."""
    return {**_overlap(found), "time": format_instant(found.revision.time), "base": found.base, "state": found.state}


def failed_document(failed: ProposalFailed) -> dict[str, Any]:
    """Return why nothing was proposed."""
    return {
        "version": VERSION,
        "status": "failed",
        "reason": failed.reason,
        "title": failed.title,
        "detail": failed.detail,
        "remote": failed.remote,
        "patch": failed.patch,
        "problems": problems_json(failed.problems),
    }


def shown_lines(shown: Shown) -> Iterator[Line]:
    """Yield a proposal for people: what is pushed, its diff, whom it concerns; the plan is shown beside it."""
    yield "heading", _STATUS[shown.status]
    if shown.commit is None:
        if shown.applied is not None:
            yield "plain", "It is applied." if shown.applied else "It is not applied yet."
        return
    base = shown.base
    yield "plain", f"commit {shown.commit} on {printable(shown.branch or '')}, by {printable(shown.author or '')}"
    yield "plain", f"base   {base.revision.commit[:12]} of {printable(base.branch)}: {printable(base.revision.summary)}"
    if shown.moved is not None:
        head = shown.moved.revision
        yield "changed", f"The branch moved to {head.commit[:12]} ({printable(head.author)}), which has no bearing on this."
    yield from _message_lines(shown.message)
    yield from _diff_lines(shown.diff)
    for comment in shown.comments:
        asked = "is this comment still true?" if comment.stays else "this comment goes:"
        yield "changed", f"{printable(comment.file)}:{comment.line}: {asked} {printable(comment.text)}"
    for other in shown.overlapping:
        what = f"{printable(other.branch.name)} ({printable(other.revision.summary)})"
        yield "changed", f"{what}, another open proposal, changes the same files"
    for approval in shown.approvals:
        wanted = "may be approved by" if approval.optional else "needs the approval of"
        yield "plain", f"{printable(approval.path)} {wanted} {printable(listed(approval.owners))}"
    for guard in shown.guards:
        yield "refused", f"guard {guard.id} would refuse this: {printable(guard.message)}"
    if shown.unplanned:
        yield "changed", f"This cannot be planned on the database: {printable(shown.unplanned)}"
    if shown.remote:
        yield from _remote_lines(shown.remote)
    if shown.status == "previewed":
        instants = "".join(f"{name}={value} " for name, value in _instants(shown))  # `now` would mean another one by then
        same = f"{printable(instants)}--base {base.revision.commit} --expect {shown.commit}"
        yield "heading", f"To propose exactly this, and nothing else: the same with {same} instead of --preview"
    if shown.pull_request:
        yield "heading", f"Open a pull request: {printable(shown.pull_request)}"


def _instants(shown: Shown) -> Iterator[tuple[str, str]]:
    """Yield the fields that are set to an instant, as `accord propose set` takes them."""
    from reconciler.source.intent import settable

    for act, given in () if shown.intent is None else shown.intent.acts:
        fields = given.get("fields") or {}
        known = settable(given.get("kind", "User")) if act == "set" else {}
        yield from ((name, str(value)) for name, value in fields.items() if name in known and known[name].codec == "instant")


def _diff_lines(diff: str) -> Iterator[Line]:
    """Yield a diff without the lines that only programs need."""
    inside = False
    for line in diff.split("\n")[:-1]:
        if line.startswith("diff --git "):
            inside = False
            yield "heading", printable(line.removeprefix("diff --git ").rpartition(" b/")[2])
        elif inside or line.startswith("@@ "):
            inside = True
            yield _SIGNS.get(line[:1], "plain"), printable(line.removesuffix("\r"))
    yield "plain", ""


def _message_lines(message: str) -> Iterator[Line]:
    yield "plain", ""
    for line in message.rstrip().splitlines():
        yield "dim", f"    {printable(line)}".rstrip()
    yield "plain", ""


def failed_lines(failed: ProposalFailed) -> Iterator[Line]:
    """Yield why nothing was proposed, for people."""
    yield "refused", f"{failed.title}: {printable(failed.detail)}"
    yield from _remote_lines(failed.remote or "")


def _remote_lines(said: str) -> Iterator[Line]:
    for line in said.splitlines():
        yield "dim", f"remote: {printable(line)}"


def listed_lines(found: BranchState) -> Iterator[Line]:
    """Yield a proposal of the list, for people."""
    revision = found.revision
    yield "heading", f"{printable(found.branch.name)} ({found.state})"
    by = f"{revision.commit[:12]} by {printable(revision.author)}, {format_instant(revision.time)}"
    yield "plain", f"  {by}: {printable(revision.summary)}"
