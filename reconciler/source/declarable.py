"""The part of a state that resources can declare: a database may hold rows that no config repository could contain."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from functools import partial
from typing import NamedTuple

from reconciler.access.duties import issuer_of, team_of
from reconciler.access.resources import (
    KINDS,
    Declaration,
    DeclaredState,
    Key,
    Kind,
    Origin,
    Resource,
    Settings,
    Team,
    with_resources,
)
from reconciler.source.blobs import read_blob
from reconciler.source.export import can_be_declared, resource_document
from reconciler.source.rules import check, nowhere, unknown_references


class Flaw(NamedTuple):
    """Why a resource cannot be declared."""

    kind: Kind
    name: str
    reason: str


def declarable(state: DeclaredState, now: datetime) -> tuple[DeclaredState, list[Flaw]]:
    """Return the valid part of a state, without invalid resources and references to them, and why they are left out."""
    flaws: list[Flaw] = []
    for find in (_misnamed, _unfit, partial(conflicts, now=now)):  # bad names first: whoever refers to one keeps the rest
        while found := find(state):
            state, dangling = _without_dangling(_without(state, {(flaw.kind, flaw.name) for flaw in found}))
            flaws += [*found, *dangling]
    return state, flaws


def conflicts(state: DeclaredState, now: datetime) -> list[Flaw]:
    """Return what prevents the resources of a state from being declared together."""
    if state.settings is not None:  # files have other places here than those that are delegated
        state = state._replace(settings=state.settings._replace(delegation=()))
    places: dict[str, Key] = {f"{kind}/{name}": (kind, name) for kind, name in _keys(state)}
    declarations = [Declaration(kind, state.of_kind(kind)[name], Origin(place, 0)) for place, (kind, name) in places.items()]
    found = check(declarations, now, locate=nowhere)
    return [Flaw(*places[problem.file], problem.message) for problem in found if problem.severity == "error"]


def _keys(state: DeclaredState) -> Iterator[Key]:
    return ((kind, name) for kind in KINDS for name in sorted(state.of_kind(kind)))


def _misnamed(state: DeclaredState) -> list[Flaw]:
    return [
        Flaw(kind, name, "a declared name may contain only a-z, 0-9, dots, underscores and hyphens")
        for kind, name in _keys(state)
        if not can_be_declared(name)
    ]


def _unfit(state: DeclaredState) -> list[Flaw]:
    """Return what is wrong with each resource in itself."""
    return [
        Flaw(kind, name, message)
        for kind, name in _keys(state)
        for _, _, _, severity, message, _ in read_blob(resource_document(kind, state.of_kind(kind)[name]).encode()).reports
        if severity == "error"
    ]


def _without(state: DeclaredState, gone: Collection[Key]) -> DeclaredState:
    kept = {kind: {name: found for name, found in state.of_kind(kind).items() if (kind, name) not in gone} for kind, _ in gone}
    return with_resources(state, kept)


def _without_dangling(state: DeclaredState) -> tuple[DeclaredState, list[Flaw]]:
    """Remove references to resources that are not in the state, and return the flaws this leaves."""
    names = {kind: set(state.of_kind(kind)) for kind in KINDS}
    flaws: list[Flaw] = []
    kinds: dict[Kind, dict[str, Resource]] = {"Team": dict(state.teams), "Settings": dict(state.of_kind("Settings"))}
    for of, resources in kinds.items():
        for name, resource in resources.items():
            gone = {(kind, missing) for kind, _, missing in unknown_references(resource, names)}
            flaws += [
                Flaw(of, name, f"only its reference to {kind} `{missing}`, which is left out") for kind, missing in sorted(gone)
            ]
            resources[name] = _without_references(resource, gone)
    return with_resources(state, kinds), flaws


def _without_references(resource: Resource, gone: Collection[Key]) -> Resource:
    if isinstance(resource, Team):
        decides = resource.may_decide_for
        return resource._replace(
            members=tuple(member for member in resource.members if ("User", member.user) not in gone),
            permissions=tuple(permission for permission in resource.permissions if ("Issuer", permission.issuer) not in gone),
            may_decide_for=decides if decides == "everyone" else tuple(team for team in decides if ("Team", team) not in gone),
        )
    assert isinstance(resource, Settings)
    left: Collection[tuple[Kind, str | None]] = gone
    apart = [
        tuple(duty for duty in duties if ("Team", team_of(duty)) not in left and ("Issuer", issuer_of(duty)) not in left)
        for duties in resource.guards.separation_of_duties
    ]
    return resource._replace(
        guards=resource.guards._replace(separation_of_duties=tuple(duties for duties in apart if len(duties) > 1))
    )
