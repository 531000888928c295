"""What a plan does besides changing declared facts: it sends mails, and ends sessions and tokens."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.access.ad_groups import folded
from reconciler.access.resources import Resource, Team, User
from reconciler.plan.actual import Runtime
from reconciler.plan.plan import Change, Effects


def gets_welcome_mail(user: User) -> bool:
    """Tell whether a new user is mailed a generated password."""
    return user.initial_password == "generated"  # noqa: S105 - how the password is made, not a password


def ends_credentials(change: Change) -> bool:
    """Tell whether a change ends all sessions and tokens of an account, because it deletes or disables the account."""
    before, after = change.before, change.after
    return isinstance(before, User) and before.enabled and not (isinstance(after, User) and after.enabled)


def ends_account(change: Change) -> bool:
    """Tell whether a change deletes or disables an account; one that is disabled already ends when it is deleted."""
    return change.kind == "User" and (change.action == "delete" or ends_credentials(change))


def loses_ad_group(before: Resource | None, after: Resource | None) -> bool:
    """Tell whether a team loses an AD group. Who is known to be a member through one that remains stays.

    Whoever is in a remaining group as well, which is recorded of one group only, comes back when the directory is next read.
    """
    return isinstance(before, Team) and isinstance(after, Team) and not folded(before.ad_groups) <= folded(after.ad_groups)


def concerns_every_member(before: Team, after: Team) -> bool:
    """Tell whether a team's change can affect the access or the rights of every member, not only of those who join or leave."""
    return (
        before.permissions != after.permissions
        or before.permitted_ips != after.permitted_ips
        or before.administrator != after.administrator
        or before.name != after.name
        or loses_ad_group(before, after)
    )


def find_effects(changes: Iterable[Change], runtime: Runtime, *, welcome: bool = True) -> Effects:
    """Count the mails a plan sends, or withholds without `welcome`, and the live sessions and tokens it ends."""
    mails = sessions = tokens = 0
    for change in changes:
        if change.action == "create" and isinstance(change.after, User):
            mails += gets_welcome_mail(change.after)
        elif change.before is not None and ends_account(change):
            sessions += runtime.sessions.get(change.before.name, 0)
            tokens += runtime.tokens.get(change.before.name, 0)
    return Effects(mails if welcome else 0, sessions, tokens, 0 if welcome else mails)
