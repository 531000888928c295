"""The reasons for which existing clients revoke certificates, in all their spellings. Pure."""

from __future__ import annotations

import re

from api.errors import Problem
from reconciler.wording.text import printable

REASONS = (
    *("unspecified", "key compromise", "ca compromise", "affiliation changed", "superseded", "cessation of operation"),
    *("hold", "remove from crl", "privilege withdrawn", "aa compromise"),
)
"""As these clients write them (RFC 5280, section 5.3.1)."""
_ALSO = {"superceded": "superseded", "certificatehold": "hold", "cesationofoperation": "cessation of operation"}
_KNOWN = {each.replace(" ", ""): each for each in REASONS} | _ALSO


def reason(text: str | None) -> str:
    """The usual spelling of a reason; without any, it is unspecified. Raises Problem."""
    if text is None or not text.strip():
        return REASONS[0]
    found = _KNOWN.get(re.sub(r"[\s_-]", "", text).lower())
    if found is None:
        raise Problem(f"`reason` is `{printable(text)[:64]}`; known reasons: {', '.join(REASONS)}")
    return found
