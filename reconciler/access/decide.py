"""decide(): may this account use that issuer, from this address, at this instant? A denial is a value with a reason."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from reconciler.access.permitted_ips import Address, matching, parse_rule
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
    """Allow or deny, the reason, and what led there.

    `path` is the way that holds longest (on a deny: one that has ended, where there is one), `rule` the permitted-IP
    rule that let the address in; None where nothing restricts it.
    """

    allow: bool
    reason: Reason
    path: Path | None = None
    rule: str | None = None


def decide(state: AccessState, user: str, issuer: str, address: Address | None, now: datetime) -> Decision:
    """Decide one request. An address of None is one that is not known: it satisfies no restriction.

    The checks run from the account to the address, and the first that fails is the reason.
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
    """Whether the joined permitted-IP lists of an account's teams let an address in, and by which rule.

    No list at all restricts nothing. Where any rule is in place, a caller who is certainly on this machine stays permitted.
    """
    texts = [text for team in teams for text in team.permitted_ips]
    if not texts:
        return True, None
    if address is None:
        return False, None
    if address.is_local:
        return True, "loopback"
    rule = matching(map(parse_rule, texts), address)
    return rule is not None, None if rule is None else rule.text
