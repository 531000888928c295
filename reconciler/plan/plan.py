"""Plan: the ordered changes from actual to desired, the access they change, and the guards' verdicts. Data only."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson

from reconciler.access.permitted_ips import Addresses, without
from reconciler.access.problems import Problem
from reconciler.access.resources import Key, Kind, Origin, Resource, Revision
from reconciler.access.state import Access, Later, earlier
from reconciler.plan.fields import differences
from reconciler.plan.objections import Objection, Remembered, Standing

Action = Literal["create", "update", "rename", "delete", "adopt"]
FORMER = " (former)"
"""Ends the name, in a plan, of a resource that is deleted because another one gets its name. No declared name ends so."""


class _Change(NamedTuple):
    action: Action
    kind: Kind
    name: str
    source: Origin | None
    before: Resource | None
    after: Resource | None


class Change(_Change):
    """One resource's change: `before` is what the database holds, `after` what Git declares. Either may be None.

    Names are those after the change, except that of `before`, which is the row's name in the database. A rename may also change
    fields. `adopt` takes over a row that Git never declared before.
    """

    @property
    def fields(self) -> dict[str, dict[str, Any]]:
        """The fields that change (see `reconciler.plan.fields.differences`), computed at each call."""
        return differences(self.kind, self.before, self.after)

    @property
    def fields_json(self) -> bytes:
        """`fields` as canonical JSON, kept for both the plan's digest and its audit entries."""
        kept: bytes | None = self.__dict__.get("json")
        if kept is None:
            written = orjson.dumps(self.fields, option=orjson.OPT_SORT_KEYS)
            kept = self.__dict__["json"] = bytes(memoryview(written))  # without the spare room that orjson leaves
        return kept

    @property
    def previous_name(self) -> str | None:
        """The name before a rename, otherwise None."""
        return self.before.name if self.action == "rename" and self.before is not None else None


class Period(NamedTuple):
    """The addresses that open and close to somebody between two instants; None: at once, and for good."""

    since: datetime | None
    until: datetime | None
    opened: tuple[str, ...]
    closed: tuple[str, ...]
    before: Addresses
    after: Addresses


class AccessChange(NamedTuple):
    """Access that stays but ends at another time, comes through other teams or from other addresses."""

    before: Access
    after: Access

    @property
    def periods(self) -> tuple[Period, ...]:
        """When and which addresses open and close, as long as the access lasts before and after."""
        was, now = self.before, self.after
        if was.addresses == now.addresses and was.later == now.later:
            return ()
        end = earlier(was.until, now.until)
        return _periods((was.addresses, was.later), (now.addresses, now.later), end)

    @property
    def opens(self) -> bool:
        """Whether it can be used from more addresses, now or later: that is a gain."""
        return any(period.opened for period in self.periods)

    @property
    def lasts_longer(self) -> bool:
        """Whether it ends later, or no more."""
        before, after = self.before.until, self.after.until
        return before is not None and (after is None or after > before)

    @property
    def closes(self) -> bool:
        """Whether there are addresses from which it cannot be used any more: that is a loss."""
        return any(period.closed for period in self.periods)


_Limits: TypeAlias = tuple[Addresses, Later]


@lru_cache(maxsize=4_096)  # the same for all members of a team
def _periods(was: _Limits, now: _Limits, end: datetime | None) -> tuple[Period, ...]:
    starts = sorted({moment for _, later in (was, now) for moment, _ in later if end is None or moment < end})
    found: list[Period] = []
    for start in (None, *starts):
        before, after = _from(was, start), _from(now, start)
        opened, closed = without(after, before), without(before, after)
        if found and (opened, closed) == (found[-1].opened, found[-1].closed):
            continue
        if found:
            found[-1] = found[-1]._replace(until=start)
        found.append(Period(start, None, opened, closed, before, after))
    return tuple(period for period in found if period.opened or period.closed)


def _from(limits: _Limits, moment: datetime | None) -> Addresses:
    begun = [addresses for start, addresses in limits[1] if moment is not None and start <= moment]
    return begun[-1] if begun else limits[0]


class AccessDiff(NamedTuple):
    """The access that a plan changes, each list sorted by user and issuer."""

    gained: tuple[Access, ...] = ()
    lost: tuple[Access, ...] = ()
    changed: tuple[AccessChange, ...] = ()

    @property
    def opening(self) -> tuple[AccessChange, ...]:
        """What stays and opens to addresses."""
        return tuple(change for change in self.changed if change.opens)

    @property
    def closing(self) -> tuple[AccessChange, ...]:
        """What stays and closes to addresses; it may open to others."""
        return tuple(change for change in self.changed if change.closes)

    @property
    def gaining(self) -> set[str]:
        """Who gains access, also from more addresses."""
        return {access.user for access in self.gained} | {change.after.user for change in self.opening}

    @property
    def prolonged(self) -> set[str]:
        """Who keeps access for longer."""
        return {change.after.user for change in self.changed if change.lasts_longer}

    @property
    def losing(self) -> set[str]:
        """Who loses access, also from some addresses."""
        return {access.user for access in self.lost} | {change.after.user for change in self.closing}


class GroupChange(NamedTuple):
    """What an AD group's members gain and lose: in its access and rights, the user is the group."""

    group: str
    known: tuple[str, ...]
    """The directory accounts that are known to be in it: those that were here, through a team that lists it."""
    joins: tuple[str, ...]
    leaves: tuple[str, ...]
    """The teams that list it only after, and only before."""
    access: AccessDiff
    rights: AccessDiff


class AdministratorDiff(NamedTuple):
    """The accounts that become administrators and those that stop being administrators, by name."""

    gained: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


class GuardResult(NamedTuple):
    """A guard's verdict on a plan."""

    id: str
    verdict: Literal["pass", "refuse", "overridden"]
    message: str
    refused: tuple[Objection, ...] = ()
    """What refuses the plan, unless somebody overrides it now."""
    standing: tuple[Standing, ...] = ()
    """What would be refused if it had not stood before, or if nobody had overridden it until an instant."""
    covered: tuple[Objection, ...] = ()
    """What the plan would be refused for, if nobody had overridden it until an instant."""
    off: str = ""
    """The setting that turns the guard off; a guard that is off passes every plan."""


class Effects(NamedTuple):
    """What a plan does besides changing declared facts."""

    mails: int = 0
    sessions_ended: int = 0
    tokens_ended: int = 0
    mails_withheld: int = 0
    """Welcome mails that somebody asked not to send."""


class Checkout(NamedTuple):
    """Where a work tree stands beside the branch that was planned without its saying so."""

    planned: str
    branch: str | None
    """The branch that is checked out; None if there is none."""
    commit: str
    ahead: int = 0
    behind: int = 0
    uncommitted: int = 0
    """How many files with resources differ from the commit that is checked out."""


class Plan(NamedTuple):
    """Everything that `apply` will do, and everything that `plan` shows: one object for both."""

    revision: Revision
    applied: Revision | None
    generation: int
    changes: tuple[Change, ...]
    access: AccessDiff
    guards: tuple[GuardResult, ...]
    effects: Effects
    administrators: AdministratorDiff = AdministratorDiff()
    rights: AccessDiff = AccessDiff()
    """The same as access: through which teams, until when and from where administrators have their rights."""
    groups: tuple[GroupChange, ...] = ()
    """What members of AD groups gain and lose, sorted by group; Accord knows only some of them."""
    applications: frozenset[str] = frozenset()
    """The applications among the accounts that the plan affects; the others are people."""
    warnings: tuple[Problem, ...] = ()
    warned_before: int = 0
    """How many warnings about the changed files stood before; they are not listed."""
    unmanaged: tuple[Key, ...] = ()
    """Rows that Git never declared; the plan leaves them alone."""
    moves: tuple[tuple[Key, Origin], ...] = ()
    """Resources that are now declared in another file, with the same facts."""
    shifts: tuple[tuple[Key, Origin], ...] = ()
    """Resources that stand on other lines of their files, with the same facts. Neither shown nor part of the plan's digest."""
    path: str = ""
    """The folder in the config repository that the resources were read from; empty means the root."""
    adopt: bool = False
    """Whether the plan takes over unmanaged rows, and deletes those that Git does not declare."""
    rewind: bool = False
    """Whether the revision does not descend from the applied one, which somebody allowed."""
    against: bool = False
    """Whether `applied` is only another revision to compare with, and no database was read."""
    welcome: bool = True
    """Whether people who are created are mailed a password."""
    merge: Literal["behind", "older"] | None = None
    """How a revision stands that was planned as its merge with the applied one; such a plan cannot be applied."""
    working_tree: bool = False
    """Whether the plan is of files in a folder; such a plan cannot be applied either."""
    ended: tuple[Remembered, ...] = ()
    """The overrides that somebody ends: the guards are judged without them, and applying the plan forgets them."""

    @property
    def is_empty(self) -> bool:
        """Whether applying this plan changes no declared fact."""
        return not self.changes

    @property
    def renames(self) -> dict[Kind, dict[str, str]]:
        """Old name → new name of what is renamed, by kind."""
        found: dict[Kind, dict[str, str]] = {}
        for change in self.changes:
            if change.previous_name is not None:
                found.setdefault(change.kind, {})[change.previous_name] = change.name
        return found

    @property
    def refusals(self) -> tuple[GuardResult, ...]:
        """The guards that refuse this plan and are not overridden."""
        return tuple(result for result in self.guards if result.verdict == "refuse")
