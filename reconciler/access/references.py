"""What a resource refers to by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from reconciler.access.resources import Kind, Resource, Settings, Team


class References(NamedTuple):
    """The names of one kind that a resource refers to, and the path in its document where they are."""

    kind: Kind
    path: tuple[str, ...]
    names: Iterable[str]


def references(resource: Resource) -> tuple[References, ...]:
    """Return everything that a resource refers to."""
    if isinstance(resource, Team):
        teams = () if resource.may_decide_for == "everyone" else resource.may_decide_for
        return (
            References("User", ("spec", "members"), [member.user for member in resource.members]),
            References("Issuer", ("spec", "issuers"), [permission.issuer for permission in resource.permissions]),
            References("Team", ("spec", "mayDecideFor"), teams),
        )
    if isinstance(resource, Settings):
        apart = sorted({team for teams in resource.guards.separation_of_duties for team in teams})
        return (References("Team", ("spec", "guards", "separationOfDuties"), apart),)
    return ()
