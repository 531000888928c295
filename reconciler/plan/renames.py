"""Finds what a revision renames: which row of the database each declared name continues."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from reconciler.access.resources import DeclaredState, Key, Kind, Resource, User
from reconciler.plan.actual import Actual
from reconciler.plan.changes import renamed
from reconciler.plan.identity import Earlier, certainly, had_been, is_addressed, is_vouched, returns, same_person
from reconciler.plan.plan import FORMER

_ORDER: tuple[Kind, ...] = ("User", "Issuer", "EmailTemplate", "Settings", "Team")
"""Teams come last: they are compared with the new names of their members and issuers."""


def find_renames(
    actual: Actual, desired: DeclaredState, *, adopt: bool = False, repair: bool = False
) -> dict[Kind, dict[str, str]]:
    """Find renames, old name → new name, by kind; a row whose name another one gets is renamed to a name that ends in FORMER.

    In a `repair`, the revision was applied already and said whose each name is: what differs was written by hand.
    """
    found: dict[Kind, dict[str, str]] = {}
    for kind in _ORDER:
        held, wanted = actual.declared.of_kind(kind), desired.of_kind(kind)
        if held is wanted:
            continue
        if kind == "Team" and found:
            held = renamed(actual.declared, found).teams
        unmanaged = frozenset() if adopt else actual.unmanaged
        if moves := _Names(kind, held, wanted, unmanaged, repair, actual.earlier or {}).find():
            found[kind] = moves
    return found


class _Names:
    """The names of one kind: rows that get another one, and declared names that are a row's already."""

    def __init__(
        self,
        kind: Kind,
        held: Mapping[str, Resource],
        wanted: Mapping[str, Resource],
        unmanaged: Collection[Key],
        repair: bool,
        earlier: Earlier,
    ) -> None:
        self.kind = kind
        self.held = held
        self.wanted = wanted
        self.unmanaged = unmanaged
        self.repair = repair
        self.earlier = earlier
        self.moves: dict[str, str] = {}
        self.taken: set[str] = set()
        self.strangers: set[str] = set()
        """Names whose row is another person's than the declared one."""
        self.returning: dict[str, set[str]] = {}
        """Names that are declared just as rows had them before, by the names of these rows."""
        self.known: set[str] = set()
        """All of these names: what their `previously` says was in force before, and is no news."""

    def find(self) -> dict[str, str]:
        if self.kind == "User" and not self.repair:
            self._by_identity()
            self._find_returning()
            self._by_history()
        self._by_declaration()
        self._back()
        for name in self.taken | self.strangers:
            if name in self.held and name not in self.moves:
                self.moves[name] = name + FORMER
        return self.moves

    def _move(self, old: str, new: str) -> None:
        self.moves[old] = new
        self.taken.add(new)

    def _is_managed(self, name: str) -> bool:
        return (self.kind, name) not in self.unmanaged

    def _is_free(self, name: str) -> bool:
        return name not in self.taken and (name not in self.held or name in self.moves or name in self.strangers)

    def _by_identity(self) -> None:
        """Find the people who are declared under another name than theirs in the database, and names of other people."""
        wanted, held = cast(Mapping[str, User], self.wanted), cast(Mapping[str, User], self.held)
        others = [
            user
            for name, user in wanted.items()
            if user.identity is not None and (name not in held or held[name].identity != user.identity)
        ]
        if not others:
            return
        rows = {row.identity.casefold(): name for name, row in held.items() if row.identity is not None}
        for user in others:
            row, earlier = held.get(user.name), self.earlier.get(user.name, ())
            verdict = None if row is None else same_person(row, user, earlier)
            old = rows.get((user.identity or "").casefold())
            claimed = None if old is not None or had_been(earlier, user) else self._claimed_by_address(user)
            goes = claimed is not None or (old not in (None, user.name) and had_been(self.earlier.get(str(old), ()), user))
            if row is not None and ((verdict is True and not goes) or not self._is_managed(user.name)):
                continue
            old = old or claimed
            if old is not None and self._is_managed(old):
                self._move(old, user.name)
            elif verdict is False:
                self.strangers.add(user.name)

    def _claimed_by_address(self, user: User) -> str | None:
        """Find an account that a user newly claims, and whose address is the identity that is declared."""
        known = self.held[user.name].previously if user.name in self.held else ()
        for old in user.previously:
            row = self.held.get(old)
            free = isinstance(row, User) and row.identity is None and old not in self.wanted and old not in known
            if free and is_addressed(cast(User, row), user):
                return old
        return None

    def _find_returning(self) -> None:
        wanted, held = cast(Mapping[str, User], self.wanted), cast(Mapping[str, User], self.held)
        for old, earlier in self.earlier.items():
            names = {was.name for was in earlier if was.name in wanted and had_been([was], wanted[was.name])}
            if names := {name for name in names if name not in held or not had_been([held[name]], wanted[name])}:
                self.returning[old] = names
                self.known |= names

    def _is_old(self, old: str, name: str) -> bool:
        """Tell whether the claim of a declared user to an earlier name is no news."""
        return name in self.known or (name in self.held and old in self.held[name].previously)

    def _by_history(self) -> None:
        """Give names back to rows that had been just what is declared: that outweighs an old claim, but no new one."""
        if not self.returning:
            return
        claims = {old for name, user in self.wanted.items() for old in user.previously if not self._is_old(old, name)}
        for old, returning in sorted(self.returning.items()):
            waits = old in self.held and old not in self.wanted and old not in self.moves and old not in claims
            if waits and self._is_managed(old):
                names = (name for name in self.held[old].previously if name in returning and self._is_free(name))
                new = next((name for name in names if self._is_same(old, name)), None)
                if new is not None:
                    self._move(old, new)

    def _by_declaration(self) -> None:
        """Follow `metadata.previously`; a name that becomes free by it may be the new name of another row."""
        waiting = sorted(name for name, resource in self.wanted.items() if resource.previously)
        while waiting:
            name = waiting.pop()
            if not self._is_free(name):
                continue
            old = next((old for old in self.wanted[name].previously if self._was(old, name)), None)
            if old is not None:
                self._move(old, name)
                if old in self.wanted and self.wanted[old].previously:
                    waiting.append(old)

    def _was(self, old: str, name: str) -> bool:
        """Tell whether the row of an earlier name is the declared resource's, and not that of the one declared by it now."""
        if old not in self.held or old in self.moves or not self._is_managed(old):
            return False
        if self.repair:
            return old not in self.wanted
        row, mine = self.held[old], same_person(self.held[old], self.wanted[name])
        if mine is False and isinstance(row, User) and row.identity is not None:
            return False  # without an identity in force, the two contradict each other, which a guard refuses
        another, returning = self.wanted.get(old), self.returning.get(old, ())
        unchanged = isinstance(row, User) and isinstance(another, User) and had_been([row], another)
        if (returning and name not in returning and self._is_old(old, name)) or (unchanged and name in self.known):
            return False  # an old claim, such as after a revert
        if another is None or not certainly(row, another):
            return True
        known = isinstance(row, User) and isinstance(another, User) and None not in (row.identity, another.identity)
        return not known and certainly(row, self.wanted[name])  # an identity in force says whose it is: `another`'s

    def _back(self) -> None:
        """Give names back: a row that loses its own had the earlier name of a declared resource, such as after a revert.

        The name may be one that another row has, which then gets its earlier one back, and so on.
        """
        waiting = sorted((name for name in self.held if self._loses_its_name(name)), reverse=True)
        while waiting:
            old = waiting.pop()
            names = [name for name in self.held[old].previously if name in self.wanted and self._gets_back(old, name)]
            if names:
                new = next((name for name in names if self._is_same(old, name)), names[0])
                self._move(old, new)
                if new in self.held and new not in waiting and self._loses_its_name(new):
                    waiting.append(new)

    def _loses_its_name(self, name: str) -> bool:
        lost = name not in self.wanted or name in self.taken or name in self.strangers
        return lost and bool(self.held[name].previously) and name not in self.moves and self._is_managed(name)

    def _is_same(self, old: str, name: str) -> bool:
        return same_person(self.held[old], self.wanted[name], self.earlier.get(old, ())) is True

    def _gets_back(self, old: str, name: str) -> bool:
        row, declared, earlier = self.held[old], self.wanted[name], self.earlier.get(old, ())
        identified = isinstance(declared, User) and declared.identity is not None
        if not self.repair and identified and not is_vouched(row, declared, earlier):
            return False
        if self._is_free(name):  # a guard asks if nothing tells whether it is the same person
            return self.repair or same_person(row, declared, earlier) is not False
        if self.repair or name in self.taken or not self._is_managed(name):
            return False
        return returns(self.kind, row, declared, self.held[name], earlier)
