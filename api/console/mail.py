"""Mail: what waits, what failed and why, what was sent. Never what a mail says."""

from __future__ import annotations

from typing import get_args

from api.administration import retry_mail
from api.console.listing import page_of
from api.console.pages import Answer, Page, SeeOther, Visit, act, page
from api.errors import Invalid
from api.outbox import listing, status
from api.outbox.listing import MailFilter, State
from reconciler.access.mails import CERTIFICATE_MAILS, PASSWORD_MAILS, PASSWORD_SET, TOKEN_EXPIRING, TOKEN_MINTED

TEMPLATES = (*PASSWORD_MAILS, *CERTIFICATE_MAILS, TOKEN_EXPIRING, TOKEN_MINTED, PASSWORD_SET)
STATES: dict[State, str] = {
    "waiting": "waiting",
    "failing": "failed, tried again",
    "given-up": "given up",
    "sent": "sent",
    "unwanted": "no longer wanted",
}
"""What people call the states of a mail."""


class Mail(Page):
    """`/mail`."""

    @page("administrator")
    def on_get(self, visit: Visit) -> Answer:
        """The newest first."""
        return self.show(visit)

    @act("administrator")
    def on_post(self, visit: Visit) -> Answer:
        """Have one that failed, or all of them, tried again now."""
        which = visit.form.text("retry")
        if which == "all":
            retry_mail(visit.authority, None)
        elif which.isascii() and which.isdecimal() and 0 < int(which[:10]) < 2**31:
            retry_mail(visit.authority, [int(which[:10])])
        else:
            raise Invalid("choose the mail that is to be tried again")
        return SeeOther(visit.query.address("/mail", done="mail-retried"))

    def show(self, visit: Visit, **_: str) -> str:
        """The list, and how the outbox stands."""
        service, query = visit.service, visit.query
        wanted = MailFilter(read_state(query.text("state")), query.text("kind") or None)
        with service.database.reading() as connection:
            waiting = status.read_waiting(connection)
        return visit.render(
            "mail.html",
            found=listing.list_messages(service.reader, page_of(query), wanted),
            waiting=waiting,
            given_up=listing.count_messages(service.reader, "given-up"),
            way=service.settings.mail.shown,
            states=STATES,
            templates=TEMPLATES,
            is_filtered=any(wanted),
        )


def read_state(text: str) -> State | None:
    """The state that the query asks for. Raises Invalid."""
    for each in get_args(State):
        if each == text:
            found: State = each
            return found
    if text:
        raise Invalid(f"`state` must be one of {', '.join(get_args(State))}")
    return None
