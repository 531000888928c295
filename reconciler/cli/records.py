"""Applied revisions, audit entries and drift, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from reconciler.access.instants import format_instant, show_instant
from reconciler.plan.render import document
from reconciler.plan.render.sentences import access_sentences
from reconciler.plan.render.text import ACTIONS, Line, administrators_counted, change_lines, consequence_lines
from reconciler.plan.render.words import show_revision
from reconciler.plan.unmanaged import Given
from reconciler.run.drift import Drift
from reconciler.run.history import Step
from reconciler.store.audit import AuditEntry
from reconciler.store.revisions import revision_document
from reconciler.wording.text import count, printable


def step_lines(step: Step) -> Iterator[Line]:
    """Render a step of the history."""
    applied = step.applied
    counts = ", ".join(_counted(applied.counts)) or "no changes"
    moment = format_instant(applied.applied_at.replace(microsecond=0))
    yield "heading", show_revision(applied.revision)
    what = "drift repaired" if step.repair else "applied"
    yield "plain", f"  {what} {moment} by {printable(applied.applied_by)}: {counts}"
    for guard, reason, until in applied.overrides:
        yield (
            "changed",
            f"  guard {guard} overridden{'' if until is None else f' until {show_instant(until)}'}: {printable(reason)}",
        )


def _counted(counts: Mapping[str, int]) -> Iterator[str]:
    """Count what an applied revision did, in the order and the words of a plan."""
    for action, word in ACTIONS.items():
        if counts.get(action):
            yield f"{counts[action]:,} {word}"
    for name in ("gained", "lost"):
        if counts.get(name):
            yield f"{count(counts[name], 'permission')} {name}"
    yield from administrators_counted(counts.get("administratorsGained", 0), counts.get("administratorsLost", 0))
    if counts.get("mails"):
        yield count(counts["mails"], "mail")


def step_document(step: Step) -> dict[str, Any]:
    """Return a step of the history as JSON data."""
    return {**revision_document(step.applied), "repair": step.repair}


def entry_lines(entry: AuditEntry, *, dated: bool = False) -> Iterator[Line]:
    """Render an audit entry on one line, with its details below; `dated` adds when and by whom."""
    when = f"  {format_instant(entry.at.replace(microsecond=0))} {printable(entry.actor)}:" if dated else " "
    yield "plain", f"  #{entry.id}{when} {entry.action} {printable(entry.name)}".rstrip()
    detail = orjson.loads(entry.detail)
    for name, value in detail.get("fields", {}).items():
        yield "dim", f"      {name}: {printable(orjson.dumps(value).decode())}"


def entry_document(entry: AuditEntry) -> dict[str, Any]:
    """Return an audit entry as JSON data."""
    return {
        "id": entry.id,
        "at": format_instant(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "kind": entry.kind,
        "name": entry.name,
        "detail": orjson.loads(entry.detail),
        "hash": entry.hash,
    }


def drift_lines(drift: Drift, *, repairing: str = "") -> Iterator[Line]:
    """Render drift: each difference as the change that repairs it, the audit entry since when, and what to do about it.

    `repairing` says how to override the guards that refuse the repair.
    """
    applied = show_revision(drift.applied.revision)
    if drift.is_none:
        yield "heading", f"No drift: the database matches revision {applied}."
    elif not drift.differences:
        yield "heading", f"Drift: the database matches revision {applied}, but rows that Git never declared give access"
    else:
        differing = count(len(drift.differences), "resource differs", "resources differ")
        yield "heading", f"Drift: {differing} from revision {applied}"
        yield "dim", "a repair would change, Git → database:"
    for change, since in drift.differences:
        yield from change_lines(change)
        if since is None:
            yield "dim", "      no audit entry mentions it"
        else:
            moment = format_instant(since.at.replace(microsecond=0))
            what = f"after audit entry #{since.id} ({since.action}, {moment})"
            yield "dim", f"      changed outside Accord {what}; by whom is not known"
    if drift.plan is not None and repairing:
        yield "plain", ""
        yield from consequence_lines(drift.plan, repairing)
    elif drift.differences:
        yield "plain", "To undo this: accord drift --repair. To keep it: accord drift --patch | git apply"
    if drift.unmanaged:
        yield (
            "heading",
            f"Unmanaged: {count(len(drift.unmanaged), 'row')} that Git never declared "
            "(`accord apply --adopt` deletes those that Git does not declare by then)",
        )
        for kind, name in drift.unmanaged:
            yield "dim", f"  {kind} {printable(name)}"
    yield from given_lines(drift.given)


_POWERS = {
    "administrator": "administrators through",
    "permittedIPs": "bound to the permitted IPs of",
    "mayDecideFor": "may ask for decisions (applications only) through",
}


def given_lines(given: Given) -> Iterator[Line]:
    """Render what unmanaged teams give, naming everyone, and what to do about it."""
    if not any(given):
        return
    yield "heading", "Unmanaged access, given by teams that Git never declared"
    for sentence in access_sentences(given.access, "use"):
        yield "refused", f"  ! {printable(sentence)}"
    for field, team, users in given.powers:
        yield "refused", f"  ! {_POWERS[field]} {printable(team)}: {printable(', '.join(users))}"
    yield "plain", "To keep it, declare it in Git; `accord export` shows how. To end it, delete the teams; `accord plan --adopt`"
    yield "plain", "shows what `accord apply --adopt` would take over, and what it would delete because Git does not declare it."


def drift_document(drift: Drift) -> dict[str, Any]:
    """Return drift as JSON data."""
    return {
        "revision": document.revision_document(drift.applied.revision),
        "differences": [
            {**document.change_document(change), "since": None if since is None else entry_document(since)}
            for change, since in drift.differences
        ],
        "foreign": [{"kind": kind, "name": name} for kind, name in drift.unmanaged],
        "foreignAccess": {
            "access": [document.access_document(access) for access in drift.given.access],
            "powers": [{"field": field, "team": team, "users": list(users)} for field, team, users in drift.given.powers],
        },
    }
