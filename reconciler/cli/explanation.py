"""An explanation as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reconciler.access.decide import Reason
from reconciler.access.instants import format_instant, show_instant
from reconciler.plan.render.document import revision_document
from reconciler.plan.render.text import Line
from reconciler.plan.render.words import show_revision
from reconciler.run.explaining import Explanation, Link
from reconciler.wording.text import printable

if TYPE_CHECKING:
    from reconciler.source.provenance import Provenance

REASONS: dict[Reason, str] = {
    "permitted": "access is permitted",
    "unknown-account": "there is no such account",
    "account-disabled": "the account is disabled",
    "unknown-issuer": "there is no such issuer",
    "issuer-disabled": "the issuer is disabled",
    "no-team": "the account is in no team",
    "no-permission": "none of the account's teams may use it",
    "membership-ended": "the membership has ended",
    "permission-ended": "the team's permission has ended",
    "address-not-permitted": "no permitted IP of the account's teams covers the address",
}
"""A decision's reason, in words."""


def explanation_lines(found: Explanation) -> Iterator[Line]:
    """Render the verdict, then every link with its line and author, then what is missing."""
    decision = found.decision
    until = "" if decision.path is None or decision.path.until is None else f", until {show_instant(decision.path.until)}"
    way = f" through {decision.path.team}{until}" if decision.allow and decision.path else f": {REASONS[decision.reason]}"
    address = f" from {found.address.text}" if found.address else ""
    verb = "may use" if decision.allow else "may not use"
    yield "added" if decision.allow else "refused", f"{found.user} {verb} {found.issuer}{address}{way}"
    for link in found.subjects:
        yield from _link(link, "  ")
    for number, step in enumerate(found.ways, 1):
        yield "heading", f"  Way {number}, through {step.path.team}" + ("" if step.holds else " (has ended)")
        for link in step.links:
            yield from _link(link, "    ")
    yield from _addresses(found)
    if found.missing:
        yield "heading", "  What is missing"
        for sentence in found.missing:
            yield "plain", f"    {printable(sentence)}"
    revision = "" if found.applied is None else f", under revision {show_revision(found.applied.revision)}"
    yield "dim", f"as of {format_instant(found.at.replace(microsecond=0))}{revision}"


def _addresses(found: Explanation) -> Iterator[Line]:
    if not found.permitted_ips:
        yield "dim", "  No permitted IPs: the account may call from anywhere"
        return
    yield "heading", "  Permitted IPs" + ("" if found.address else " (use --address to check one)")
    for link in found.permitted_ips:
        yield from _link(link, "    ", judged=found.address is not None)


def _link(link: Link, indent: str, *, judged: bool = True) -> Iterator[Line]:
    sign = ("✓" if link.holds else "✗") if judged else "·"
    until = "" if link.until is None else f"{', until' if link.holds else ', ended'} {show_instant(link.until)}"
    yield "plain" if link.holds or not judged else "removed", f"{indent}{sign} {printable(link.words)}{until}"
    place = link.provenance
    if place is not None:
        yield "dim", f"{indent}    {printable(str(place.origin))}, {show_revision(place.revision)}"
    else:
        yield "dim", f"{indent}    no known line of the applied revision declares this"


def explanation_document(found: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON data."""
    decision = found.decision
    return {
        "user": found.user,
        "issuer": found.issuer,
        "address": None if found.address is None else found.address.text,
        "at": format_instant(found.at),
        "allow": decision.allow,
        "reason": decision.reason,
        "through": decision.path.team if decision.path else None,
        "until": format_instant(decision.path.until) if decision.path and decision.path.until else None,
        "rule": decision.rule,
        "subjects": [_link_document(link) for link in found.subjects],
        "ways": [
            {"team": way.path.team, "holds": way.holds, "links": [_link_document(link) for link in way.links]}
            for way in found.ways
        ],
        "permittedIPs": [_link_document(link) for link in found.permitted_ips],
        "missing": list(found.missing),
        "revision": None if found.applied is None else revision_document(found.applied.revision),
    }


def _link_document(link: Link) -> dict[str, Any]:
    return {
        "what": link.what,
        "words": link.words,
        "holds": link.holds,
        "until": None if link.until is None else format_instant(link.until),
        "declared": _provenance_document(link.provenance),
    }


def _provenance_document(provenance: Provenance | None) -> dict[str, Any] | None:
    if provenance is None:
        return None
    file, line, _ = provenance.origin
    return {"file": file, "line": line, "revision": revision_document(provenance.revision)}
