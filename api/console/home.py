"""`/`: what needs attention, of one's own and, for administrators, of everything."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from api.authentication import credentials
from api.certificates import search
from api.console.account import is_unused, issuer_ways
from api.console.pages import Answer, Page, Visit, page
from api.outbox import status
from api.outbox.status import Waiting
from api.state import revisions
from api.state.counting import Count
from api.state.drift import Drift
from api.state.revisions import Summary
from reconciler.access.instants import parse_instant

SOON = timedelta(days=30)
COMPARED = timedelta(minutes=5)
"""How old a comparison with what was applied may be here: it reads all declared rows."""


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
            everything=watched(visit) if visit.caller.is_administrator else None,
        )


class Watched(NamedTuple):
    """What administrators keep an eye on."""

    current: Summary | None
    """The revision in force."""
    drift: Drift | None
    """None: nothing was applied, so there is nothing to compare with."""
    waiting: Waiting
    given_up: int
    """Mails that nobody tries again by itself."""
    expiring: Count
    """Certificates that somebody has to renew within 30 days."""


def watched(visit: Visit) -> Watched:
    """What administrators keep an eye on, now. Raises StoreError."""
    reader, current = visit.service.reader, revisions.in_force(visit.service.reader)
    with visit.service.database.reading() as connection:
        waiting, given_up = status.read_waiting(connection), status.count_given_up(connection)
    return Watched(
        current,
        None if current is None else visit.service.comparisons.latest(visit.now, COMPARED),
        waiting,
        given_up,
        search.count_expiring(reader, visit.caller, visit.now, visit.now + SOON),
    )
