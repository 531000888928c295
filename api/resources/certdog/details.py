"""The detail of a certificate, as existing clients read it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.certificates.search import Entry
from api.http.certdog import instant
from api.resources.certdog.contents import contents
from api.resources.certdog.ids import Ids, certificate_id
from api.resources.certdog.names import common_name, spaced
from reconciler.access.instants import parse_instant


def detail(entry: Entry, ids: Ids, now: datetime) -> dict[str, Any]:
    """All properties of a certificate's detail. What Accord does not have is null. Raises StoreError."""
    shown = entry.shown
    begins, ends, registered = (parse_instant(shown[name]) for name in ("notBefore", "notAfter", "registeredAt"))
    revoked, expired = shown["revokedAt"] is not None, ends <= now
    return {
        "id": certificate_id(shown["id"]),
        "caId": ids.of("Issuer", shown["issuer"]) if entry.has_issuer else None,
        "localCaId": None,
        "csrId": None,
        "pemCert": entry.pem,
        "commonName": common_name(shown["subject"]),
        "subjectDn": spaced(shown["subject"]),
        "issuerDn": spaced(shown["issuedBy"]),
        "issuerCertId": None,
        "serialNumber": shown["serial"],
        "validFrom": instant(begins),
        "validTo": instant(ends),
        "validFromStr": _read_by_people(begins),
        "validToStr": _read_by_people(ends),
        "ownerUserId": ids.of("User", shown["owner"]) if entry.has_owner else None,
        "ownerUsername": shown["owner"],
        "teamId": ids.of("Team", shown["team"]) if entry.has_team else None,
        "active": not (revoked or expired),
        "status": "Revoked" if revoked else "Expired" if expired else "Valid",
        "renewed": shown["renewedAt"] is not None,
        "renewedByCertId": shown["renewedBy"] and certificate_id(shown["renewedBy"]),
        "renewsCertId": shown["renews"] and certificate_id(shown["renews"]),
        "revoked": revoked,
        "history": _history(shown),
        "extraDetails": shown["note"],
        "extraEmails": shown["extraAddresses"],
        "trackExpiry": shown["tracked"],
        "hasKeyData": False,
        "imported": True,
        "importTime": instant(registered),
        "dnFromCsrWasReversed": False,
        "daysToExpiry": round((ends - now).total_seconds() / 86_400, 5),
        **contents(entry.pem),
    }


_EVENTS = (
    ("registeredAt", "imported", "Registered in Accord"),
    ("renewedAt", "renewed", "Marked as renewed"),
    ("revokedAt", "revoked", "Marked as revoked"),
)


def _history(shown: dict[str, Any]) -> list[dict[str, str]]:
    """What the register knows of a certificate's past, the first event first. Who did it is in the audit log."""
    known = sorted((parse_instant(shown[name]), event, text) for name, event, text in _EVENTS if shown[name] is not None)
    return [_event(*each) for each in known]


def _event(at: datetime, event: str, details: str) -> dict[str, str]:
    return {"timestamp": instant(at), "timestampStr": _read_by_people(at), "event": event, "details": details}


def _read_by_people(value: datetime) -> str:
    """An instant in UTC, to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S}"
