"""`/`: what needs attention."""

from __future__ import annotations

from datetime import timedelta

from api.authentication import credentials
from api.console.account import is_unused, issuer_ways
from api.console.pages import Answer, Page, Visit, page
from reconciler.access.instants import parse_instant

SOON = timedelta(days=30)


class Home(Page):
    """`/`."""

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """Mine: what ends, what expires, tokens that nobody uses."""
        issuers = issuer_ways(visit)
        tokens = credentials.list_credentials(visit.service.reader, visit.caller.account.id, visit.now)
        return visit.render(
            "home.html",
            issuers=issuers,
            ending=[each for each in issuers if each["until"] is not None and each["until"] < visit.now + SOON],
            expiring=[each for each in tokens if parse_instant(each["expiresAt"]) < visit.now + SOON],
            unused=[each for each in tokens if is_unused(each, visit)],
            tokens=tokens,
        )
