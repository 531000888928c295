"""The access table of a comment: one row for all accounts and issuers with the same change."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from reconciler.access.instants import show_instant
from reconciler.access.permitted_ips import Addresses
from reconciler.access.state import ADMINISTRATOR, Access
from reconciler.plan.plan import AccessChange, AccessDiff, GroupChange, Period, Plan
from reconciler.plan.render.sentences import grouped, known_words, period_words, sign_of
from reconciler.plan.render.spans import code, spans

HEADER = ("| | who | issuer | through | from | until |", "|---|---|---|---|---|---|")
_VERBS = {"+": "➕ open", "±": "± move", "-": "➖ close", "~": "keep"}
_ORDER = ("➕ gain", *(_VERBS["+±"[n]] for n in (0, 1)), "➖ lose", _VERBS["-"], _VERBS["~"])


_LEAST = 3
"""How many names a row keeps in any case; rather than fewer, rows are left out."""


class Row(NamedTuple):
    """What happens to whom, with which issuers; the other cells are Markdown. `who` stands for an AD group's members."""

    verb: str
    users: tuple[str, ...]
    issuers: tuple[str, ...]
    through: str
    addresses: str
    until: str
    who: str = ""

    def shown(self, most: int | None = None, *, packed: bool = False) -> str:
        """Render the row; with at most so many names, all in one code span if `packed`."""
        names = self.users[:most]
        who = self.who or (code(", ".join(names)) if packed and names else spans(names))
        rest = f" and {len(self.users) - len(names):,} more" if len(names) < len(self.users) else ""
        issuers = ", ".join("**administrator**" if name == ADMINISTRATOR else code(name) for name in self.issuers)
        return f"| {self.verb} | {who}{rest} | {issuers} | {self.through} | {self.addresses} | {self.until} |"


def access_rows(plan: Plan) -> list[Row]:
    """Return the rows about accounts, gains first, then those about AD groups. Rights that end are told elsewhere."""
    rows = _together([*_rows(plan.access), *_rows(plan.rights._replace(lost=()))])
    for change in plan.groups:
        rows += _group_rows(change, against=plan.against)
    return rows


def _group_rows(change: GroupChange, *, against: bool) -> Iterator[Row]:
    who = f"whoever is in {code(change.group)} ({known_words(change, against)})"
    found = _together([*_rows(change.access), *_rows(change.rights)])
    for row in found:
        yield row._replace(who=who, users=())
    for verb, teams in (("➕ join", change.joins), ("➖ leave", change.leaves)) if not found else ():
        if teams:
            yield Row(verb, (), (), spans(teams), "", "", who)


def _rows(diff: AccessDiff) -> Iterator[Row]:
    for verb, accesses in (("➕ gain", diff.gained), ("➖ lose", diff.lost)):
        for access, users in grouped(accesses):
            until = "" if access.until is None else show_instant(access.until)
            yield Row(verb, tuple(users), (access.issuer,), spans(access.through), _from(access), until)
    for change, users in grouped(diff.changed):
        verb, issuer = _VERBS[sign_of(change)], change.after.issuer
        yield Row(verb, tuple(users), (issuer,), _through(change), _moved(change), _until(change))


def _together(rows: Iterable[Row]) -> list[Row]:
    """Join rows that differ only in the issuer, and sort them: what opens first."""
    found: dict[Hashable, Row] = {}
    for row in rows:
        key = row._replace(issuers=())
        known = found.get(key)
        found[key] = row if known is None else known._replace(issuers=known.issuers + row.issuers)
    return sorted(found.values(), key=lambda row: (_ORDER.index(row.verb), row.issuers, row.through, row.users))


def _addresses(addresses: Addresses) -> str:
    return "anywhere" if addresses is None else code(", ".join(addresses))


def _from(access: Access) -> str:
    steps = [f"after {show_instant(moment)}: {_addresses(addresses)}" for moment, addresses in access.later]
    return "; ".join([_addresses(access.addresses), *steps])


def _moved(change: AccessChange) -> str:
    periods = "; ".join(map(_period, change.periods))
    if periods and change.before.until == change.after.until:
        return periods
    return f"{periods}; in all from {_from(change.after)}" if periods else _from(change.after)


def _period(period: Period) -> str:
    words = period_words(period)
    when = f"{' '.join(words)}: " if words else ""
    before, after = f"before: {_addresses(period.before)}", f"now only: {_addresses(period.after)}"
    if period.after is None:
        return f"{when}**anywhere**, {before}"
    if period.before is None:
        return f"{when}{after}, {before}"
    also, no_more = f"also {_addresses(period.opened)}", f"no longer {_addresses(period.closed)}"
    if not period.closed:
        return f"{when}{also}, {before}"
    return f"{when}{no_more}, {after}" if not period.opened else f"{when}{also}, {no_more}, {after}"


def _through(change: AccessChange) -> str:
    before, after = change.before.through, change.after.through
    return spans(after) if before == after else f"{spans(after)} (was {spans(before)})"


def _until(change: AccessChange) -> str:
    before, after = ("for good" if access.until is None else show_instant(access.until) for access in change)
    if change.before.until == change.after.until:
        return "" if change.after.until is None else after
    return f"{after} (was {before})"


def fitting_table(rows: Sequence[Row], limit: int) -> tuple[list[str], str]:
    """Render the rows in at most so many characters, and say what had to be left out; whole if they fit in any way.

    First all names go into one code span per row, then names are left out of long rows, and only then rows.
    """
    for packed in (False, True):
        lines = [row.shown(packed=packed) for row in rows]
        if _size(lines) <= limit:
            return lines, ""
    low, high = _LEAST, max((len(row.users) for row in rows), default=_LEAST)
    while low < high:  # the most names a row may have
        middle = (low + high + 1) // 2
        if _size([row.shown(middle, packed=True) for row in rows]) <= limit:
            low = middle
        else:
            high = middle - 1
    lines, size = [], 0
    for row in rows:
        size += len(line := row.shown(low, packed=True)) + 1
        if size > limit:
            break
        lines.append(line)
    names = sum(max(0, len(row.users) - low) for row in rows[: len(lines)])
    gone = [f"{names:,} names of long rows"] if names else []
    if len(lines) < len(rows):
        gone.append(f"{len(rows) - len(lines):,} of {len(rows):,} rows")
    return lines, " and ".join(gone)


def _size(lines: Sequence[str]) -> int:
    return sum(map(len, lines)) + len(lines)
