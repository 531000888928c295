"""What a change touched: the accounts, teams and issuers that differ after it."""

from __future__ import annotations

from typing import NamedTuple


class Touched(NamedTuple):
    """The old and new names of everything touched. Renaming or deleting a team also touches its members, and renaming or deleting
    an issuer the teams that could use it, since they refer to it by name."""

    accounts: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()
    everything: bool = False
    """The names are incomplete: nothing that was read before the change can be relied on."""

    def __or__(self, other: Touched) -> Touched:
        return Touched(
            self.accounts | other.accounts,
            self.teams | other.teams,
            self.issuers | other.issuers,
            self.everything or other.everything,
        )

    @property
    def names(self) -> int:
        """The number of names."""
        return len(self.accounts) + len(self.teams) + len(self.issuers)


EVERYTHING = Touched(everything=True)
