"""Decisions about the caller itself, and about accounts that it may decide for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from api.authentication.principal import Authenticator, Principal
from api.errors import Forbidden, Invalid
from api.state.snapshots import AccessSnapshot, Account
from reconciler.access.decide import decide
from reconciler.access.instants import format_instant, parse_instant
from reconciler.access.permitted_ips import parse_address
from reconciler.access.state import Path

CLOCKS = timedelta(minutes=1)
"""How much later Accord's clock may be than that of a client who asks about its own present."""
_NARROWED = (False, "credential-not-permitted", None, None)
"""The credential is narrowed to other issuers."""
_UNREAD = (False, "directory-unread", None, None)
"""The directory of the subject's account has not been read for too long."""
Question = Mapping[str, Any]
Answer = tuple[str, bytes]
"""The reason of a decision, and the whole decision as JSON."""


def decide_own(principal: Principal, issuer: str, action: str) -> Answer:
    """The decision about the caller itself, from its address, now."""
    return _answer(principal, principal.access, {"issuer": issuer, "action": action})


def decide_all(
    authenticator: Authenticator, principal: Principal, questions: Sequence[Question], is_stale: Callable[[Account], bool]
) -> list[Answer]:
    """The decisions, in order. Raises Forbidden if the caller may not ask for one of them, Unauthenticated, Invalid or
    StoreError.

    `is_stale` says whether the last reading of a directory account is too old to count.
    """
    for number, question in enumerate(questions, 1):
        if "at" in question and parse_instant(question["at"]) < principal.now - CLOCKS:
            item = f"item {number} of `requests`: " if len(questions) > 1 else ""
            raise Invalid(f"the body: {item}`at` is in the past; leave it out to ask about now")
    subjects = {question["subject"] for question in questions if "subject" in question} - {principal.name}
    if subjects:
        principal = authenticator.beside(principal, *subjects)
    access = principal.access
    for subject in subjects:
        if not may_decide_for(principal, subject, access):
            raise Forbidden(f"this account may not ask for decisions about `{subject}`", reason="may-not-decide-for")
    elsewhere = any("address" in question and question.get("subject", principal.name) == principal.name for question in questions)
    if elsewhere and not may_decide_for(principal, principal.name, access):
        raise Forbidden("this account may not ask for decisions from another address", reason="may-not-decide-for")
    stale = {each for each in subjects if access.is_directory_account(each) and is_stale(access.accounts[each])}
    return [_answer(principal, access, question, stale) for question in questions]


def may_decide_for(principal: Principal, subject: str, access: AccessSnapshot) -> bool:
    """Whether the caller may ask about an account: administrators about all, applications about members of certain teams."""
    if principal.is_administrator:
        return True
    if principal.account.type != "application":
        return False
    of_subject = {team.name for team in access.teams(subject, principal.now)}
    return any(team.may_decide_for == "everyone" or not of_subject.isdisjoint(team.may_decide_for) for team in principal.teams)


def _answer(principal: Principal, access: AccessSnapshot, question: Question, stale: Collection[str] = ()) -> Answer:
    subject: str = question.get("subject", principal.name)
    issuer: str = question["issuer"]
    action: str = question.get("action", "request")
    own = subject == principal.name
    address = principal.address if own else None
    if "address" in question:
        address = parse_address(question["address"])
    if not principal.credential.narrowing.permits_issuer(issuer):
        return _shown(_NARROWED, access, subject, issuer, action)
    if subject in stale:
        return _shown(_UNREAD, access, subject, issuer, action)
    at = max(principal.now, parse_instant(question["at"])) if "at" in question else principal.now
    return _shown(decide(access.state, subject, issuer, address, at), access, subject, issuer, action)


def _shown(
    decision: tuple[bool, str, Path | None, str | None], access: AccessSnapshot, subject: str, issuer: str, action: str
) -> Answer:
    allow, reason, path, rule = decision
    return reason, orjson.dumps(
        {
            "allow": allow,
            "reason": reason,
            "subject": subject,
            "issuer": issuer,
            "action": action,
            "path": path
            and {
                "team": path.team,
                "adGroup": path.membership.reason if access.is_directory_account(subject) else None,
                "membershipUntil": _instant(path.membership.until),
                "permissionUntil": _instant(path.permission.until),
                "until": _instant(path.until),
            },
            "rule": rule,
            "revision": {"commit": access.commit, "generation": access.stamp.generation},
        }
    )


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)
