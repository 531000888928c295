"""The access table of a comment: one row for all accounts and issuers with the same change."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from reconciler.access.instants import show_instant
from reconciler.access.permitted_ips import Addresses
from reconciler.access.state import ADMINISTRATOR, Access
from reconciler.plan.plan import AccessChange, AccessDiff, GroupChange, Period, Plan
from reconciler.plan.render.sentences import FEW, addresses_words, grouped, known_words, period_words, sign_of
from reconciler.plan.render.spans import code, rest_words, spans

HEADER = ("| | who | issuer | through | from | until |", "|---|---|---|---|---|---|")
_VERBS = {"+": "➕ open", "±": "± move", "-": "➖ close", "~": "keep"}
_ORDER = ("➕ gain", "➕ join", *(_VERBS["+±"[n]] for n in (0, 1)), "➖ lose", "➖ leave", _VERBS["-"], _VERBS["~"])
_LEAST = 3
"""How many names a row keeps in any case; rather than fewer, rows are left out."""
Cell = tuple[str, str, str]
"""A cell with everything, with at most a few of the addresses that were or stay permitted, and with few of any list."""
_CUTS = ((None, None), (FEW, None), (FEW, FEW))
"""How many items of a list each of the three has: of addresses that only were or stay permitted, and of all others."""


class Row(NamedTuple):
    """What happens to whom, with which issuers; the other cells are Markdown. `who` stands for an AD group's members."""

    verb: str
    users: tuple[str, ...]
    issuers: tuple[str, ...]
    through: Cell
    addresses: Cell
    until: str
    who: str = ""

    def shown(self, most: int | None = None, *, packed: bool = False, cut: int = 0) -> str:
        """Render the row; with at most so many names, all in one code span if `packed`, and cells of the given length."""
        who = self.who or f"{_packed(self.users[:most]) if packed else spans(self.users[:most])}{rest_words(self.users, most)}"
        known = self.issuers if most is None else sorted(self.issuers, key=lambda name: name != ADMINISTRATOR)[:most]
        issuers = ", ".join("**administrator**" if name == ADMINISTRATOR else code(name) for name in known)
        issuers += rest_words(self.issuers, most)
        return f"| {self.verb} | {who} | {issuers} | {self.through[cut]} | {self.addresses[cut]} | {self.until} |"

    def rest(self, most: int) -> int:
        """Count the names that are left out of a row with so many."""
        return sum(max(0, len(names) - most) for names in (self.users, self.issuers))


def _packed(names: Sequence[str]) -> str:
    return code(", ".join(names)) if names else ""


def access_rows(plan: Plan) -> list[Row]:
    """Return the rows about accounts and AD groups: what opens first, and then what reaches people that nobody here knows.

    Rights of accounts that end are told elsewhere.
    """
    rows = _together([*_rows(plan.access), *_rows(plan.rights._replace(lost=()))])
    for change in plan.groups:
        rows += _group_rows(change, against=plan.against)
    return sorted(rows, key=lambda row: (_ORDER.index(row.verb), not row.who, row.issuers, row.through, row.users))


def _group_rows(change: GroupChange, *, against: bool) -> Iterator[Row]:
    who = f"whoever is in {code(change.group)} ({known_words(change, against)})"
    found = _together([*_rows(change.access), *_rows(change.rights)])
    for row in found:
        yield row._replace(who=who, users=())
    for verb, teams in (("➕ join", change.joins), ("➖ leave", change.leaves)) if not found else ():
        if teams:
            yield Row(verb, (), (), _teams(teams), ("", "", ""), "", who)


def _rows(diff: AccessDiff) -> Iterator[Row]:
    for verb, accesses in (("➕ gain", diff.gained), ("➖ lose", diff.lost)):
        for access, users in grouped(accesses):
            until = "" if access.until is None else show_instant(access.until)
            yield Row(verb, tuple(users), (access.issuer,), _teams(access.through), _from(access), until)
    for change, users in grouped(diff.changed):
        verb, issuer = _VERBS[sign_of(change)], change.after.issuer
        yield Row(verb, tuple(users), (issuer,), _through(change), _moved(change), _until(change))


def _together(rows: Iterable[Row]) -> list[Row]:
    """Join rows that differ only in the issuer."""
    found: dict[Hashable, Row] = {}
    for row in rows:
        key = row._replace(issuers=())
        known = found.get(key)
        found[key] = row if known is None else known._replace(issuers=known.issuers + row.issuers)
    return list(found.values())


def _cell(render: Callable[[int | None, int | None], str]) -> Cell:
    whole, shorter, brief = (render(*cut) for cut in _CUTS)
    return whole, shorter, brief


def _teams(teams: Sequence[str]) -> Cell:
    return _cell(lambda _, most: f"{spans(teams[:most])}{rest_words(teams, most)}")


def _addresses(addresses: Addresses, most: int | None) -> str:
    return addresses_words(addresses, most, code)


def _from(access: Access) -> Cell:
    return _cell(lambda _, most: _steps(access, most))


def _steps(access: Access, most: int | None) -> str:
    steps = [f"after {show_instant(moment)}: {_addresses(addresses, most)}" for moment, addresses in access.later[:most]]
    return "; ".join([_addresses(access.addresses, most), *steps]) + rest_words(access.later, most)


def _moved(change: AccessChange) -> Cell:
    periods = change.periods
    if not periods:
        return _from(change.after)

    def render(held: int | None, most: int | None) -> str:
        told = "; ".join(_period(period, held, most) for period in periods[:most]) + rest_words(periods, most)
        lasts_otherwise = change.before.until != change.after.until
        return f"{told}; in all from {_steps(change.after, most)}" if lasts_otherwise else told

    return _cell(render)


def _period(period: Period, held: int | None, most: int | None) -> str:
    words = period_words(period)
    when = f"{' '.join(words)}: " if words else ""
    before, after = f"before: {_addresses(period.before, held)}", f"now only: {_addresses(period.after, held)}"
    if period.after is None:
        return f"{when}**anywhere**, {before}"
    if period.before is None:
        return f"{when}{after}, {before}"
    also, no_more = f"also {_addresses(period.opened, most)}", f"no longer {_addresses(period.closed, most)}"
    if not period.closed:
        return f"{when}{also}, {before}"
    return f"{when}{no_more}, {after}" if not period.opened else f"{when}{also}, {no_more}, {after}"


def _through(change: AccessChange) -> Cell:
    before, after = (_teams(access.through) for access in change)
    if before == after:
        return after
    return after[0] + f" (was {before[0]})", after[1] + f" (was {before[1]})", after[2] + f" (was {before[2]})"


def _until(change: AccessChange) -> str:
    before, after = ("for good" if access.until is None else show_instant(access.until) for access in change)
    if change.before.until == change.after.until:
        return "" if change.after.until is None else after
    return f"{after} (was {before})"


def fitting_table(rows: Sequence[Row], limit: int) -> tuple[list[str], str]:
    """Render the rows in at most so many characters, and say what had to be left out.

    First all names go into one code span per row. Then long lists are cut: of addresses that were or stay permitted, then all
    others. Then names are left out of long rows, and in the end rows that do not fit.
    """
    for packed, cut in ((False, 0), (True, 0), (True, 1), (True, 2)):
        lines = [row.shown(packed=packed, cut=cut) for row in rows]
        if _size(lines) <= limit:
            return lines, ", ".join(_ends(rows, cut))
    low, high = _LEAST, max((max(len(row.users), len(row.issuers)) for row in rows), default=_LEAST)
    while low < high:  # the most names a row may have
        middle = (low + high + 1) // 2
        if _size([row.shown(middle, packed=True, cut=2) for row in rows]) <= limit:
            low = middle
        else:
            high = middle - 1
    kept, lines, size = [], [], 0
    for row in rows:
        line = row.shown(low, packed=True, cut=2)
        if size + len(line) < limit:
            size += len(line) + 1
            kept.append(row)
            lines.append(line)
    gone = list(_ends(kept, 2))
    if names := sum(row.rest(low) for row in kept):
        gone.append(f"{names:,} names of long rows")
    if len(kept) < len(rows):
        gone.append(f"{len(rows) - len(kept):,} of {len(rows):,} rows")
    return lines, ", ".join(gone)


def _ends(rows: Iterable[Row], cut: int) -> Iterator[str]:
    if any(cell[cut] != cell[0] for row in rows for cell in (row.through, row.addresses)):
        yield "the ends of long lists of addresses" if cut == 1 else "the ends of long lists of addresses and teams"


def _size(lines: Sequence[str]) -> int:
    return sum(map(len, lines)) + len(lines)
