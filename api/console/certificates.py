"""Certificates: the register as its readers may see it, what expires when, and what is noted of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, get_args

from api.certificates import search
from api.certificates.expiry import Month, expiring_by_month, month_bounds
from api.certificates.search import Condition
from api.certificates.view import view_certificate
from api.console.forms import Fields
from api.console.listing import page_of, read_number, read_search
from api.console.pages import Answer, Download, Page, SeeOther, Visit, act, page
from api.errors import Invalid
from api.http.checking import check, validator
from api.http.shapes import ref

SOON = timedelta(days=30)
State = Literal["valid", "to-renew", "expiring", "expired", "revoked", "all"]
_CHANGE = validator(ref("CertificateChange"))
_MONTH = re.compile(r"[12][0-9]{3}-(0[1-9]|1[0-2])", re.ASCII)


class Bar(NamedTuple):
    """A month of the timeline."""

    month: datetime
    """Its beginning."""
    number: int
    height: int
    """In hundredths of the highest."""


class Certificates(Page):
    """`/certificates`."""

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """Those that the visitor may see; those that expire next come first."""
        reader, caller, query = visit.service.reader, visit.caller, visit.query
        state, about = read_state(query), list(_about(query))
        conditions = [*about, *_in_month(query), *_in_state(state, visit.now)]
        found = search.list_fitting(reader, caller, page_of(query), conditions, last_first=state in ("expired", "revoked"))
        months = expiring_by_month(reader, caller, visit.now, about)
        return visit.render(
            "certificates.html",
            certificates=found["items"],
            following=found["next"],
            state=state,
            bars=_bars(months),
            soon=visit.now + SOON,
        )


class Certificate(Page):
    """`/certificates/{number}`."""

    @page()
    def on_get(self, visit: Visit, number: str) -> Answer:
        """Everything about one."""
        return self.show(visit, number=number)

    @act()
    def on_post(self, visit: Visit, number: str) -> Answer:
        """Remind of it or not, and keep a note."""
        wanted = {"tracked": visit.form.has("tracked"), "note": visit.form.text("note")}
        check(_CHANGE, wanted, "the form")
        visit.service.register.change(visit.authority, read_number(number, "certificate"), wanted)
        return SeeOther(f"/certificates/{number}?done=certificate-saved")

    def show(self, visit: Visit, **path: str) -> str:
        """Everything about it; also with the problem of the form."""
        view = view_certificate(visit.service.reader, visit.caller, read_number(path["number"], "certificate"), visit.now)
        return visit.render("certificate.html", view=view, shown=view.entry.shown, soon=visit.now + SOON)


class CertificateRevoked(Page):
    """`/certificates/{number}/revoked`."""

    @act()
    def on_post(self, visit: Visit, number: str) -> Answer:
        """Mark it as revoked, or remove the mark."""
        revoked = visit.form.text("revoked") == "yes"
        visit.service.register.set_revoked(visit.authority, read_number(number, "certificate"), revoked)
        return SeeOther(f"/certificates/{number}?done={'certificate-revoked' if revoked else 'certificate-saved'}")


class CertificatePem(Page):
    """`/certificates/{number}/pem`."""

    @page()
    def on_get(self, visit: Visit, number: str) -> Answer:
        """The certificate as a file."""
        found = search.find(visit.service.reader, visit.caller, read_number(number, "certificate"))
        return Download(found["pem"].encode(), "application/x-pem-file", f"certificate-{found['id']}.pem")


def read_state(query: Fields) -> State:
    """Which certificates the query asks for: of a month, unless it says otherwise, those that its bar counts. Raises Invalid."""
    text = query.text("state") or ("to-renew" if query.text("month") else "valid")
    for each in get_args(State):
        if each == text:
            found: State = each
            return found
    raise Invalid(f"`state` must be one of {', '.join(get_args(State))}")


def _about(query: Fields) -> Iterator[Condition]:
    if query.text("issuer"):
        yield search.of_issuers([query.text("issuer")])
    if query.text("team"):
        yield search.of_team(query.text("team"))
    if query.text("owner"):
        yield search.of_owner(query.text("owner"))
    text = read_search(query)
    if text:
        yield search.with_text(text)


def _in_month(query: Fields) -> Iterator[Condition]:
    text = query.text("month")
    if not text:
        return
    if not _MONTH.fullmatch(text):
        raise Invalid("`month` must be a month such as 2026-12")
    yield search.expiring(*month_bounds(int(text[:4]), int(text[5:])))


def _in_state(state: State, now: datetime) -> Iterator[Condition]:
    if state in ("valid", "to-renew", "expiring"):
        yield search.with_status("active", now)
        if state != "valid":
            yield search.STILL_OPEN
        if state == "expiring":
            yield from search.dated("not_after", None, now + SOON)
    elif state == "expired":
        yield search.with_status("expired", now)
    elif state == "revoked":
        yield search.with_status("revoked", now)


def _bars(months: list[Month]) -> list[Bar]:
    highest = max(1, *(each.number for each in months))
    starts = [month_bounds(each.year, each.month)[0] for each in months]
    return [Bar(start, each.number, -(-100 * each.number // highest)) for start, each in zip(starts, months, strict=True)]
