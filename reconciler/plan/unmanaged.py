"""What unmanaged teams give people: no plan ever showed it, and nobody approved it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from reconciler.access.state import Access, AccessState, addresses_at, all_access, limited, teams_of


class Power(NamedTuple):
    """What a team lets its members do besides using issuers: the field that says so, and the members."""

    field: str
    team: str
    users: tuple[str, ...]


class Given(NamedTuple):
    """The access that comes through some teams, and the powers that they give."""

    access: tuple[Access, ...] = ()
    powers: tuple[Power, ...] = ()


def given_by(state: AccessState, teams: Collection[str], now: datetime) -> Given:
    """Return what these teams give at an instant, even if other teams give the same."""
    only = state._replace(teams={name: state.teams[name] for name in teams})
    members: dict[str, list[str]] = {}
    for user in sorted(name for name, enabled in only.accounts.items() if enabled):
        for team in teams_of(only, user, now):
            members.setdefault(team.name, []).append(user)
    powers = [
        Power(field, name, tuple(members[name]))
        for name in sorted(members)
        for field, held in (
            ("administrator", only.teams[name].administrator),
            ("permittedIPs", only.teams[name].permitted_ips),
            ("mayDecideFor", only.teams[name].may_decide_for),
        )
        if held
    ]
    from_where = addresses_at(state, now)  # all teams of an account count for that, not only these
    return Given(tuple(limited(access, from_where(access.user)) for access in all_access(only, now)), tuple(powers))
