"""What existing clients search certificates by, as conditions of the register. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, get_args

from api.certificates.search import Condition, Status, dated, with_serial, with_status
from api.errors import Problem
from api.resources.certdog.patterns import Pattern
from reconciler.wording.text import printable

_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:[.,](\d{1,6})\d{0,3})?)? ?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
_STATUS: Mapping[str, Status | None] = {**{each: each for each in get_args(Status)}, "valid": "active", "all": None, "any": None}

Fits = Callable[[str, str], bool]
"""Judges a subject and a certificate's own issuer."""


class Asked(NamedTuple):
    """What certificates are asked for."""

    conditions: list[Condition]
    fits: Fits | None


def asked(body: Mapping[str, Any], now: datetime) -> Asked:
    """Read a search, but for the team. What is empty is not asked for. Raises Problem."""
    found = dated("not_before", *_span(body, "validFromFrom", "validFromTo"))
    found += dated("not_after", *_span(body, "validToFrom", "validToTo"))
    if body.get("serialNumber"):
        found.append(with_serial(body["serialNumber"]))
    status = _status(body.get("status"))
    if status is not None:
        found.append(with_status(status, now))
    return Asked(found, _fits(body.get("subjectDn"), body.get("issuerDn")))


def moment(text: str, what: str) -> datetime:
    """An instant as these clients write it; without an offset it is in UTC. Raises Problem."""
    parts = _MOMENT.fullmatch(text.strip())
    try:
        if parts is None:
            raise ValueError("another form")
        day, time, seconds, fraction, offset = parts.groups()
        written = f"{day}T{time or '00:00'}{seconds or ':00'}.{(fraction or '').ljust(6, '0')}{offset or 'Z'}"
        return datetime.fromisoformat(written.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Problem(f"`{what}` must be an instant such as `2026-01-28T15:59` or `2026-01-28T15:59:51+01:00`") from None


def _span(body: Mapping[str, Any], since: str, until: str) -> tuple[datetime | None, datetime | None]:
    begins, ends = (moment(body[name], name) if body.get(name) else None for name in (since, until))
    return begins, ends


def _status(text: str | None) -> Status | None:
    word = (text or "all").strip().lower()
    if word not in _STATUS:
        raise Problem(f"`status` is `{printable(word)[:20]}`; known ones: {', '.join(_STATUS)}")
    return _STATUS[word]


def _fits(subject: str | None, issuer: str | None) -> Fits | None:
    of_subject = Pattern(subject, "subjectDn").finds if subject else None
    of_issuer = Pattern(issuer, "issuerDn").finds if issuer else None
    if of_subject is None and of_issuer is None:
        return None
    return lambda name, by: (of_subject is None or of_subject(name)) and (of_issuer is None or of_issuer(by))
