"""What a plan gives accounts that are disabled at runtime: no plan will show it when somebody enables them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from reconciler.access.problems import Problem
from reconciler.access.resources import Key, Origin, User
from reconciler.access.state import AccessState, access_at, rights_at
from reconciler.plan.access_diff import find_differences
from reconciler.plan.plan import Change
from reconciler.wording.text import listed

_FEW = 20
"""How many accounts a warning names."""


class Enabled:
    """A state in which disabled accounts are enabled, except those that Git disables."""

    def __init__(self, state: AccessState, users: Mapping[str, User], accounts: Iterable[str], now: datetime) -> None:
        enabled = {name: name not in users or users[name].enabled for name in accounts if name in state.accounts}
        self.access = access_at(state._replace(accounts=enabled), now)
        self.rights = rights_at(state._replace(accounts=enabled), now)


def gains_once_enabled(
    accounts: Iterable[str], before: Enabled, after: Enabled, *, origins: Mapping[Key, Origin], changes: Iterable[Change]
) -> Iterator[Problem]:
    """Warn of what these accounts get as soon as they are enabled, once for all that get the same."""
    first = next((change.source for change in changes if change.source is not None), None)
    found: dict[str, list[str]] = {}
    for name in accounts:
        if gains := _gains(name, before, after):
            found.setdefault(gains, []).append(name)
    for gains, names in found.items():
        source = origins.get(("User", names[0])) or first
        if source is not None:
            message = f"{_who(names)} disabled here, not in Git, and once enabled again gains {gains}"
            yield Problem(source.file, source.line, 1, "gains-once-enabled", "warning", message)


def _gains(name: str, before: Enabled, after: Enabled) -> str:
    access = find_differences([name], before.access, after.access)
    issuers = sorted({*(one.issuer for one in access.gained), *(change.after.issuer for change in access.opening)})
    rights = ["administrators' rights"] if find_differences([name], before.rights, after.rights).gaining else []
    return listed([*(f"`{issuer}`" for issuer in issuers), *rights])


def _who(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"`{names[0]}` is"
    rest = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    return f"each of {', '.join(f'`{name}`' for name in names[:_FEW])}{rest} is"
