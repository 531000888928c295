"""accord explain: a decision, every way to it, and who declared each link."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from reconciler.access.decide import Decision, decide
from reconciler.access.permitted_ips import Address, parse_rule, permitting
from reconciler.access.resources import Kind, Team
from reconciler.access.state import Path, ended, paths, teams_of
from reconciler.run.access import Question, Standing, refuse_unknown, standing
from reconciler.run.deployment import Deployment
from reconciler.run.inputs import open_source
from reconciler.store.read import AppliedRevision, Scope

if TYPE_CHECKING:
    from reconciler.source.provenance import Provenance


class Link(NamedTuple):
    """One fact that access depends on: whether and until when it holds, and where and by whom it was declared.

    The provenance is None if the applied revision does not declare the fact, or the history is not available.
    """

    what: Literal["account", "issuer", "membership", "permission", "permitted-ip"]
    words: str
    holds: bool
    until: datetime | None
    provenance: Provenance | None


class Way(NamedTuple):
    """One way from the account to the issuer, through a team."""

    path: Path
    holds: bool
    links: tuple[Link, ...]


class Explanation(NamedTuple):
    """A decision and everything behind it; `missing` says, in sentences, what it would take to be allowed."""

    user: str
    issuer: str
    address: Address | None
    at: datetime
    decision: Decision
    subjects: tuple[Link, ...]
    """The account and the issuer."""
    ways: tuple[Way, ...]
    permitted_ips: tuple[Link, ...]
    """If empty, the account may call from anywhere."""
    missing: tuple[str, ...]
    applied: AppliedRevision | None


Provenances = Callable[[Kind, str, tuple[str | int, ...]], "Provenance | None"]


def explain(deployment: Deployment, question: Question, address: Address | None, *, now: datetime) -> Explanation:
    """Explain why a user may or may not use an issuer. Raises UnknownName, suggesting the nearest name, for unknown names.

    Without an address, permitted IPs are shown but not checked.
    """
    user, issuer = question.user or "", question.issuer or ""
    scope = Scope(users=frozenset({user}), issuers=frozenset({issuer}))
    with standing(deployment, question, scope, now=now) as found:
        refuse_unknown(question, found.names)
    state, at = found.state, found.at
    provenance = _provenances(deployment, found)
    ways = tuple(_way(found, way, provenance) for way in paths(state, user, issuer))
    teams = teams_of(state, user, at)
    decision = decide(state, user, issuer, address, at)
    if address is None and decision.reason == "address-not-permitted":
        decision = decision._replace(allow=True, reason="permitted")
    return Explanation(
        user=user,
        issuer=issuer,
        address=address,
        at=at,
        decision=decision,
        subjects=(_account(found, user, provenance), _issuer(found, issuer, provenance)),
        ways=ways,
        permitted_ips=tuple(_rules(teams, address, provenance)),
        missing=tuple(_missing(found, user, issuer, decision)),
        applied=found.applied,
    )


def _provenances(deployment: Deployment, found: Standing) -> Provenances:
    """Return a function that finds a fact in the revision in force, or always None without a repository or a revision."""
    from reconciler.source.errors import SourceError
    from reconciler.source.provenance import find_provenance

    try:
        repository = open_source(deployment).repository
    except SourceError:
        return lambda _kind, _name, _path: None
    applied = found.applied

    def look(kind: Kind, name: str, path: tuple[str | int, ...]) -> Provenance | None:
        file = found.files.get((kind, name))
        if applied is None or file is None or not repository.has(applied.revision.commit):
            return None
        return find_provenance(repository, applied.revision.commit, file, kind, name, path)

    return look


def _account(found: Standing, user: str, provenance: Provenances) -> Link:
    enabled = found.state.accounts[user]
    declared = found.declared.users.get(user)
    if declared is None:
        return Link("account", f"directory account {user} is {'enabled' if enabled else 'disabled'}", enabled, None, None)
    where = "" if enabled or not declared.enabled else ", by an administrator or its directory"
    path = ("metadata", "name") if declared.enabled else ("spec", "enabled")
    words = f"account {user} is {'enabled' if enabled else 'disabled'}{where}"
    return Link("account", words, enabled, None, provenance("User", user, path))


def _issuer(found: Standing, issuer: str, provenance: Provenances) -> Link:
    enabled = found.state.issuers[issuer].enabled
    path = ("metadata", "name") if enabled else ("spec", "enabled")
    words = f"issuer {issuer} is {'enabled' if enabled else 'disabled'}"
    return Link("issuer", words, enabled, None, provenance("Issuer", issuer, path))


def _way(found: Standing, way: Path, provenance: Provenances) -> Way:
    user, member_until, reason = way.membership
    issuer, issuer_until = way.permission
    declared = user in found.declared.users
    because = f" ({reason})" if reason else ""
    groups = "" if declared else f" through its AD groups ({', '.join(found.state.teams[way.team].ad_groups)})"
    member = Link(
        "membership",
        f"{user} is in {way.team}{groups}{because}",
        not ended(member_until, found.at),
        member_until,
        provenance("Team", way.team, ("spec", "members", user) if declared else ("spec", "adGroups")),
    )
    permission = Link(
        "permission",
        f"{way.team} may use {issuer}",
        not ended(issuer_until, found.at),
        issuer_until,
        provenance("Team", way.team, ("spec", "issuers", issuer)),
    )
    return Way(way, way.holds_at(found.at), (member, permission))


def _rules(teams: list[Team], address: Address | None, provenance: Provenances) -> Iterator[Link]:
    for team in teams:
        for text in team.permitted_ips:
            admits = permitting([parse_rule(text)], address) is not None
            place = provenance("Team", team.name, ("spec", "permittedIPs", text))
            yield Link("permitted-ip", f"{text} of team {team.name}", admits, None, place)


def _missing(found: Standing, user: str, issuer: str, decision: Decision) -> Iterator[str]:
    """Yield everything that prevents a denied caller from being allowed."""
    state, at = found.state, found.at
    if decision.allow:
        return
    if not state.accounts[user]:
        yield f"{user} is disabled: {_disabled(found, user)}"
    if not state.issuers[issuer].enabled:
        yield f"the issuer is disabled: set `enabled: true`{_in(found, 'Issuer', issuer)}"
    ways = paths(state, user, issuer)
    if not any(way.holds_at(at) for way in ways):
        if ways:
            yield from (f"{way.team}: extend `until`{_in(found, 'Team', way.team)}" for way in ways)
        else:
            yield from _no_way(found.state.teams, found, user, issuer)
    if decision.reason == "address-not-permitted":
        teams = ", ".join(team.name for team in teams_of(state, user, at) if team.permitted_ips)
        yield f"no permitted IP of {user}'s teams ({teams}) covers the address"


def _no_way(teams: Mapping[str, Team], found: Standing, user: str, issuer: str) -> Iterator[str]:
    granting = [name for name, team in sorted(teams.items()) if any(p.issuer == issuer for p in team.permissions)]
    mine = [team.name for team in teams_of(found.state, user, found.at)]
    yield f"{user} is not in a team that may use {issuer}; {user} is in {', '.join(mine) or 'no team'}"
    if granting:
        places = ", ".join(f"{name}{_in(found, 'Team', name)}" for name in granting[:10])
        more = "" if len(granting) <= 10 else f" and {len(granting) - 10} more"
        yield f"make {user} a member of a team that may use it: {places}{more}"
    if mine:
        places = ", ".join(f"{name}{_in(found, 'Team', name)}" for name in mine[:10])
        yield f"{'or ' * bool(granting)}add {issuer} to the issuers of one of {user}'s teams: {places}"


def _disabled(found: Standing, user: str) -> str:
    declared = found.declared.users.get(user)
    if declared is not None and not declared.enabled:
        return f"set `enabled: true`{_in(found, 'User', user)}"
    return "an administrator or its directory did this and must undo it"


def _in(found: Standing, kind: Kind, name: str) -> str:
    file = found.files.get((kind, name))
    return "" if file is None else f" in {file}"
