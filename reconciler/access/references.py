"""What a resource refers to by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from reconciler.access.duties import issuers_in, teams_in
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
        path, groups = ("spec", "guards", "separationOfDuties"), resource.guards.separation_of_duties
        return (References("Team", path, sorted(teams_in(groups))), References("Issuer", path, sorted(issuers_in(groups))))
    return ()
