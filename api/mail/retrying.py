"""Having mails tried again that failed or were given up, as an operator or an administrator asks."""

from __future__ import annotations

from collections.abc import Collection

from api.authentication.authority import Authority
from api.errors import Conflict
from api.outbox import status
from reconciler.store.audit import Event


def retry_mails(authority: Authority, numbers: Collection[int] | None) -> int:
    """Have messages tried again at once, those with these numbers or all that failed; return how many.

    Raises Conflict, and changes nothing, if one of them has neither failed nor been given up; Forbidden or StoreError.
    """
    with authority.acting() as act:
        found = status.retry(act.connection, numbers, act.now)
        missing = sorted(set(numbers or ()) - {number for number, _, _ in found})
        if missing:
            raise Conflict(f"message {missing[0]} has neither failed nor been given up; nothing was changed")
        act.record(
            *(
                Event("mail.retry", "User" if name else "", name or "", {"message": number, "template": template})
                for number, template, name in found
            )
        )
    return len(found)
