"""`/`: what needs attention, of one's own and, for administrators, of everything."""

from __future__ import annotations

from api.authentication import credentials
from api.console.pages import Answer, Page, Visit, page
from api.reads.home import administrators_home, home_of


class Home(Page):
    """`/`."""

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """Mine: what ends, what expires, what nobody uses; for administrators also how Accord stands."""
        service, caller = visit.service, visit.caller
        return visit.render(
            "home.html",
            issuers=len(visit.own_issuers),
            tokens=len(credentials.list_credentials(service.reader, caller.account.id, visit.now)),
            mine=home_of(service.reader, caller, visit.now),
            everything=administrators_home(service.reader, caller, service.drift, visit.now) if caller.is_administrator else None,
        )
