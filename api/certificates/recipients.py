"""Who is mailed about a certificate, and whether anybody is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from api.state.policies import MailPolicy
from reconciler.access.mails import CERTIFICATE_ISSUED


class Person(NamedTuple):
    """Somebody with an account, and its current address."""

    user_id: int
    email: str


class Recipient(NamedTuple):
    """The recipient of a message: an account, at its address when the message is delivered, or an address."""

    user_id: int | None
    address: str | None


def recipients(
    owner: Person | None, administrators: Sequence[Person], extra: Iterable[str], always: Iterable[str]
) -> list[Recipient]:
    """The owner, or administrators if the owner is gone or has no address; then addresses. Each address gets one message."""
    people = [owner] if owner is not None and owner.email else [each for each in administrators if each.email]
    found: dict[str, Recipient] = {}
    for person in people:
        found.setdefault(folded(person.email), Recipient(person.user_id, None))
    for address in (*extra, *always):
        found.setdefault(folded(address), Recipient(None, address))
    return list(found.values())


def folded(address: str) -> str:
    """An address in the form in which addresses are compared: mail servers in use ignore case."""
    return address.lower()


def unwanted(template: str, certificate: Any, policy: MailPolicy) -> str | None:  # noqa: PLR0911 - one reason per check
    """Why nobody wants a mail about a certificate any more; None if it is wanted.

    `certificate` has the columns `revoked_at`, `renewed_at`, `tracked`, and its team's `suppress_issued_emails` and
    `suppress_reminder_emails`.
    """
    if certificate.revoked_at is not None:
        return "the certificate was revoked"
    if template == CERTIFICATE_ISSUED:
        if certificate.suppress_issued_emails:
            return "the team suppresses mails about issued certificates"
        return None if policy.on_issue else "the Settings switch off mails about issued certificates"
    if certificate.renewed_at is not None:
        return "the certificate was renewed"
    if not certificate.tracked:
        return "the certificate's expiry is no longer tracked"
    if certificate.suppress_reminder_emails:
        return "the team suppresses reminders"
    return None if policy.on_expiry else "the Settings switch off reminders"
