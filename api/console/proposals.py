"""What was proposed: the list, and one proposal with its plan, whose approval it needs, and its withdrawal."""

from __future__ import annotations

from typing import Any

from api.console.pages import Answer, Page, SeeOther, Visit, WithStatus, act, page
from api.console.proposal_failures import MAYBE_MADE, Words, said_to, words_of
from api.console.proposal_forms import patch_of, record, signature_of, viewer_of
from api.console.proposal_shown import shown
from api.console.proposing import Document, ProposalFailed
from api.errors import NotFound

PER_PAGE = 50
STATES = ("open", "merged", "stale")
_NONE = "there is no such proposal, or it is not yours; it may have been merged or withdrawn"


class Proposals(Page):
    """`/proposals`."""

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """All of them for administrators, one's own for everybody else, the newest first."""
        values: dict[str, Any] = {"listing": None, "rows": [], "following": None, "words": None, "total": 0, "mine": 0}
        if visit.can_propose:
            try:
                values["listing"] = visit.site.proposing.list_proposals()
            except ProposalFailed as failed:
                values["words"] = _words(visit, failed)
        listing = values["listing"]
        if listing is not None:
            if listing.failed is not None:
                values["words"] = _words(visit, listing.failed)
            signature = None if visit.caller.is_administrator else signature_of(visit)
            own = [each for each in listing.proposals if signature in (None, each["proposedBy"])]
            values["total"], found = len(own), [each for each in own if _fits(visit, each)]
            values["rows"], values["following"] = _cut(found, visit.query.text("cursor"))
        return visit.render("proposals.html", states=STATES, **values)


def _words(visit: Visit, failed: ProposalFailed) -> Words:
    """What these pages say of a failure. No branch is made on them."""
    found = words_of(failed, administrator=visit.caller.is_administrator)
    return found._replace(next="Try again.") if found.next == MAYBE_MADE else found


def _fits(visit: Visit, each: Document) -> bool:
    """Whether a proposal is among those that the filters ask for."""
    state, words = visit.query.text("state"), visit.query.text("q").casefold()
    text = "\n".join((each["subject"], each["author"], each["branch"], *each["files"])).casefold()
    return (not state or each["state"] == state) and words in text


def _cut(found: list[Document], cursor: str) -> tuple[list[Document], str | None]:
    """A page of the list, which begins after the branch that the cursor names, and the cursor of the next one."""
    start = next((number + 1 for number, each in enumerate(found) if each["branch"] == cursor), 0)
    rows = found[start : start + PER_PAGE]
    return rows, rows[-1]["branch"] if len(found) > start + PER_PAGE else None


class Proposal(Page):
    """`/proposals/{branch}`."""

    back = "/proposals"

    @page()
    def on_get(self, visit: Visit, branch: str) -> Answer:
        """What it would change now, and what happens next; with `as=patch` the commit as a file."""
        try:
            with visit.site.proposing.turn_of(visit.caller.name):
                document = _found(visit, branch)
        except ProposalFailed as failed:
            return _failed(visit, branch, failed)
        if visit.query.text("as") == "patch":
            return patch_of(visit, document, f"{branch.rpartition('/')[2]}.patch")
        return visit.render(
            "proposal.html",
            document=document,
            change=shown(document, viewer_of(visit)),
            own=signature_of(visit),
            confirming=visit.query.text("confirm") == "withdraw",
        )

    @act()
    def on_post(self, visit: Visit, branch: str) -> Answer:
        """Withdraw it: the branch is deleted, if it still leads to the commit that the visitor saw."""
        seen = visit.form.text("commit")
        try:
            with visit.site.proposing.turn_of(visit.caller.name):
                document = _found(visit, branch)
                if document["commit"] != seen:
                    raise ProposalFailed("changed-meanwhile")
                visit.site.proposing.withdraw(branch, seen)
                record(visit, "withdraw", document)
        except ProposalFailed as failed:
            return _failed(visit, branch, failed)
        return SeeOther("/proposals?done=withdrawn")


def _found(visit: Visit, branch: str) -> Document:
    """A proposal that the visitor may see. Raises NotFound or ProposalFailed."""
    if not visit.can_propose:
        raise NotFound(_NONE)
    try:
        document = visit.site.proposing.show(branch)
    except ProposalFailed as failed:
        if failed.reason in ("unknown-proposal", "invalid"):
            raise NotFound(_NONE) from None
        raise
    if not visit.caller.is_administrator and document["author"] != signature_of(visit):
        raise NotFound(_NONE)
    return document


def _failed(visit: Visit, branch: str, failed: ProposalFailed) -> Answer:
    words, said = _words(visit, failed), said_to(failed, administrator=visit.caller.is_administrator)
    return WithStatus(visit.render("proposal_unread.html", branch=branch, words=words, said=said), words.status)
