"""Renames that may hand an account to somebody else: reviewers must see them, although no access changes."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.access.problems import Problem
from reconciler.access.resources import User
from reconciler.plan.plan import Change


def handed_over(changes: Iterable[Change]) -> list[Problem]:
    """Warn about each account that is renamed and gets another e-mail address: it may now be another person's."""
    return [
        Problem(
            change.source.file,
            change.source.line,
            1,
            "identity-handed-over",
            "warning",
            f"user `{change.name}` was `{change.previous_name}` and gets another e-mail address; "
            "the account keeps its tokens and memberships",
        )
        for change in changes
        if change.action == "rename"
        and isinstance(change.before, User)
        and isinstance(change.after, User)
        and change.before.email != change.after.email
        and change.source is not None
    ]
