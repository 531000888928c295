"""What a plan gives accounts that are disabled at runtime: no plan will show it when somebody enables them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from reconciler.access.problems import Problem
from reconciler.access.resources import Key, Origin, User
from reconciler.access.state import AccessState, access_at, rights_at
from reconciler.plan.access_diff import find_differences
from reconciler.plan.plan import Change
from reconciler.wording.text import listed


class Enabled:
    """A state in which disabled accounts are enabled, except those that Git disables."""

    def __init__(self, state: AccessState, users: Mapping[str, User], accounts: Iterable[str], now: datetime) -> None:
        enabled = {name: name not in users or users[name].enabled for name in accounts if name in state.accounts}
        self.access = access_at(state._replace(accounts=enabled), now)
        self.rights = rights_at(state._replace(accounts=enabled), now)


def gains_once_enabled(
    accounts: Iterable[str], before: Enabled, after: Enabled, *, origins: Mapping[Key, Origin], changes: Iterable[Change]
) -> Iterator[Problem]:
    """Warn of what each of these accounts gets as soon as it is enabled."""
    sources = [change.source for change in changes if change.source is not None]
    for name in accounts:
        access = find_differences([name], before.access, after.access)
        gained = sorted({*(one.issuer for one in access.gained), *(change.after.issuer for change in access.opening)})
        what = [f"`{issuer}`" for issuer in gained]
        if find_differences([name], before.rights, after.rights).gaining:
            what.append("administrators' rights")
        source = origins.get(("User", name)) or next(iter(sources), None)
        if what and source is not None:
            message = f"`{name}` is disabled here, not in Git, and gains {listed(what)} once it is enabled again"
            yield Problem(source.file, source.line, 1, "gains-once-enabled", "warning", message)
