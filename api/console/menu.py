"""The menu: what a visitor can go to."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """A page of the menu; `mark` is an icon."""

    address: str
    name: str
    mark: str

    def leads_to(self, path: str) -> bool:
        """Whether a page is this one or below it."""
        return path == self.address or (self.address != "/" and path.startswith(f"{self.address}/"))


Group = tuple[str, tuple[Entry, ...]]
_MINE: Group = (
    "",
    (
        Entry("/", "Overview", "house"),
        Entry("/me", "My account", "user"),
        Entry("/me/tokens", "My tokens", "key"),
        Entry("/me/sessions", "My sessions", "list"),
    ),
)
_ACCESS: Group = (
    "Access",
    (
        Entry("/teams", "Teams", "users"),
        Entry("/issuers", "Issuers", "shield-check"),
        Entry("/access", "Explorer", "search"),
        Entry("/map", "Map", "network"),
        Entry("/certificates", "Certificates", "file-badge"),
    ),
)
_ALL_USERS = Entry("/users", "Users", "user")
_PROPOSALS = Entry("/proposals", "Proposals", "git-pull-request")
_HISTORY: tuple[Entry, ...] = (
    Entry("/revisions", "Revisions", "git-commit-horizontal"),
    Entry("/drift", "Drift", "triangle-alert"),
    Entry("/audit", "Audit", "history"),
    Entry("/mail", "Mail", "mail"),
)


def menu_of(*, administrator: bool) -> tuple[Group, ...]:
    """The menu of a visitor."""
    name, entries = _ACCESS
    if not administrator:
        return _MINE, (name, (*entries, _PROPOSALS))
    return _MINE, (name, (_ALL_USERS, *entries)), ("Changes", (_PROPOSALS, *_HISTORY))


def current(groups: tuple[Group, ...], path: str) -> Entry | None:
    """The entry that leads to a page, or to a page above it."""
    leading = [entry for _, entries in groups for entry in entries if entry.leads_to(path)]
    return max(leading, key=lambda entry: len(entry.address), default=None)
