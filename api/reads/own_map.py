"""What a map of one person's access is made of, out of the snapshot that the person is judged by."""

from __future__ import annotations

from datetime import datetime

from api.reads.access_map import Facts, PeopleClass
from api.state.snapshots import AccessSnapshot
from reconciler.access.state import ended


def own_facts(access: AccessSnapshot, name: str, now: datetime) -> Facts:
    """The facts of one account."""
    state, teams = access.state, access.teams(name, now)
    number_of = {issuer: number for number, issuer in enumerate(sorted(state.issuers))}
    grants: dict[int, tuple[int, ...]] = {}
    ending: set[tuple[int, int]] = set()
    for number, team in enumerate(teams):
        open_ones = [
            each
            for each in team.permissions
            if not ended(each.until, now) and each.issuer in state.issuers and state.issuers[each.issuer].enabled
        ]
        grants[number] = tuple(number_of[each.issuer] for each in open_ones)
        ending |= {(number, number_of[each.issuer]) for each in open_ones if each.until is not None}
    memberships = state.memberships.get(name, {})
    leaving = {number: 1 for number, team in enumerate(teams) if memberships[team.name].until is not None}
    usable = {issuer for given in grants.values() for issuer in given}
    return Facts(
        access.stamp,
        now,
        [PeopleClass(tuple(grants), 1, (name,), leaving)],
        {number: [0] for number in grants},
        dict.fromkeys(grants, 1),
        leaving,
        {number: given for number, given in grants.items() if given},
        ending,
        {number: (team.name, "", {}) for number, team in enumerate(teams)},
        {number: (f"issuers:{issuer}", (issuer,)) for issuer, number in number_of.items() if number in usable},
        [0],
        1,
    )
