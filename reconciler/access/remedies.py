"""What a denial takes to become a permission: each obstacle, and the smallest changes in Git that remove it, as `accord propose`
takes them. Smallest is what gives access to the fewest others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from reconciler.access.decide import Reason, permits
from reconciler.access.permitted_ips import Address
from reconciler.access.resources import Kind
from reconciler.access.state import AccessState, Path, ended, paths, teams_of

MOST = 10
"""So many equally small remedies of an obstacle are named."""


class Act(NamedTuple):
    """One act of `accord propose`, with its arguments."""

    act: str
    arguments: Mapping[str, Any]


class Remedy(NamedTuple):
    """Acts that together remove an obstacle."""

    acts: tuple[Act, ...]
    gives: int = 0
    """How much other access it gives: issuers to this account, or accounts to this issuer; about, if they are many."""


class Obstacle(NamedTuple):
    """One thing that prevents access. All of them must be removed."""

    reason: Reason
    words: str
    remedies: tuple[Remedy, ...] = ()
    """The smallest, if several are equally small; empty: no proposal removes it."""
    otherwise: str = ""
    """What removes it beside a proposal, or instead of one: somebody's act here, or in a directory."""


class Candidate(NamedTuple):
    """A team through which access could be given."""

    team: str
    gives: int
    """How much other access that would give: see `Remedy.gives`."""
    administrator: bool = False
    ad_groups: tuple[str, ...] = ()


class Ground(NamedTuple):
    """What is known of a question beside the access state."""

    disabled_by: Collection[str] = ()
    """Who disables the account: `git`, `directory`, `administrator`."""
    is_directory_account: bool = False
    granting: Sequence[Candidate] = ()
    """Teams that may use the issuer now and that the account is not in; `gives` counts issuers."""
    joined: Sequence[Candidate] = ()
    """The account's teams; `gives` counts members."""
    undeclared: Collection[tuple[Kind, str]] = ()
    """What of all this is in the database alone: no proposal can change it."""

    def can_propose(self, remedy: Remedy) -> bool:
        """Whether Git declares all that a remedy changes."""
        return not any(changed in self.undeclared for act in remedy.acts for changed in _changed(act))


_NAMED: Mapping[str, Kind] = {"team": "Team", "user": "User", "issuer": "Issuer"}
_UNDECLARED = "Git does not declare what would have to change: declare it in the config repository first"


def _changed(act: Act) -> Iterator[tuple[Kind, str]]:
    """The resources that must be declared for an act."""
    said = act.arguments
    if act.act in ("enable", "set"):
        yield said.get("kind", "User"), said["name"]
    yield from ((kind, said[name]) for name, kind in _NAMED.items() if name in said)


def obstacles(
    state: AccessState, user: str, issuer: str, address: Address | None, at: datetime, ground: Ground
) -> tuple[Obstacle, ...]:
    """Return everything that prevents an account from using an issuer at an instant; an address of None prevents nothing."""
    return tuple(_obstacles(state, user, issuer, address, at, ground))


def _obstacles(
    state: AccessState, user: str, issuer: str, address: Address | None, at: datetime, ground: Ground
) -> Iterator[Obstacle]:
    if user not in state.accounts:
        add = Remedy((Act("add-user", {"name": user}),))
        yield Obstacle("unknown-account", f"there is no account `{user}`", (add,))
        return
    if not state.accounts[user]:
        yield from _disabled(user, ground)
    yield from _issuer(state, user, issuer, at, ground)
    teams = teams_of(state, user, at)
    if address is not None and not permits(teams, address)[0]:
        yield _address(user, address, state, at, ground)


def _issuer(state: AccessState, user: str, issuer: str, at: datetime, ground: Ground) -> Iterator[Obstacle]:
    if issuer not in state.issuers:
        yield Obstacle("unknown-issuer", f"there is no issuer `{issuer}`", (), "declare the issuer in the config repository")
        return
    if not state.issuers[issuer].enabled:
        enable = Act("set", {"kind": "Issuer", "name": issuer, "fields": {"enabled": True}})
        yield _obstacle("issuer-disabled", f"the issuer `{issuer}` is disabled", [Remedy((enable,))], ground)
    ways = paths(state, user, issuer)
    if not any(way.holds_at(at) for way in ways):
        yield _ended(user, issuer, ways, at, ground) if ways else _no_way(state, user, issuer, ground)


def _disabled(user: str, ground: Ground) -> Iterator[Obstacle]:
    if "git" in ground.disabled_by:
        yield _obstacle("account-disabled", f"Git disables `{user}`", [Remedy((Act("enable", {"name": user}),))], ground)
    if "administrator" in ground.disabled_by:
        here = "an administrator must enable it here; no change in Git does"
        yield Obstacle("account-disabled", f"an administrator disabled `{user}` here", (), here)
    if "directory" in ground.disabled_by:
        there = "its directory must enable it; no change in Git does"
        yield Obstacle("account-disabled", f"its directory disables `{user}`", (), there)


def _ended(user: str, issuer: str, ways: Sequence[Path], at: datetime, ground: Ground) -> Obstacle:
    """Every way has ended: it goes on if whatever of it has ended does."""

    def remedy(way: Path) -> Remedy:
        acts = []
        if ended(way.membership.until, at):
            acts.append(Act("add-member", {"team": way.team, "user": user}))
        if ended(way.permission.until, at):
            acts.append(Act("grant", {"team": way.team, "issuer": issuer}))
        return Remedy(tuple(acts))

    found = [remedy(way) for way in ways]
    fewest = min((len(each.acts) for each in found if ground.can_propose(each)), default=0)
    in_team = any(not ended(way.membership.until, at) for way in ways)
    reason: Reason = "permission-ended" if in_team else "membership-ended"
    what = "a permission has ended" if in_team else f"the membership of `{user}` has ended"
    teams = ", ".join(way.team for way in ways[:MOST])
    smallest = (each for each in found if len(each.acts) == fewest)
    return _obstacle(reason, f"{what} on every way to `{issuer}` ({teams})", smallest, ground)


def _no_way(state: AccessState, user: str, issuer: str, ground: Ground) -> Obstacle:
    mine = state.memberships.get(user)
    words = f"`{user}` is in no team that may use `{issuer}`"
    candidates = [(each.administrator, each.gives, Act("grant", {"team": each.team, "issuer": issuer})) for each in ground.joined]
    otherwise = ""
    if ground.is_directory_account:
        groups = sorted({group for each in ground.granting for group in each.ad_groups})[:MOST]
        if groups:
            otherwise = f"its directory can add it to one of these AD groups: {', '.join(groups)}"
        elif not candidates:
            otherwise = "list one of its AD groups in a team that may use the issuer"
    else:
        candidates += [
            (each.administrator, each.gives, Act("add-member", {"team": each.team, "user": user})) for each in ground.granting
        ]
    if not candidates and not otherwise:
        otherwise = "no team may use the issuer, and the account is in none: declare a team with both"
    possible = [each for each in candidates if ground.can_propose(Remedy(each[2:]))]
    least = min((key for *key, _ in possible), default=None)
    found = (Remedy((act,), gives) for administrator, gives, act in possible if [administrator, gives] == least)
    return _obstacle("no-permission" if mine else "no-team", words, found, ground, otherwise)


def _address(user: str, address: Address, state: AccessState, at: datetime, ground: Ground) -> Obstacle:
    """One of the account's teams could permit the address: that with the fewest members."""
    sizes = {each.team: (each.administrator, each.gives) for each in ground.joined}
    restricting = [team for team in teams_of(state, user, at) if team.permitted_ips]
    found = []
    for team in restricting:
        fields = {"permittedIPs": [*team.permitted_ips, address.text]}
        size = sizes.get(team.name, (team.administrator, 0))
        found.append((size, Remedy((Act("set", {"kind": "Team", "name": team.name, "fields": fields}),), size[1])))
    least = min((size for size, remedy in found if ground.can_propose(remedy)), default=None)
    teams = ", ".join(team.name for team in restricting[:MOST])
    words = f"no permitted IP of the teams of `{user}` ({teams}) covers {address.text}"
    return _obstacle("address-not-permitted", words, (remedy for size, remedy in found if size == least), ground)


def _obstacle(reason: Reason, words: str, remedies: Iterable[Remedy], ground: Ground, otherwise: str = "") -> Obstacle:
    """An obstacle with those of its remedies that can be proposed, or that none can."""
    possible = _some(each for each in remedies if ground.can_propose(each))
    return Obstacle(reason, words, possible, otherwise or ("" if possible else _UNDECLARED))


def _some(remedies: Iterator[Remedy]) -> tuple[Remedy, ...]:
    """The first of them; two that do the same are one."""
    found: list[Remedy] = []
    for each in remedies:
        if each not in found:
            found.append(each)
        if len(found) == MOST:
            break
    return tuple(found)
