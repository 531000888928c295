"""Overrides of guards that hold until an instant: read, remembered with a plan, and forgotten with what they are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select

from reconciler.access.instants import format_instant
from reconciler.plan.effects import ends_account
from reconciler.plan.objections import Override, Remembered, override_renamed
from reconciler.plan.plan import Plan
from reconciler.plan.render.document import about_document
from reconciler.store import tables
from reconciler.store.audit import Event
from reconciler.store.engine import Connection
from reconciler.store.errors import DatabaseCorrupt
from reconciler.store.rows import read_json


def read_overrides(connection: Connection) -> tuple[Remembered, ...]:
    """Read the overrides that are remembered, including those that have ended while what they are about still stands."""
    rows = connection.execute(select(tables.overrides).order_by(tables.overrides.c.id))
    return tuple(
        Remembered(row.guard, _subjects(row.subjects), row.weight, row.until, row.overridden_by, row.reason) for row in rows
    )


def _subjects(text: str) -> tuple[tuple[str, str], ...]:
    try:
        return tuple((str(kind), str(name)) for kind, name in read_json(text))
    except (TypeError, ValueError):
        raise DatabaseCorrupt(
            f"the database has `{text[:80]}` instead of what an override is about; somebody wrote it by hand, so correct it there"
        ) from None


def write_overrides(
    connection: Connection, plan: Plan, given: Iterable[Override], *, by: str, now: datetime, why_ended: str
) -> list[Event]:
    """Bring the remembered overrides up to date with a plan that is being applied.

    One that is given again takes the place of the one before, with another end and reason.
    They follow renames, end with an account, team or issuer that they are about, and are forgotten once they have ended and
    nothing of theirs stands any more, or if the plan ends them. Return the audit entries of those that it ends, and of new ones.
    """
    known, given = read_overrides(connection), [each for each in given if each.until is not None]
    if not known and not given:
        return []
    new = [
        Remembered(guard, objection.subjects, objection.weight, until, by, reason)
        for guard, reason, until in given
        if until is not None
        for result in plan.guards
        if result.id == guard
        for objection in (*result.refused, *result.covered)
    ]
    kept = {(each.guard, each.subjects): each for each in _kept(plan, known, now)}
    kept.update({(each.guard, each.subjects): each for each in new})
    if list(kept.values()) != list(known):
        connection.execute(tables.overrides.delete())
        if kept:
            connection.execute(tables.overrides.insert(), list(map(_row, kept.values())))
    ended = [_event("guard.override-ended", each, why_ended) for each in plan.ended]
    return ended + [_event("guard.override", each, each.reason) for each in new]


def _kept(plan: Plan, known: Sequence[Remembered], now: datetime) -> Iterator[Remembered]:
    renames = plan.renames
    gone: set[tuple[str, str]] = {
        (change.kind, change.before.name)
        for change in plan.changes
        if change.before is not None and (change.action == "delete" or ends_account(change))
    }
    standing = {(result.id, each.objection.subjects) for result in plan.guards for each in result.standing}
    for remembered in known:
        if remembered in plan.ended:
            continue
        if not gone.isdisjoint(remembered.subjects):  # by its old name, which another one may get in the same plan
            continue
        each = override_renamed(remembered, renames)
        over = each.until <= now and not plan.is_empty and (each.guard, each.subjects) not in standing
        if not over:
            yield each


def _row(each: Remembered) -> dict[str, Any]:
    return {
        "guard": each.guard,
        "subjects": orjson.dumps(each.subjects).decode(),
        "weight": each.weight,
        "until": each.until,
        "reason": each.reason,
        "overridden_by": each.by,
    }


def _event(action: str, each: Remembered, reason: str) -> Event:
    return Event(action, "", each.guard, {"about": about_document(each), "until": format_instant(each.until), "reason": reason})
