"""Access in sentences: who gains, keeps and loses what, through which teams, until when and from where."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from reconciler.access.instants import show_instant
from reconciler.access.permitted_ips import Addresses
from reconciler.access.state import ADMINISTRATOR, Access
from reconciler.plan.plan import AccessChange, AccessDiff, GroupChange, Period
from reconciler.wording.text import count, listed

Applications = Collection[str] | None
"""Which accounts are applications; None if that is not known."""
FEW = 6
"""How many addresses of those that stay as they are a sentence lists."""
_T = TypeVar("_T", bound=Access | AccessChange)


def accounts_words(users: Collection[str], applications: Applications) -> str:
    """Count people and applications: `2 people and 1 application`."""
    if applications is None:
        return count(len(users), "account")
    programs = sum(user in applications for user in users)
    people = len(users) - programs
    parts = [count(people, "person", "people")] if people else []
    return " and ".join([*parts, count(programs, "application")] if programs else parts)


def addresses_words(addresses: Addresses, most: int | None = None, quoted: Callable[[str], str] = str) -> str:
    """List addresses, at most so many: `anywhere`, or `10.20.0.0/16, 192.0.2.7 and 3 more ranges`."""
    if addresses is None:
        return "anywhere"
    rest = 0 if most is None else len(addresses) - most
    return quoted(", ".join(addresses[:most])) + (f" and {count(rest, 'more range')}" if rest > 0 else "")


def from_words(access: Access, most: int | None = None) -> str:
    """Say from where access holds, now and later: `from 10.20.0.0/16, after 2026-12-31 from anywhere`."""
    steps = [f"after {show_instant(moment)} from {addresses_words(held, most)}" for moment, held in access.later]
    return ", ".join([f"from {addresses_words(access.addresses, most)}", *steps])


def access_sentences(accesses: Iterable[Access], verb: str, applications: Applications = None) -> list[str]:
    """Group accounts and issuers of the same access: `alice gains tls, vpn through web until 2099-12-31, from anywhere`."""
    return [
        _sentence(users, applications, f"{verb}{_s(users)} {_what(access, issuers)}")
        for access, issuers, users in _alike(grouped(accesses))
    ]


def _what(access: Access, issuers: str) -> str:
    until = "" if access.until is None else f" until {show_instant(access.until)}"
    return f"{issuers} through {listed(access.through)}{until}, {from_words(access)}"


def _issuer(access: Access) -> str:
    return "administrators' rights" if access.issuer == ADMINISTRATOR else access.issuer


def _sentence(users: Sequence[str], applications: Applications, predicate: str) -> str:
    if len(users) == 1:
        return f"{users[0]} {predicate}"
    return f"{accounts_words(users, applications)} {predicate}: {', '.join(users)}"


def _s(users: Sequence[str]) -> str:
    return "s" if len(users) == 1 else ""


def grouped(items: Iterable[_T]) -> list[tuple[_T, list[str]]]:
    """Group accounts for which the same holds: one of the items, and all accounts; sorted by issuer, teams and account."""
    groups: dict[Hashable, tuple[_T, list[str]]] = {}
    for item in items:
        key = item[1:] if isinstance(item, Access) else (item.before[1:], item.after[1:])
        groups.setdefault(key, (item, []))[1].append(_access(item).user)
    return sorted(groups.values(), key=lambda group: (_access(group[0])[1:3], group[1]))


def _access(item: Access | AccessChange) -> Access:
    return item if isinstance(item, Access) else item.after


def _terms(item: Access | AccessChange) -> tuple[Hashable, ...]:
    """Return everything about access but the account and the issuer."""
    return item[2:] if isinstance(item, Access) else (item.before[2:], item.after[2:])


def _alike(groups: Iterable[tuple[_T, list[str]]]) -> Iterator[tuple[_T, str, list[str]]]:
    """Join groups that differ only in the issuer; yield one of the items, the names of the issuers, and the accounts."""
    found: dict[Hashable, list[tuple[_T, list[str]]]] = {}
    for group in groups:
        found.setdefault((_terms(group[0]), *group[1]), []).append(group)
    for alike in found.values():
        yield alike[0][0], ", ".join(_issuer(_access(each)) for each, _ in alike), alike[0][1]


def change_sentences(changes: Iterable[AccessChange], applications: Applications = None) -> list[str]:
    """Say how access that stays changes, for accounts and issuers with the same change at once."""
    alike = list(_alike(grouped(changes)))
    return [_sentence(who, applications, "; ".join(_clauses(change, issuers, _s(who)))) for change, issuers, who in alike]


def _clauses(change: AccessChange, issuers: str, s: str) -> Iterator[str]:
    """Yield which addresses open and close, then when it ends and the teams it comes through, if those change."""
    after = change.after
    for period in change.periods:
        yield _opening(period, issuers)
    words = terms_words(change)
    if not change.periods or change.before.until != after.until:
        words.append(from_words(after))
    if words:
        yield f"keep{s} {', '.join([issuers, *words])}"


def terms_words(change: AccessChange) -> list[str]:
    """Say when access that stays ends and through which teams it comes, if that changes."""
    before, after = change
    words = []
    if before.until != after.until:
        words.append(f"{_end(after.until)} (was {_end(before.until)})")
    if before.through != after.through:
        words.append(f"through {listed(after.through)} (was {listed(before.through)})")
    return words


def _end(until: datetime | None) -> str:
    return "for good" if until is None else f"until {show_instant(until)}"


def period_words(period: Period) -> list[str]:
    """Say when addresses open or close, and until when, unless that is at once and for good."""
    since = [] if period.since is None else [f"after {show_instant(period.since)}"]
    return since if period.until is None else [*since, f"until {show_instant(period.until)}"]


def _opening(period: Period, issuer: str) -> str:
    when = " ".join(["", *period_words(period)])
    before, after = (addresses_words(addresses, FEW) for addresses in (period.before, period.after))
    if period.after is None:
        return f"may use {issuer} from anywhere{when} (before: {addresses_words(period.before)})"
    if period.before is None:
        return f"may use {issuer} only from {addresses_words(period.after)}{when} (before: anywhere)"
    also, no_more = f"also use {issuer} from {', '.join(period.opened)}", f"use {issuer} from {', '.join(period.closed)}"
    if not period.closed:
        return f"may {also}{when} (before: {before})"
    if not period.opened:
        return f"may no longer {no_more}{when} (now only: {after})"
    return f"may {also}, and no longer from {', '.join(period.closed)}{when} (now: {after})"


def group_sentences(of: GroupChange, *, against: bool = False) -> list[tuple[str, str]]:
    """Say what whoever is in an AD group gains and loses; each sentence with its sign."""
    who, known = f"whoever is in {of.group}", f" ({known_words(of, against)})"
    found: list[tuple[str, str]] = []
    for diff in (of.access, of.rights):
        for sign, verb, accesses in (("+", "gains", diff.gained), ("-", "loses", diff.lost)):
            found += [(sign, f"{who} {verb} {_what(each, issuers)}{known}") for each, issuers, _ in _alike(grouped(accesses))]
        for change, issuers, _ in _alike(grouped(diff.changed)):
            found.append((sign_of(change), f"{who} {'; '.join(_clauses(change, issuers, 's'))}{known}"))
    if not found:
        found += [("~", f"{who} joins {team}, which changes nothing else{known}") for team in of.joins]
        found += [("~", f"{who} leaves {team}, which changes nothing else{known}") for team in of.leaves]
    return found


def known_words(change: GroupChange, against: bool) -> str:
    """Say how many accounts a group's change is known to reach."""
    if against:
        return "only the directory knows who that is"
    return f"{count(len(change.known), 'directory account')} known here; more may be"


def sign_of(change: AccessChange) -> str:
    """`+` opens, `-` closes, `±` does both, `~` neither."""
    if change.opens:
        return "±" if change.closes else "+"
    return "-" if change.closes else "~"


def signed_sentences(diff: AccessDiff, applications: Applications) -> Iterator[tuple[str, str]]:
    """Yield every sentence about a difference with its sign: gains first, then losses, then what only changes."""
    yield from (("+", sentence) for sentence in access_sentences(diff.gained, "gain", applications))
    for sign in "+±":
        yield from ((sign, words) for words in change_sentences((c for c in diff.changed if sign_of(c) == sign), applications))
    yield from (("-", sentence) for sentence in access_sentences(diff.lost, "lose", applications))
    for sign in "-~":
        yield from ((sign, words) for words in change_sentences((c for c in diff.changed if sign_of(c) == sign), applications))
