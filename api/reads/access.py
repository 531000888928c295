"""What an account may use, and every way that leads there, with the place of each link."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from api.authentication.narrowing import NOT_NARROWED, Narrowing
from api.state.declared import Place, TeamPlace, team_places
from api.state.reader import Reader
from api.state.snapshots import AccessSnapshot
from reconciler.access.instants import format_instant
from reconciler.access.state import Path, access_of, ended, paths

MOST_ISSUERS = 200
"""So many issuers of an account are shown with their ways; how many more there are is said."""
MOST_WAYS = 20
"""So many ways to one issuer are shown, the longest first."""


class Link(NamedTuple):
    """A membership or a permission: until when it holds, and where it is declared."""

    until: datetime | None
    ended: bool
    reason: str | None
    """Why an account is a member; for a directory account, the AD group that makes it one."""
    place: Place | None
    """None: Git does not declare it."""


class Way(NamedTuple):
    """One way from an account through a team to an issuer."""

    team: str
    until: datetime | None
    """When it ends by itself: the earlier end of its two links."""
    holds: bool
    member: Link
    permission: Link


class Reached(NamedTuple):
    """An issuer that an account may use, or could once use, with its ways, the longest first."""

    issuer: str
    display_name: str
    usable: bool
    """Some way holds, the issuer is enabled, and so is the account."""
    until: datetime | None
    """When the longest way that holds ends."""
    ways: tuple[Way, ...]
    more_ways: int
    more_holding: int
    """Those of them that hold."""


class Reach(NamedTuple):
    """Every issuer of an account by name, up to a limit, and how many more there are."""

    issuers: tuple[Reached, ...]
    more: int


def shown_access(access: AccessSnapshot, name: str, now: datetime, narrowing: Narrowing = NOT_NARROWED) -> list[dict[str, Any]]:
    """What an account may use with a credential, by issuer."""
    found = access_of(access.state, name, now)
    return [
        {
            "issuer": issuer,
            "displayName": access.state.issuers[issuer].display_name or issuer,
            "through": list(each.through),
            "until": each.until and format_instant(each.until),
        }
        for issuer, each in sorted(found.items())
        if narrowing.permits_issuer(issuer)
    ]


def reach_of(reader: Reader, access: AccessSnapshot, name: str, now: datetime, *, only: Collection[str] | None = None) -> Reach:
    """Every way of an account to every issuer, or to `only` some, in one pass over its teams. Raises StoreError."""
    wanted = _reachable(access, name) if only is None else set(only)
    chosen = sorted(issuer for issuer in wanted if issuer in access.state.issuers)[:MOST_ISSUERS]
    ways = _ways(access, name, chosen, now)
    teams = sorted({way.team for found in ways.values() for way in found[:MOST_WAYS]})
    places = team_places(reader, teams)
    directory = access.is_directory_account(name)
    enabled = access.state.accounts.get(name, False)
    issuers = []
    for issuer in chosen:
        declared, found = access.state.issuers[issuer], ways[issuer]
        holding = [way.until for way in found if way.holds_at(now)]
        issuers.append(
            Reached(
                issuer,
                declared.display_name or issuer,
                bool(holding) and declared.enabled and enabled,
                None if None in holding or not holding else max(end for end in holding if end is not None),
                tuple(shown_way(way, places, now, directory=directory) for way in found[:MOST_WAYS]),
                max(0, len(found) - MOST_WAYS),
                max(0, len(holding) - MOST_WAYS),
            )
        )
    return Reach(tuple(issuers), max(0, len(wanted) - len(chosen)))


def _reachable(access: AccessSnapshot, name: str) -> set[str]:
    teams = access.state.memberships.get(name, {})
    return {each.issuer for team in teams if team in access.state.teams for each in access.state.teams[team].permissions}


def _ways(access: AccessSnapshot, name: str, issuers: list[str], now: datetime) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {issuer: [] for issuer in issuers}
    if len(issuers) == 1:
        found[issuers[0]] = paths(access.state, name, issuers[0])
    else:
        for team, membership in sorted(access.state.memberships.get(name, {}).items()):
            for permission in access.state.teams[team].permissions if team in access.state.teams else ():
                if permission.issuer in found:
                    found[permission.issuer].append(Path(team, membership, permission))
    for ways in found.values():
        ways.sort(key=lambda way: (way.holds_at(now), way.until is None, way.until or now), reverse=True)
    return found


def shown_way(way: Path, places: Mapping[str, TeamPlace], now: datetime, *, directory: bool) -> Way:
    """A way with the places of its links; those of a `directory` account's memberships are those of AD groups."""
    user, member_until, reason = way.membership
    issuer, until = way.permission
    at = places.get(way.team)
    joined = at and (at.of("adGroups", reason or "") if directory else at.of("members", user))
    return Way(
        way.team,
        way.until,
        way.holds_at(now),
        Link(member_until, ended(member_until, now), reason, joined),
        Link(until, ended(until, now), None, at and at.of("issuers", issuer)),
    )
