"""What a change touched: the accounts, teams and issuers that are not what they were before it."""

from __future__ import annotations

from typing import NamedTuple


class Touched(NamedTuple):
    """Names, each that a thing had before the change and has after it. A renamed or deleted team touches its members, and a
    renamed or deleted issuer the teams that could use it, since both are known to them by name."""

    accounts: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()
    everything: bool = False
    """The names do not tell all of it: nothing that was read before the change holds after it."""

    def __or__(self, other: Touched) -> Touched:
        return Touched(
            self.accounts | other.accounts,
            self.teams | other.teams,
            self.issuers | other.issuers,
            self.everything or other.everything,
        )

    @property
    def names(self) -> int:
        """How many there are."""
        return len(self.accounts) + len(self.teams) + len(self.issuers)


EVERYTHING = Touched(everything=True)
