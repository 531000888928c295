"""Renames that hand an account over to somebody else, which a reviewer has to see: no access changes by them."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.access.problems import Problem
from reconciler.access.resources import User
from reconciler.plan.plan import Change


def handed_over(changes: Iterable[Change]) -> list[Problem]:
    """A warning for each account that is renamed and gets another e-mail address: it may be another person's from now on."""
    return [
        Problem(
            change.source.file,
            change.source.line,
            1,
            "identity-handed-over",
            "warning",
            f"user `{change.name}` was `{change.previous_name}` and gets another e-mail address: "
            "tokens and memberships stay with the account",
        )
        for change in changes
        if change.action == "rename"
        and isinstance(change.before, User)
        and isinstance(change.after, User)
        and change.before.email != change.after.email
        and change.source is not None
    ]
