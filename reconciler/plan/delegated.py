"""What a plan changes although the settings in force do not let the file do so, or by a rename that takes from another folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from reconciler.access.delegation import Overstep, Zones, oversteps, renamed_in
from reconciler.access.resources import DeclaredState, Key, Kind, Origin, Resource, Settings
from reconciler.plan.plan import Change, Plan


class Undelegated(NamedTuple):
    """A resource that its file may not declare, where it is declared, and what it oversteps."""

    origin: Origin
    overstep: Overstep
    in_force: bool = False
    """Whether only the settings in force object, and not those in the plan."""


def undelegated(plan: Plan, in_force: Settings | None, desired: DeclaredState, files: Mapping[Key, str]) -> Iterator[Undelegated]:
    """Yield what changes or moves against the delegation in force, and renames across delegated folders.

    `files` holds the file that each resource had before. What the settings in the plan do not permit was found with the other
    problems of the revision.
    """
    held, brought = (Zones(settings.delegation if settings else ()) for settings in (in_force, desired.settings))
    if not held and not brought:
        return
    renames = plan.renames
    for (kind, resource), origin in _declared(plan, desired):
        zone = held.of(origin.file)
        for overstep in oversteps(renamed_in(zone, renames), kind, resource) if zone is not None else ():
            yield Undelegated(origin, overstep, in_force=True)
    for change in plan.changes:
        taken = _taken(change, brought, files)
        yield from taken or (each._replace(in_force=True) for each in _taken(change, held, files))


def _declared(plan: Plan, desired: DeclaredState) -> Iterator[tuple[tuple[Kind, Resource], Origin]]:
    for change in plan.changes:
        if change.after is not None and change.source is not None:
            yield (change.kind, change.after), change.source
    for (kind, name), origin in plan.moves:
        yield (kind, desired.of_kind(kind)[name]), origin


def _taken(change: Change, zones: Zones, files: Mapping[Key, str]) -> list[Undelegated]:
    """Object to a rename into a delegated folder of what another folder's file declared."""
    old = change.previous_name
    zone = None if old is None or change.source is None else zones.of(change.source.file)
    if old is None or zone is None or change.source is None:
        return []
    before = files.get((change.kind, old))
    if before is not None and zones.of(before) == zone:
        return []
    message = (
        f"`{zone.path or '.'}` may not rename `{old}`, which {before or 'no file'} declared, outside it; "
        "move it here under its old name first"
    )
    return [Undelegated(change.source, Overstep(("metadata", "previously", old), message))]
