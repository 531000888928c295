"""Plan: the ordered changes from actual to desired, the access they change, and the guards' verdicts. Data only."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import orjson

from reconciler.access.problems import Problem
from reconciler.access.resources import Key, Kind, Origin, Resource, Revision
from reconciler.access.state import Access
from reconciler.plan.fields import differences

Action = Literal["create", "update", "rename", "delete", "adopt"]


class _Change(NamedTuple):
    action: Action
    kind: Kind
    name: str
    source: Origin | None
    before: Resource | None
    after: Resource | None


class Change(_Change):
    """One resource's change. `before` is what the database holds, `after` what Git declares; None where there is none.

    A rename may change fields too. `adopt` takes over a row that Git never declared before.
    """

    @property
    def fields(self) -> dict[str, dict[str, Any]]:
        """What changes inside: see `reconciler.plan.fields.differences`. Worked out anew at each call."""
        return differences(self.kind, self.before, self.after)

    @property
    def fields_json(self) -> bytes:
        """`fields` as canonical JSON; kept, since a plan's digest and its audit entries are made of the same bytes."""
        kept: bytes | None = self.__dict__.get("json")
        if kept is None:
            written = orjson.dumps(self.fields, option=orjson.OPT_SORT_KEYS)
            kept = self.__dict__["json"] = bytes(memoryview(written))  # without the room that orjson leaves behind it
        return kept

    @property
    def previous_name(self) -> str | None:
        """The name before a rename, else None."""
        return self.before.name if self.action == "rename" and self.before is not None else None


class AccessChange(NamedTuple):
    """Access that stays but ends at another time or runs through other teams."""

    before: Access
    after: Access


class AccessDiff(NamedTuple):
    """The access a plan changes, each list sorted by user and issuer."""

    gained: tuple[Access, ...] = ()
    lost: tuple[Access, ...] = ()
    changed: tuple[AccessChange, ...] = ()


class AdministratorDiff(NamedTuple):
    """The accounts that become administrators and those that stop being one, by name."""

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
    """Rows that Git never declared; left alone."""
    moves: tuple[tuple[Key, Origin], ...] = ()
    """Resources now declared in another file, whose facts are unchanged."""
    path: str = ""
    """The folder of the config repository that the resources were read from; empty means its root."""
    adopt: bool = False
    """Whether unmanaged rows are taken over, and deleted where Git does not declare them."""
    rewind: bool = False
    """Whether the revision does not descend from the applied one, and that was permitted."""

    @property
    def is_empty(self) -> bool:
        """Whether applying this plan leaves every declared fact as it is."""
        return not self.changes

    @property
    def refusals(self) -> tuple[GuardResult, ...]:
        """The guards that refuse this plan, and are not overridden."""
        return tuple(result for result in self.guards if result.verdict == "refuse")
