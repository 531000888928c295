"""decide() tells whether an account may use an issuer from an address at an instant. A denial is a value with a reason."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from reconciler.access.permitted_ips import Address, parse_rule, permitting
from reconciler.access.resources import Team
from reconciler.access.state import AccessState, Path, ended, paths, teams_of

Reason = Literal[
    "permitted",
    "unknown-account",
    "account-disabled",
    "unknown-issuer",
    "issuer-disabled",
    "no-team",
    "no-permission",
    "membership-ended",
    "permission-ended",
    "address-not-permitted",
]


class Decision(NamedTuple):
    """Allow or deny, with the reason and the path that led to it.

    `path` is the way that gives access for longest (if denied: a way that has ended, if there is one). `rule` is the permitted IP
    that covers the address, or None if nothing restricts addresses.
    """

    allow: bool
    reason: Reason
    path: Path | None = None
    rule: str | None = None


def decide(state: AccessState, user: str, issuer: str, address: Address | None, now: datetime) -> Decision:
    """Decide one request. An address of None is unknown and satisfies no restriction.

    The checks run from the account to the address; the first that fails is the reason.
    """
    enabled = state.accounts.get(user)
    if not enabled:
        return Decision(False, "unknown-account" if enabled is None else "account-disabled")
    declared = state.issuers.get(issuer)
    if declared is None or not declared.enabled:
        return Decision(False, "unknown-issuer" if declared is None else "issuer-disabled")
    ways = paths(state, user, issuer)
    open_ways = [way for way in ways if way.holds_at(now)]
    if not open_ways:
        return _no_way(state, user, ways, now)
    best = max(open_ways, key=lambda way: (way.until is None, way.until or now))
    permitted, rule = permits(teams_of(state, user, now), address)
    return Decision(permitted, "permitted" if permitted else "address-not-permitted", best, rule)


def _no_way(state: AccessState, user: str, ways: list[Path], now: datetime) -> Decision:
    if not state.memberships.get(user):
        return Decision(False, "no-team")
    if not ways:
        return Decision(False, "no-permission")
    in_team = next((way for way in ways if not ended(way.membership.until, now)), None)
    return Decision(False, "membership-ended", ways[0]) if in_team is None else Decision(False, "permission-ended", in_team)


def permits(teams: list[Team], address: Address | None) -> tuple[bool, str | None]:
    """Tell whether the joined permitted-IP lists of an account's teams cover an address, and by which rule.

    Without any list there is no restriction. With one, an unknown address is not permitted, and a local caller is.
    """
    texts = [text for team in teams for text in team.permitted_ips]
    if not texts:
        return True, None
    rule = permitting(map(parse_rule, texts), address)
    return rule is not None, rule
