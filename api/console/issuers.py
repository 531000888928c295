"""Issuers: which teams and people may use them, and what may be proposed about them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from api.console.listing import read_search
from api.console.pages import Answer, Page, Visit, found, page
from api.console.teams import ROWS
from api.reads.access import reach_of
from api.state import declared, issuers, resources
from api.state.issuers import IssuerFilter
from api.state.pages import Page as Rows
from reconciler.access.ca_certificates import fingerprint, read_ca_certificate
from reconciler.access.resources import Issuer as Declared

_STATES = {"enabled": True, "disabled": False}


class Authority(NamedTuple):
    """A CA certificate that an issuer declares."""

    subject: str
    issued_by: str
    not_before: datetime
    not_after: datetime
    fingerprint: str


def authorities(issuer: Declared) -> Iterator[Authority]:
    """The CA certificates of an issuer; one that a hand damaged in the database is left out."""
    for text in issuer.ca_certificates:
        try:
            read = read_ca_certificate(text)
        except ValueError:
            continue
        names = read.subject.rfc4514_string(), read.issuer.rfc4514_string()
        yield Authority(*names, read.not_valid_before_utc, read.not_valid_after_utc, fingerprint(read))


class Issuers(Page):
    """`/issuers`."""

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """All issuers, for administrators; for a person, those that the person may use now."""
        query, reader = visit.query, visit.service.reader
        wanted = IssuerFilter(
            search=read_search(query),
            enabled=_STATES.get(query.text("state")),
            names=None if visit.caller.is_administrator else visit.own_issuers,
        )
        rows = issuers.search_issuers(reader, Rows(query.text("cursor") or None, ROWS), wanted, visit.now)
        return visit.render("issuers.html", issuers=rows, count=issuers.count_issuers(reader, wanted))


class Issuer(Page):
    """`/issuers/{name}`."""

    @page()
    def on_get(self, visit: Visit, name: str) -> Answer:
        """An issuer: to administrators with all who may use it, to who may use it with the ways of that."""
        reader, query, caller = visit.service.reader, visit.query, visit.caller
        everything = caller.is_administrator
        issuer = found(resources.issuer_of(reader, name) if visit.sees_issuer(name) else None, "such issuer")
        place = declared.place_of(reader, "Issuer", name)
        rows = Rows(query.text("teams") or None, ROWS), Rows(query.text("cursor") or None, ROWS)
        return visit.render(
            "issuer.html",
            issuer=issuer,
            place=place,
            delegation=resources.delegation_of(reader, place),
            authorities=list(authorities(issuer)),
            mine=reach_of(reader, caller.access, caller.name, visit.now, only=(name,)).issuers,
            teams=issuers.list_granted_teams(reader, name, rows[0], visit.now) if everything else None,
            people=issuers.list_people(reader, name, rows[1], visit.now) if everything else None,
        )
