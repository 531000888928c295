"""The revisions that were applied: what each changed in access and in resources, and what was overridden for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.console.detail import pairs, tell
from api.console.listing import page_of, read_number
from api.console.pages import Answer, Page, Visit, page
from api.errors import NotFound
from api.state import named, revisions
from reconciler.wording.forges import commit_link

SHOWN = frozenset(
    ("commit", "author", "time", "summary", "appliedAt", "appliedBy", "repository", "branch", "path", "planDigest", "generation",
     "overrides", "counts", "accordVersion")
)  # fmt: skip
"""What a revision's entry in the audit log says that its page shows otherwise."""

USUAL = {"adopt": False, "rewind": False, "welcome": True, "sessionsEnded": 0, "tokensEnded": 0}
"""What is not worth saying of one."""


class Revisions(Page):
    """`/revisions`."""

    @page("administrator")
    def on_get(self, visit: Visit) -> Answer:
        """Newest first."""
        reader = visit.service.reader
        return visit.render(
            "revisions.html", found=revisions.list_revisions(reader, page_of(visit.query)), current=revisions.in_force(reader)
        )


class Revision(Page):
    """`/revisions/{number}`."""

    @page("administrator")
    def on_get(self, visit: Visit, number: str) -> Answer:
        """One of them, with a page of the resources that it changed."""
        reader = visit.service.reader
        found = revisions.find_revision(reader, read_number(number, "revision"))
        if found is None:
            raise NotFound(f"there is no revision {number}")
        changes = revisions.list_changes(reader, found, page_of(visit.query))
        current = revisions.in_force(reader)
        recorded = found.recorded.items()
        unusual = {name: value for name, value in recorded if name not in SHOWN and value != USUAL.get(name)}
        return visit.render(
            "revision.html",
            found=found,
            revision=found.summary,
            access=found.access,
            is_current=current is not None and current.id == found.summary.id,
            newest=current.id if current else 0,
            commit_page=commit_link(found.repository, found.summary.commit),
            facts=pairs(unusual),
            changes=[tell(each) for each in changes["items"]],
            following=changes["next"],
            linked=named.existing(reader, [*_names(found.access or {}), *((each.kind, each.name) for each in changes["items"])]),
        )


def _names(access: Mapping[str, Any]) -> Iterator[named.Key]:
    """The users and issuers that a revision's access names."""
    for each in (*access.get("gained", ()), *access.get("lost", ()), *access.get("changed", ())):
        yield "User", each["user"]
        yield "Issuer", each["issuer"]
    for name in (*access.get("administratorsGained", ()), *access.get("administratorsLost", ())):
        yield "User", name
