"""The access that an applied revision changed, kept with it for whoever looks back: bounded, and what was cut is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from reconciler.access.instants import format_instant
from reconciler.access.state import Access
from reconciler.plan.plan import AccessChange, AccessDiff, Plan
from reconciler.store import tables
from reconciler.store.engine import Connection

MOST = 500
"""So many items of each list are kept."""
_Item = TypeVar("_Item")


def write_access(connection: Connection, revision_id: int, plan: Plan) -> None:
    """Write who gains and loses what with a plan; an empty document if nobody does, unlike a revision of before this was kept."""
    text = orjson.dumps(access_document(plan) or {}).decode()
    connection.execute(tables.revision_access.insert().values(revision_id=revision_id, detail=text))


def access_document(plan: Plan) -> dict[str, Any] | None:
    """Return the access that a plan changes: `gained`, `lost` and `changed` of accounts, `administrators` and AD `groups`, each a
    list of at most MOST items, and in `cut` how many of each are left out. None if it changes none."""
    cut: dict[str, int] = {}

    def some(name: str, items: Sequence[_Item], show: Callable[[_Item], Any]) -> list[Any]:
        if len(items) > MOST:
            cut[name] = len(items) - MOST
        return [show(item) for item in items[:MOST]]

    groups = [(each.group, each.access) for each in plan.groups if any(each.access)]
    became, ceased = plan.administrators
    found = {
        "gained": some("gained", plan.access.gained, _access),
        "lost": some("lost", plan.access.lost, _access),
        "changed": some("changed", plan.access.changed, _change),
        "administratorsGained": some("administratorsGained", became, str),
        "administratorsLost": some("administratorsLost", ceased, str),
        "groups": some("groups", groups, _group),
    }
    return {**found, "cut": cut} if any(found.values()) else None


def _access(access: Access) -> dict[str, Any]:
    return {"user": access.user, "issuer": access.issuer, **_terms(access)}


def _terms(access: Access) -> dict[str, Any]:
    return {"through": access.through[:10], "until": access.until and format_instant(access.until)}


def _change(change: AccessChange) -> dict[str, Any]:
    """Access that stays: by which teams and until when before and after, and the addresses that open and close at once."""
    first = change.periods[:1]
    return {
        "user": change.after.user,
        "issuer": change.after.issuer,
        "before": _terms(change.before),
        "after": _terms(change.after),
        "opened": [address for period in first for address in period.opened[:10]],
        "closed": [address for period in first for address in period.closed[:10]],
    }


def _group(item: tuple[str, AccessDiff]) -> dict[str, Any]:
    group, access = item
    return {
        "group": group,
        "gained": [each.issuer for each in access.gained[:50]],
        "lost": [each.issuer for each in access.lost[:50]],
        "changed": [each.after.issuer for each in access.changed[:50]],
    }
