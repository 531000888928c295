"""The access that a plan changes: who gains and loses what, computed only for accounts that a change can touch.

Both states use the new names of renamed resources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from reconciler.access.resources import Issuer, Team, User
from reconciler.access.state import Access, AccessState
from reconciler.plan.effects import concerns_every_member
from reconciler.plan.plan import AccessChange, AccessDiff, Change

Lookup: TypeAlias = Callable[[str], Mapping[str, Access]]
"""What an account has, by issuer."""


def find_differences(accounts: Iterable[str], before: Lookup, after: Lookup) -> AccessDiff:
    """Compare what accounts, in this order, have before and after."""
    gained: list[Access] = []
    lost: list[Access] = []
    changed: list[AccessChange] = []
    for user in accounts:
        was, has = before(user), after(user)
        if not was:
            gained += [has[issuer] for issuer in sorted(has)]
            continue
        gained += [has[issuer] for issuer in sorted(has.keys() - was)]
        lost += [was[issuer] for issuer in sorted(was.keys() - has)]
        changed += [AccessChange(was[issuer], has[issuer]) for issuer in sorted(was.keys() & has) if was[issuer] != has[issuer]]
    return AccessDiff(tuple(gained), tuple(lost), tuple(changed))


def affected_accounts(before: AccessState, after: AccessState, changes: Iterable[Change]) -> set[str]:
    """Return the accounts whose access the changes can alter; perhaps more, but never fewer."""
    accounts: set[str] = set()
    teams: set[str] = set()
    issuers: set[str] = set()
    for change in changes:
        old, new = change.before, change.after
        if isinstance(old or new, User):
            accounts.add(change.name)
        elif isinstance(old or new, Issuer):
            issuers.add(change.name)
        elif isinstance(old, Team) and isinstance(new, Team) and not concerns_every_member(old, new):
            accounts.update(member.user for member in set(old.members) ^ set(new.members))
        elif isinstance(old or new, Team):
            teams.add(change.name)
    if issuers:
        for state in (before, after):
            teams.update(team.name for team in state.teams.values() if any(p.issuer in issuers for p in team.permissions))
    if teams:
        for state in (before, after):
            accounts.update(user for user, memberships in state.memberships.items() if not teams.isdisjoint(memberships))
    return accounts
