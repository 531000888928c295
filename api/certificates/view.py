"""One certificate with everything that is known of it, for those who may see it."""

from __future__ import annotations

import hashlib
import ssl
from datetime import datetime
from typing import Any, NamedTuple

from api.authentication.principal import Principal
from api.certificates import search
from api.certificates.register import may_change
from api.certificates.search import Entry
from api.outbox.listing import MailFilter, list_messages
from api.state.pages import Page
from api.state.reader import Reader

MOST_NOTICES = 50


class CertificateView(NamedTuple):
    """A certificate on its page."""

    entry: Entry
    may_change: bool
    registered_by: str | None
    """None: the audit log does not say."""
    described_by: str
    """Who wrote its links and its note last; may be empty."""
    sha1: str
    """Fingerprint, for those whose tools show no other."""
    notices: dict[str, Any]
    """The newest mails about it."""
    visible: frozenset[int]
    """The numbers of those that it renews, or that renew it, and that the caller may see as well."""


def view_certificate(reader: Reader, caller: Principal, number: int, now: datetime) -> CertificateView:
    """A certificate for its page. Raises NotFound, also if the caller may not see it, or StoreError."""
    found = search.entry(reader, caller, number)
    linked = [each for each in (found.shown["renews"], found.shown["renewedBy"]) if each is not None]
    registered = reader.row(
        "SELECT actor FROM audit WHERE kind = 'Certificate' AND name = ? AND action = 'certificate.register' ORDER BY id LIMIT 1",
        str(number),
    )
    described = reader.row("SELECT described_by FROM certificates WHERE id = ?", number)
    return CertificateView(
        found,
        may_change(caller, search.standing(reader, caller, number)),
        None if registered is None else registered[0],
        "" if described is None else described[0],
        hashlib.sha1(ssl.PEM_cert_to_DER_cert(found.pem), usedforsecurity=False).hexdigest(),
        list_messages(reader, Page(None, MOST_NOTICES), MailFilter(certificate=number)),
        search.visible_of(reader, caller, linked),
    )
