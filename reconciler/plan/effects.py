"""What a plan does besides changing declared facts: mails sent, sessions and tokens ended."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.access.resources import Resource, Team, User
from reconciler.plan.actual import Runtime
from reconciler.plan.plan import Change, Effects


def gets_welcome_mail(user: User) -> bool:
    """Whether a new user is mailed a generated password."""
    return user.initial_password == "generated"  # noqa: S105 - the way a password is made, not one


def ends_credentials(change: Change) -> bool:
    """Whether a change ends every session and token of an account: it goes away, or Git switches it off."""
    before, after = change.before, change.after
    return isinstance(before, User) and before.enabled and not (isinstance(after, User) and after.enabled)


def loses_ad_group(before: Resource | None, after: Resource | None) -> bool:
    """Whether a team no longer takes in the members of an AD group that it did.

    Which of its directory members came through which group is not known: all of them leave, and those who are in another of its
    groups come back when the directory is read next.
    """
    return isinstance(before, Team) and isinstance(after, Team) and not set(before.ad_groups) <= set(after.ad_groups)


def find_effects(changes: Iterable[Change], runtime: Runtime) -> Effects:
    """Count the mails a plan sends, and the live sessions and tokens it ends."""
    mails = sessions = tokens = 0
    for change in changes:
        if change.action == "create" and isinstance(change.after, User):
            mails += gets_welcome_mail(change.after)
        elif (change.kind == "User" and change.action == "delete") or ends_credentials(change):
            name = change.previous_name or change.name
            sessions += runtime.sessions.get(name, 0)
            tokens += runtime.tokens.get(name, 0)
    return Effects(mails, sessions, tokens)
