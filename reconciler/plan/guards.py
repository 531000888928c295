"""Guards: rules that refuse a dangerous plan unless each refusing guard is overridden, for that plan or until an instant.

They judge what a plan makes worse; what stands already is listed. The settings in force and the settings in the plan both apply,
and the stricter wins, so that a pull request cannot weaken a guard and benefit from it at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import or_
from typing import Any, NamedTuple

from reconciler.access.fields import fields_of
from reconciler.access.resources import Guards, Issuer, Kind, Team, User
from reconciler.access.state import ended
from reconciler.plan.actual import Clocks, Totals
from reconciler.plan.hand_overs import handed_over
from reconciler.plan.objections import Objection, Remembered, looked_up, worse
from reconciler.plan.plan import AccessDiff, Change, GroupChange, GuardResult
from reconciler.plan.state_guards import (
    State,
    new_administrators,
    no_administrator,
    shared_duties,
    too_many_administrators,
    unrestricted_administrators,
)
from reconciler.wording.text import count

NEVER_FEWER = 5
"""How many deletions in one scope are always allowed: a percentage of a small team would allow none."""
APART = timedelta(hours=1)
"""How far clocks may be apart."""
AUTHORS = timedelta(days=1)
"""How far the clock of a commit's author may be ahead."""
IDLE = timedelta(days=30)
"""How long nothing may have happened before a clock that is so far ahead must be confirmed."""


class Judged(NamedTuple):
    """What guards look at: the changes, their results, and the people they affect."""

    changes: Sequence[Change]
    totals: Totals
    """How many resources there are before the changes."""
    before: State | None
    """None at the first apply, when nothing stands yet."""
    after: State
    access: AccessDiff
    groups: Sequence[GroupChange]
    now: datetime
    clocks: Clocks
    committed_at: datetime
    repair: bool = False
    """Whether the plan leads back to the applied revision, so that the changes only undo what was written by hand."""
    partial: bool = False
    """Whether a repair leaves something that was written by hand."""
    earlier: Mapping[str, Sequence[User]] | None = None


class OfState(NamedTuple):
    """A guard that judges states: it refuses only what is worse after the plan than before."""

    find: Callable[[State, Guards], list[Objection]]


Judge = Callable[[Judged, Guards], list[str]] | Callable[[Judged, Guards], list[Objection]] | OfState
"""Returns a guard's objections to a plan, in sentences if they concern nothing in particular; none means that it passes."""


def judge(judged: Judged, in_force: Guards, brought: Guards, remembered: Sequence[Remembered] = ()) -> tuple[GuardResult, ...]:
    """Return every guard's verdict. A plan without changes passes, since it cannot do any harm."""
    guards = stricter(in_force, brought)
    return tuple(
        GuardResult(guard, "pass", f"off ({setting_of(guard)})", off=setting_of(guard))
        if _is_off(guard, guards)
        else _with_setting(_verdict(guard, judged, guards, remembered), judged, guards, brought)
        for guard in GUARDS
    )


def _with_setting(result: GuardResult, judged: Judged, guards: Guards, brought: Guards) -> GuardResult:
    """Name the limit by which a guard refuses, and any setting that would permit the plan if what it brings were in force."""
    if result.verdict == "pass" or result.id not in SETTINGS:
        return result
    value, new = (getattr(each, SETTINGS[result.id]) for each in (guards, brought))
    setting = setting_of(result.id)
    if new != value and not _objections(result.id, judged, brought)[0]:
        setting += f" in force; this plan's {_show_limit(new)} counts from the next plan: apply it first"
    elif isinstance(value, bool | tuple):
        return result  # no limit that one would raise
    return result._replace(message=f"{result.message} ({setting})")


def _show_limit(value: float | tuple[object, ...] | None) -> str:
    if isinstance(value, tuple):
        return f"list of {count(len(value), 'entry', 'entries')}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}%" if isinstance(value, float) else f"{value:,}"


def setting_of(guard: str) -> str:
    """Return the setting of a guard, as the settings name it."""
    return f"guards.{fields_of(Guards)[SETTINGS[guard]].yaml}"


def _is_off(guard: str, guards: Guards) -> bool:
    value = getattr(guards, SETTINGS[guard]) if guard in SETTINGS else True
    return value is None or value is False or value == ()


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
    "refuse_new_administrators": or_,
}


def _verdict(guard: str, judged: Judged, guards: Guards, remembered: Sequence[Remembered]) -> GuardResult:
    description, _ = GUARDS[guard]
    found, stood = _objections(guard, judged, guards) if judged.changes else ([], [])
    repairs = bool(found) and judged.repair and guard in (_TAKEN_IN_PART if judged.partial else _TAKEN)
    known = [looked_up(each, guard, remembered, judged.now) for each in found]
    refused = [] if repairs else [one.objection for one in known if not one.holds]
    standing = [
        one._replace(why="a repair may take it away") if repairs else one for one in known if one.objection not in refused
    ]
    standing += [looked_up(each, guard, remembered, judged.now) for each in stood]
    if not found or repairs:
        return GuardResult(guard, "pass", "nothing gets worse" if standing else description, standing=tuple(standing))
    message = "; ".join(dict.fromkeys(each.message for each in refused or found))
    covered = tuple(one.objection for one in known if one.holds)
    return GuardResult(guard, "refuse" if refused else "overridden", message, tuple(refused), tuple(standing), covered)


def _objections(guard: str, judged: Judged, guards: Guards) -> tuple[list[Objection], list[Objection]]:
    """Return a guard's objections to what a plan makes worse, and to what stands already."""
    find = GUARDS[guard][1]
    if not isinstance(find, OfState):
        return [each if isinstance(each, Objection) else Objection((), each, each) for each in find(judged, guards)], []
    found = find.find(judged.after, guards)
    new = worse(found, find.find(judged.before, guards)) if found and judged.before is not None else found
    return new, [each for each in found if each not in new]


def overridden(results: Iterable[GuardResult], guards: Iterable[str]) -> tuple[GuardResult, ...]:
    """Return the verdicts with the named guards overridden; a guard that passes still passes."""
    names = set(guards)
    return tuple(
        result._replace(verdict="overridden") if result.verdict == "refuse" and result.id in names else result
        for result in results
    )


def _beyond(scope: str, gone: int, of: int, guards: Guards, done: str = "removed") -> list[str]:
    return _limited(f"{scope}: {gone} of {of} would be {done}", gone, of, guards)


def _limited(said: str, gone: int, of: int, guards: Guards) -> list[str]:
    allowed = max(NEVER_FEWER, int(of * guards.max_deletions_percent / 100))
    limit = f"the limit for one plan is {allowed}: {guards.max_deletions_percent:g}%, at least {NEVER_FEWER}"
    return [f"{said}; {limit}"] if gone > allowed else []


def _deletions(judged: Judged, guards: Guards) -> list[str]:
    gone = Counter(change.kind for change in judged.changes if _goes(change))
    found = _beyond("users", gone["User"], judged.totals.users, guards, _done_to("User", judged))
    found += _beyond("teams", gone["Team"], judged.totals.teams, guards)
    found += _beyond("issuers", gone["Issuer"], judged.totals.issuers, guards, _done_to("Issuer", judged))
    for change in judged.changes:
        if isinstance(change.before, Team) and change.after is None:
            for noun, held in (("member", _members), ("issuer", _issuers)):
                lost, of = _removed(held(change, judged))
                found += _limited(f"team {change.name} would be deleted, with its {count(lost, noun)}", lost, of, guards)
        elif isinstance(change.before, Team):
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


def _done_to(kind: Kind, judged: Judged) -> str:
    """Return what happens to the resources of a kind that go: whether any of them is only disabled."""
    deleted = all(change.action == "delete" for change in judged.changes if change.kind == kind and _goes(change))
    return "removed" if deleted else "removed or disabled"


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


def _new_administrators(judged: Judged, guards: Guards) -> list[Objection]:
    if not guards.refuse_new_administrators or judged.before is None:
        return []
    return list(new_administrators(judged.before, judged.after))


def _many_gain(judged: Judged, guards: Guards) -> list[str]:
    """Count accounts, people and applications alike; of AD groups, those of their members that are known."""
    if guards.max_people_gaining is None:
        return []
    gaining = judged.access.gaining.union(*(each.known for each in judged.groups if each.access.gaining))
    longer = judged.access.prolonged.union(*(each.known for each in judged.groups if each.access.prolonged)) - gaining
    if len(gaining | longer) <= guards.max_people_gaining:
        return []
    gain = "gain access or keep it for longer" if longer else "gain access"
    return [f"{len(gaining | longer)} accounts would {gain}; the limit for one plan is {guards.max_people_gaining}"]


def _emptying(judged: Judged, _guards: Guards) -> list[str]:
    balance: dict[Kind, int] = {"User": judged.totals.users, "Team": judged.totals.teams, "Issuer": judged.totals.issuers}
    before = dict(balance)
    for change in judged.changes:
        if change.kind in balance:
            balance[change.kind] += -1 if _goes(change) else change.action in ("create", "adopt")
    words: dict[Kind, str] = {"User": "users", "Team": "teams", "Issuer": "issuers"}
    return [
        f"all {words[kind]} would be {_done_to(kind, judged)} ({before[kind]})"
        for kind in balance
        if before[kind] > 0 and balance[kind] <= 0
    ]


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
    if now < (author := judged.committed_at) - AUTHORS:
        return [f"this machine's clock is {_roughly(author - now)} behind the commit; set it, or its author's was ahead"]
    newest = max((each for each in (recorded, served) if each is not None), default=None)
    if newest is not None and now > (last := max(newest, judged.committed_at)) + IDLE:
        return [f"this machine's clock is {_roughly(now - last)} ahead of everything recorded and of the commit; look at it"]
    return []


def _handed_over(judged: Judged, _guards: Guards) -> list[str]:
    """Require that Git says whose an account is, where the changes can be read in two ways."""
    return [] if judged.repair else handed_over(judged.changes, judged.earlier)


def _roughly(apart: timedelta) -> str:
    return f"{apart.days} days" if apart.days > 1 else f"{apart.total_seconds() / 3600:.0f} hours"


GUARDS: dict[str, tuple[str, Judge]] = {
    "deletions": ("within the limits", _deletions),
    "administrators": ("the number of administrators is within the limit", OfState(too_many_administrators)),
    "administrators-permitted-ips": (
        "every administrator has permitted IPs",
        OfState(unrestricted_administrators),
    ),
    "new-administrator": ("nobody becomes an administrator, except by the first revision", _new_administrators),
    "separation-of-duties": ("nobody has two duties that are kept apart", OfState(shared_duties)),
    "access-gained": ("the number of accounts that gain access is within the limit", _many_gain),
    "last-administrator": ("an administrator can still log in", OfState(no_administrator)),
    "identity-handed-over": ("no account passes to another person", _handed_over),
    "emptying": ("no kind of resource is removed completely", _emptying),
    "clock": ("the clock agrees with what the database recorded", _clock),
}
"""Stable id → the message if the guard passes, and its judge."""
SETTINGS = {
    "deletions": "max_deletions_percent",
    "administrators": "max_administrators",
    "administrators-permitted-ips": "administrators_need_permitted_ips",
    "new-administrator": "refuse_new_administrators",
    "separation-of-duties": "separation_of_duties",
    "access-gained": "max_people_gaining",
}
"""Guard → the limit that it judges by; the others are always on."""
LASTING = ("administrators-permitted-ips", "new-administrator", "separation-of-duties")
"""The guards whose objections name accounts and teams, so that an override can be remembered for just these.

The others count, or judge what one plan does: an override that was remembered for these would cover other people.
"""
_TAKEN = ("deletions", "emptying", "last-administrator")
"""The guards that object to what a plan takes away: in a repair, nobody declared it, and what is left was applied before.

All others object to what a plan gives, an account or an AD group, and judge a repair as any plan.
"""
_TAKEN_IN_PART = ("deletions",)
"""Those of them that a repair passes which leaves something that was written by hand."""
