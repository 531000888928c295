"""Changes of what Git declares, by chance, over a few names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from random import Random
from typing import Any

from reconciler.access.resources import DeclaredState, Issuer, Membership, Permission, Settings, Team, User

PEOPLE, TEAMS, ISSUERS = [f"u{n}" for n in range(5)], [f"t{n}" for n in range(4)], [f"i{n}" for n in range(3)]
GUIDS = ["d0", "d1"]
NAMES = [*PEOPLE, *GUIDS]
"""Names of accounts. Declared and directory accounts share them."""
_ENDS = [None, None, datetime(2026, 9, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)]


def beginning() -> DeclaredState:
    """A state with something of everything."""
    issuers = {name: Issuer(name) for name in ISSUERS[:2]}
    members, permissions = tuple(map(Membership, PEOPLE[:3])), tuple(map(Permission, issuers))
    teams = {name: Team(name, members=members, permissions=permissions, ad_groups=("PKI",)) for name in TEAMS[:2]}
    return DeclaredState(
        users={name: User(name, "", initial_password="none") for name in PEOPLE[:4]}, teams=teams, issuers=issuers
    )


def changed(chance: Random, state: DeclaredState) -> DeclaredState:
    """The state after one change."""
    return chance.choice(_CHANGES)(chance, state)


def without_user(state: DeclaredState, gone: str) -> DeclaredState:
    """The state without a user, and without its memberships."""
    teams = {name: team._replace(members=_relinked(team.members, gone, None)) for name, team in state.teams.items()}
    return state._replace(users={name: each for name, each in state.users.items() if name != gone}, teams=teams)


def _relinked(links: Iterable[Any], old: str, new: str | None) -> tuple[Any, ...]:
    """Links with another name for one end; None: without the links to it."""
    kept = (link if link[0] != old else type(link)(new, *link[1:]) for link in links if link[0] != old or new is not None)
    return tuple(sorted(kept, key=lambda link: link[0]))


def _one(chance: Random, names: Iterable[str]) -> str | None:
    found = sorted(names)
    return chance.choice(found) if found else None


def _renamed(resources: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    others = {name: each for name, each in resources.items() if name != old}
    return {**others, new: resources[old]._replace(name=new, previously=(old,))}


def _put_user(chance: Random, state: DeclaredState) -> DeclaredState:
    name = chance.choice(NAMES)
    kind: Any = chance.choice(["person", "application"])
    made = User(name, f"{name}@example.org", type=kind, enabled=chance.random() < 0.7, initial_password="none")
    return state._replace(users={**state.users, name: made})


def _remove_user(chance: Random, state: DeclaredState) -> DeclaredState:
    gone = _one(chance, state.users)
    return without_user(state, gone) if gone else state


def _rename_user(chance: Random, state: DeclaredState) -> DeclaredState:
    old, new = _one(chance, state.users), chance.choice(NAMES)
    if old is None or new in state.users:
        return state
    teams = {name: team._replace(members=_relinked(team.members, old, new)) for name, team in state.teams.items()}
    return state._replace(users=_renamed(dict(state.users), old, new), teams=teams)


def _put_team(chance: Random, state: DeclaredState) -> DeclaredState:
    name = chance.choice(TEAMS)
    before = state.teams.get(name, Team(name))
    what = chance.choice(["members", "permissions", "the rest"])
    if what == "members":
        chosen = sorted(chance.sample(sorted(state.users), chance.randint(0, len(state.users))))
        made = before._replace(
            members=tuple(Membership(user, chance.choice(_ENDS), chance.choice([None, "why"])) for user in chosen)
        )
    elif what == "permissions":
        chosen = sorted(chance.sample(sorted(state.issuers), chance.randint(0, len(state.issuers))))
        made = before._replace(permissions=tuple(Permission(issuer, chance.choice(_ENDS)) for issuer in chosen))
    else:
        made = before._replace(
            permitted_ips=chance.choice([(), ("10.0.0.0/8",)]),
            administrator=chance.random() < 0.5,
            ad_groups=chance.choice([(), ("PKI",), ("PKI", "Web")]),
            may_decide_for=chance.choice([(), ("t0",), "everyone"]),
        )
    return state._replace(teams={**state.teams, name: made})


def _remove_team(chance: Random, state: DeclaredState) -> DeclaredState:
    gone = _one(chance, state.teams)
    return state._replace(teams={name: team for name, team in state.teams.items() if name != gone})


def _rename_team(chance: Random, state: DeclaredState) -> DeclaredState:
    old, new = _one(chance, state.teams), chance.choice(TEAMS)
    return state if old is None or new in state.teams else state._replace(teams=_renamed(dict(state.teams), old, new))


def _put_issuer(chance: Random, state: DeclaredState) -> DeclaredState:
    name = chance.choice(ISSUERS)
    return state._replace(issuers={**state.issuers, name: Issuer(name, enabled=chance.random() < 0.8)})


def _remove_issuer(chance: Random, state: DeclaredState) -> DeclaredState:
    gone = _one(chance, state.issuers) or ""
    teams = {name: team._replace(permissions=_relinked(team.permissions, gone, None)) for name, team in state.teams.items()}
    return state._replace(issuers={name: each for name, each in state.issuers.items() if name != gone}, teams=teams)


def _rename_issuer(chance: Random, state: DeclaredState) -> DeclaredState:
    old, new = _one(chance, state.issuers), chance.choice(ISSUERS)
    if old is None or new in state.issuers:
        return state
    teams = {name: team._replace(permissions=_relinked(team.permissions, old, new)) for name, team in state.teams.items()}
    return state._replace(issuers=_renamed(dict(state.issuers), old, new), teams=teams)


def _put_settings(chance: Random, state: DeclaredState) -> DeclaredState:
    return state._replace(settings=Settings(policies=(("logins", f'{{"maxFailures":{chance.randint(1, 9)}}}'),)))


_CHANGES: list[Callable[[Random, DeclaredState], DeclaredState]] = [
    *[_put_user] * 3,
    *[_put_team] * 6,
    *[_put_issuer] * 2,
    *[_remove_user, _rename_user, _remove_team, _rename_team, _remove_issuer, _rename_issuer, _put_settings],
]
