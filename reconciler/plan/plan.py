"""Plan: the ordered changes from actual to desired, the access they change, and the guards' verdicts. Data only."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import orjson

from reconciler.access.problems import Problem
from reconciler.access.resources import Key, Kind, Origin, Resource, Revision
from reconciler.access.state import Access
from reconciler.plan.fields import differences

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


class AccessChange(NamedTuple):
    """Access that stays but ends at another time or comes through other teams."""

    before: Access
    after: Access


class AccessDiff(NamedTuple):
    """The access that a plan changes, each list sorted by user and issuer."""

    gained: tuple[Access, ...] = ()
    lost: tuple[Access, ...] = ()
    changed: tuple[AccessChange, ...] = ()


class AdministratorDiff(NamedTuple):
    """The accounts that become administrators and those that stop being administrators, by name."""

    gained: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


class GuardResult(NamedTuple):
    """A guard's verdict on a plan."""

    id: str
    verdict: Literal["pass", "refuse", "overridden"]
    message: str


class Effects(NamedTuple):
    """What a plan does besides changing declared facts."""

    mails: int = 0
    sessions_ended: int = 0
    tokens_ended: int = 0


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
    warnings: tuple[Problem, ...] = ()
    unmanaged: tuple[Key, ...] = ()
    """Rows that Git never declared; the plan leaves them alone."""
    moves: tuple[tuple[Key, Origin], ...] = ()
    """Resources that are now declared in another file, with the same facts."""
    path: str = ""
    """The folder in the config repository that the resources were read from; empty means the root."""
    adopt: bool = False
    """Whether the plan takes over unmanaged rows, and deletes those that Git does not declare."""
    rewind: bool = False
    """Whether the revision does not descend from the applied one, which somebody allowed."""

    @property
    def is_empty(self) -> bool:
        """Whether applying this plan changes no declared fact."""
        return not self.changes

    @property
    def refusals(self) -> tuple[GuardResult, ...]:
        """The guards that refuse this plan and are not overridden."""
        return tuple(result for result in self.guards if result.verdict == "refuse")
