"""What can become of a message in the outbox."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, case, or_, select

from api.state.accounts import DISABLED, WITH_STATES
from reconciler.access.mails import PASSWORD_MAILS
from reconciler.store import tables

_LONGEST_ERROR = 500
_outbox, _users = tables.outbox.c, tables.users.c


class Outcome(StrEnum):
    """What has become of a message."""

    WAITING = "waiting"
    SENT = "sent"
    UNWANTED = "unwanted"
    """Nobody wants it any more."""
    GIVEN_UP = "given up"
    """It could not be delivered, so somebody is not getting a mail. An operator can have it tried again."""


class Ending(NamedTuple):
    """Why a message will never be sent."""

    why: str
    outcome: Literal[Outcome.UNWANTED, Outcome.GIVEN_UP]


WAITING: ColumnElement[bool] = _outbox.sent_at.is_(None) & _outbox.ended_at.is_(None)
GIVEN_UP: ColumnElement[bool] = _outbox.sent_at.is_(None) & _outbox.ended_at.is_not(None) & _outbox.given_up
OUTCOME: ColumnElement[str] = case(
    (WAITING, Outcome.WAITING.value),
    (_outbox.sent_at.is_not(None), Outcome.SENT.value),
    (GIVEN_UP, Outcome.GIVEN_UP.value),
    else_=Outcome.UNWANTED.value,
)
_DISABLED_ACCOUNTS = select(_users.id).select_from(WITH_STATES).where(DISABLED)
HELD_BACK: ColumnElement[bool] = _outbox.template.in_(PASSWORD_MAILS) & _outbox.user_id.in_(_DISABLED_ACCOUNTS)
"""Whether it is a password mail of a disabled account, which waits until the account is enabled."""
TOO_FAR = timedelta(days=2)
"""No message waits this long for its next attempt (`api/mail/retry_policy.py`); a later instant comes from a fast clock."""


def is_free(now: datetime) -> ColumnElement[bool]:
    """Whether nobody is delivering the message at the moment."""
    return or_(_outbox.claim.is_(None), _outbox.next_attempt_at <= now, _outbox.next_attempt_at > now + TOO_FAR)


def due(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool], ColumnElement[bool]]:
    """Whether a waiting message is to be tried: never tried before; tried, and its time has come; put off too far."""
    next_attempt = _outbox.next_attempt_at
    return next_attempt.is_(None), next_attempt <= now, next_attempt > now + TOO_FAR


def ended(ending: Ending, now: datetime) -> dict[str, Any]:
    """The columns of a message that will never be sent."""
    return {
        "ended_at": now,
        "next_attempt_at": None,
        "last_error": shortened(ending.why),
        "given_up": ending.outcome is Outcome.GIVEN_UP,
    }


def shortened(why: str) -> str:
    """An error as it is kept."""
    return why[:_LONGEST_ERROR]
