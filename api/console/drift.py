"""Drift: whether the database still is what Git declared, and how to mend it."""

from __future__ import annotations

from datetime import timedelta

from api.console.pages import Answer, Page, Visit, page
from api.state import drift, history

FRESH = timedelta(seconds=10)
"""How old a comparison may be that the page shows: loading it again compares again."""


class Drift(Page):
    """`/drift`."""

    @page("administrator")
    def on_get(self, visit: Visit) -> Answer:
        """What the database's digests say, now."""
        service = visit.service
        current = history.sync_state(service.reader, visit.now)
        return visit.render(
            "drift.html",
            current=current,
            drift=None if current is None else service.drift.latest(visit.now, FRESH),
            undeclared=drift.find_undeclared(service.reader),
        )
