"""Guards: rules that refuse a dangerous plan unless each refusing guard is overridden for that plan.

The settings in force and the settings in the plan both apply, and the stricter wins, so that a pull request cannot weaken a
guard and benefit from it at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import or_
from typing import Any, NamedTuple

from reconciler.access.resources import Guards, Issuer, Kind, Team, User
from reconciler.access.state import AccessState, ended, teams_of
from reconciler.plan.actual import Clocks, Totals
from reconciler.plan.effects import gets_welcome_mail
from reconciler.plan.identity import handed_over
from reconciler.plan.plan import AccessDiff, Change, GroupChange, GuardResult

NEVER_FEWER = 5
"""How many deletions in one scope are always allowed: a percentage of a small team would allow none."""
APART = timedelta(hours=1)
"""How far clocks may be apart."""
IDLE = timedelta(days=30)
"""How long nothing may have happened before a clock that is so far ahead must be confirmed."""


class Judged(NamedTuple):
    """What guards look at: the changes, their results, and the people they affect."""

    changes: Sequence[Change]
    totals: Totals
    """How many resources there are before the changes."""
    persons: frozenset[str]
    """Declared users, after the changes, who are people rather than applications."""
    after: AccessState
    access: AccessDiff
    groups: Sequence[GroupChange]
    can_set_password: frozenset[str]
    now: datetime
    clocks: Clocks
    committed_at: datetime
    settled: bool = False
    """The revision was applied already, so that the changes only undo what was written by hand."""


Judge = Callable[[Judged, Guards], list[str]]
"""Returns a guard's objections to a plan, in sentences; no objections means that it passes."""


def judge(judged: Judged, in_force: Guards, brought: Guards) -> tuple[GuardResult, ...]:
    """Return every guard's verdict. A plan without changes passes, since it cannot do any harm."""
    guards = stricter(in_force, brought)
    return tuple(_verdict(guard, judged, guards) for guard in GUARDS)


def stricter(one: Guards, other: Guards) -> Guards:
    """Combine two sets of limits, taking the stricter of each."""
    return Guards(**{limit: _STRICTER[limit](*both) for limit, *both in zip(Guards._fields, one, other, strict=True)})


def _lower(one: int | None, other: int | None) -> int | None:
    limits = [limit for limit in (one, other) if limit is not None]
    return min(limits, default=None)


_STRICTER: Mapping[str, Callable[[Any, Any], Any]] = {
    "max_deletions_percent": min,
    "max_administrators": _lower,
    "administrators_need_permitted_ips": or_,
    "separation_of_duties": lambda one, other: tuple(sorted({*one, *other})),
    "max_people_gaining": _lower,
}


def _verdict(guard: str, judged: Judged, guards: Guards) -> GuardResult:
    description, find = GUARDS[guard]
    objections = list(dict.fromkeys(find(judged, guards))) if judged.changes else []
    return GuardResult(guard, "refuse" if objections else "pass", "; ".join(objections) or description)


def overridden(results: Iterable[GuardResult], guards: Iterable[str]) -> tuple[GuardResult, ...]:
    """Return the verdicts with the named guards overridden; a guard that passes still passes."""
    names = set(guards)
    return tuple(
        result._replace(verdict="overridden") if result.verdict == "refuse" and result.id in names else result
        for result in results
    )


def _beyond(scope: str, gone: int, of: int, guards: Guards) -> list[str]:
    allowed = max(NEVER_FEWER, int(of * guards.max_deletions_percent / 100))
    if gone <= allowed:
        return []
    limit = f"{guards.max_deletions_percent:g} %, at least {NEVER_FEWER}"
    return [f"{scope}: {gone} of {of} would be removed; the limit for one plan is {allowed} ({limit})"]


def _deletions(judged: Judged, guards: Guards) -> list[str]:
    gone = Counter(change.kind for change in judged.changes if _goes(change))
    found = _beyond("users", gone["User"], judged.totals.users, guards)
    found += _beyond("teams", gone["Team"], judged.totals.teams, guards)
    found += _beyond("issuers", gone["Issuer"], judged.totals.issuers, guards)
    for change in judged.changes:
        if isinstance(change.before, Team):
            found += _beyond(f"members of team {change.name}", *_removed(_members(change, judged)), guards)
            found += _beyond(f"issuers of team {change.name}", *_removed(_issuers(change, judged)), guards)
    return found


def _goes(change: Change) -> bool:
    """Tell whether a resource is deleted or disabled, which takes away as much access."""
    before, after = change.before, change.after
    if before is None:
        return False
    switched_off = isinstance(before, User | Issuer) and isinstance(after, User | Issuer) and before.enabled > after.enabled
    return change.action == "delete" or switched_off


def _members(change: Change, judged: Judged) -> tuple[set[str], set[str]]:
    """Return a team's members before and after, without ended memberships."""
    was, now = ({m.user for m in team.members if not ended(m.until, judged.now)} for team in _both(change))
    return was, now


def _issuers(change: Change, judged: Judged) -> tuple[set[str], set[str]]:
    was, now = ({p.issuer for p in team.permissions if not ended(p.until, judged.now)} for team in _both(change))
    return was, now


def _both(change: Change) -> tuple[Team, Team]:
    """Return a team before and after; a deleted one has nothing afterwards."""
    assert isinstance(change.before, Team)
    return change.before, change.after if isinstance(change.after, Team) else Team(change.name)


def _removed(sets: tuple[set[str], set[str]]) -> tuple[int, int]:
    return len(sets[0] - sets[1]), len(sets[0])


def administrators(state: AccessState, now: datetime, *, for_good: bool = False) -> set[str]:
    """Return the enabled accounts in administrator teams; with `for_good`, only those whose membership never ends."""
    teams = {name for name, team in state.teams.items() if team.administrator}
    return {
        user
        for user, memberships in state.memberships.items()
        if not teams.isdisjoint(memberships)
        and state.accounts.get(user, False)
        and any(
            membership.until is None or (not for_good and not ended(membership.until, now))
            for team, membership in memberships.items()
            if team in teams
        )
    }


def _too_many_administrators(judged: Judged, guards: Guards) -> list[str]:
    count = len(administrators(judged.after, judged.now))
    if guards.max_administrators is None or count <= guards.max_administrators:
        return []
    return [f"there would be {count} administrators; the limit is {guards.max_administrators}"]


def _unrestricted_administrators(judged: Judged, guards: Guards) -> list[str]:
    if not guards.administrators_need_permitted_ips:
        return []
    found = sorted(
        user
        for user in administrators(judged.after, judged.now)
        if not any(team.permitted_ips for team in teams_of(judged.after, user, judged.now))
    )
    return [f"administrators without permitted IPs: {', '.join(found)}"] if found else []


def _separation_of_duties(judged: Judged, guards: Guards) -> list[str]:
    found = []
    for teams in guards.separation_of_duties:
        for user, memberships in sorted(judged.after.memberships.items()):
            both = [team for team in teams if team in memberships and not ended(memberships[team].until, judged.now)]
            if len(both) > 1 and user in judged.after.accounts:
                found.append(f"{user} would be in {' and in '.join(both)}, which may not share members")
    return found


def _many_gain(judged: Judged, guards: Guards) -> list[str]:
    """Count accounts, people and applications alike; of AD groups, those of their members that are known."""
    if guards.max_people_gaining is None:
        return []
    accounts = judged.access.gaining.union(*(change.known for change in judged.groups if change.access.gaining))
    if len(accounts) <= guards.max_people_gaining:
        return []
    return [f"{len(accounts)} accounts would gain access; the limit for one plan is {guards.max_people_gaining}"]


def _last_administrator(judged: Judged, _guards: Guards) -> list[str]:
    """Require an administrator outside any directory: a directory that is down must not lock everyone out."""
    people = administrators(judged.after, judged.now, for_good=True) & judged.persons
    mailed = (
        change.action == "create" and change.name in people and isinstance(change.after, User) and gets_welcome_mail(change.after)
        for change in judged.changes
    )
    if not people.isdisjoint(judged.can_set_password) or any(mailed):
        return []
    return [
        "no administrator who can log in would be left; keep an enabled person, declared in Git, in a team with "
        "`administrator: true`, without an end, who has a password or is sent a welcome mail"
    ]


def _emptying(judged: Judged, _guards: Guards) -> list[str]:
    balance: dict[Kind, int] = {"User": judged.totals.users, "Team": judged.totals.teams, "Issuer": judged.totals.issuers}
    before = dict(balance)
    for change in judged.changes:
        if change.kind in balance:
            balance[change.kind] += -1 if _goes(change) else change.action in ("create", "adopt")
    words: dict[Kind, str] = {"User": "users", "Team": "teams", "Issuer": "issuers"}
    return [f"all {words[kind]} would be removed ({before[kind]})" for kind in balance if before[kind] > 0 and balance[kind] <= 0]


def _clock(judged: Judged, _guards: Guards) -> list[str]:
    """Require a plausible clock: what ends by the clock is not protected, and what is written with a wrong time stays.

    A clock that is ahead shows by the database server's, which is often another machine's but may be this very clock. So it must
    not be far ahead of everything that the database recorded and of the commit either, which in a pipeline is minutes old however
    long nothing was applied.
    """
    now, (recorded, served, server) = judged.now, judged.clocks
    if server is not None and abs(now - server) > APART:
        way = "ahead of" if now > server else "behind"
        return [f"this machine's clock is {_roughly(abs(now - server))} {way} the database server's; set the wrong one"]
    if recorded is not None and now < recorded - APART:
        return [f"this machine's clock is {_roughly(recorded - now)} behind the last entry of the audit log; set it"]
    newest = max((each for each in (recorded, served) if each is not None), default=None)
    if newest is not None and now > (last := max(newest, judged.committed_at)) + IDLE:
        return [f"this machine's clock is {_roughly(now - last)} ahead of everything recorded and of the commit; look at it"]
    return []


def _handed_over(judged: Judged, _guards: Guards) -> list[str]:
    """Require that Git says whose an account is, where the changes can be read in two ways."""
    return [] if judged.settled else handed_over(judged.changes)


def _roughly(apart: timedelta) -> str:
    return f"{apart.days} days" if apart.days > 1 else f"{apart.total_seconds() / 3600:.0f} hours"


GUARDS: dict[str, tuple[str, Judge]] = {
    "deletions": ("within the limits", _deletions),
    "administrators": ("the number of administrators is within the limit", _too_many_administrators),
    "administrators-permitted-ips": (
        "every administrator has permitted IPs, if they are required",
        _unrestricted_administrators,
    ),
    "separation-of-duties": ("nobody is in two teams that may not share members", _separation_of_duties),
    "access-gained": ("the number of accounts that gain access is within the limit", _many_gain),
    "last-administrator": ("an administrator can still log in", _last_administrator),
    "identity-handed-over": ("no account passes to another person", _handed_over),
    "emptying": ("no kind of resource is removed completely", _emptying),
    "clock": ("the clock agrees with what the database recorded", _clock),
}
"""Stable id → the message if the guard passes, and its judge."""
