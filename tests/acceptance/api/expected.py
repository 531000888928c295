"""What should be permitted after any events in any order: a model that knows nothing of Accord's internals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

from scenario import issuer, team, user

USERS, TEAMS, ISSUERS = ("alice", "bob", "robot"), ("web", "office", "keepers"), ("tls", "vpn")
APPLICATION = "robot"
RESTRICTED, ADMINISTRATING = "office", "keepers"
"""The team whose members may only call from inside, and the one whose members are administrators."""
NETWORK, INSIDE, OUTSIDE = "10.20.0.0/16", "10.20.0.7", "203.0.113.7"
Link = Literal["none", "for good", "ended", "ends far off"]
LINKS: tuple[Link, ...] = "none", "for good", "for good", "ended", "ends far off"
_ENDS = {"ended": "2020-01-01", "ends far off": "2999-01-01"}


@dataclass(eq=False)
class Account:
    """An account. One that was declared anew is another one."""

    name: str
    password: str = ""
    former_password: str = ""
    declared: bool = True
    enabled_by_git: bool = True
    disabled_by_administrator: bool = False

    def __repr__(self) -> str:
        return self.name

    @property
    def counts(self) -> bool:
        return self.declared and self.enabled_by_git and not self.disabled_by_administrator


@dataclass(eq=False)
class Credential:
    """A session or token of an account."""

    account: Account
    kind: Literal["session", "token"]
    secret: str
    accessor: str
    minter: Credential | None = None
    seconds: int = 3600
    """How long it lives, about: what a token mints lives half as long, so that there are trees of them."""
    only: str | None = None
    """The issuer that it is narrowed to."""
    only_inside: bool = False
    succeeds: bool = False
    """It is the successor of its minter."""
    ended: bool = False

    def __repr__(self) -> str:
        return f"<{self.kind} {self.accessor} of {self.owner}>"

    @property
    def owner(self) -> str:
        return self.account.name

    @property
    def is_dead(self) -> bool:
        return self.ended or not self.account.counts

    @property
    def is_narrowed(self) -> bool:
        return self.only is not None or self.only_inside

    def line(self) -> Iterator[Credential]:
        """It, what minted it, and so on."""
        yield self
        if self.minter is not None:
            yield from self.minter.line()

    def came_of(self, other: Credential) -> bool:
        """Whether it is another credential, or was minted by what came of that."""
        return any(each is other for each in self.line())

    def goes_with(self, other: Credential) -> bool:
        """Whether it ends when its owner ends another one: successors go on."""
        return self is other or (self.minter is not None and not self.succeeds and self.minter.goes_with(other))


@dataclass
class Model:
    """What should be."""

    accounts: dict[str, Account]
    members: dict[tuple[str, str], Link] = field(default_factory=dict)
    grants: dict[tuple[str, str], Link] = field(default_factory=lambda: dict.fromkeys(product(TEAMS, ISSUERS), "for good"))
    issuers: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(ISSUERS, True))
    credentials: list[Credential] = field(default_factory=list)
    """All that live, and some that do not."""

    def teams(self, who: str) -> list[str]:
        return [each for each in TEAMS if self.members.get((each, who)) in ("for good", "ends far off")]

    def may_call(self, who: str, address: str) -> bool:
        return address == INSIDE or RESTRICTED not in self.teams(who)

    def allows(self, who: str, to: str, address: str) -> bool:
        granted = any(self.grants[each, to] in ("for good", "ends far off") for each in self.teams(who))
        return self.accounts[who].counts and self.issuers[to] and granted and self.may_call(who, address)

    def refusal(self, credential: Credential, address: str) -> int | None:
        """How a credential is refused at an address, whatever it asks for."""
        if credential.is_dead:
            return 401
        may_call = self.may_call(credential.owner, address) and (address == INSIDE or not credential.only_inside)
        return None if may_call else 403

    def minting(self, credential: Credential, address: str) -> int:
        """The answer to a credential that mints one of the same account, which does not outlive it."""
        return self.refusal(credential, address) or (403 if credential.is_narrowed else 201)

    def administrating(self, credential: Credential, address: str) -> int:
        """The answer to what administrators may do with a session."""
        refused = self.refusal(credential, address)
        is_administrator = ADMINISTRATING in self.teams(credential.owner) and not credential.is_narrowed
        return refused or (204 if is_administrator and credential.kind == "session" else 403)

    def live_tokens(self, who: str) -> set[str]:
        return {each.accessor for each in self.credentials if each.owner == who and each.kind == "token" and not each.is_dead}

    def end(self, who: str, *kinds: str) -> None:
        """End an account's own credentials."""
        for each in self.credentials:
            each.ended |= each.owner == who and each.kind in kinds

    def end_all_that_came_of(self, *roots: Credential) -> None:
        for each in self.credentials:
            each.ended |= any(each.came_of(root) for root in roots)

    def files(self) -> dict[str, Any]:
        """The config repository that declares this."""
        found: dict[str, Any] = {f"issuers/{name}.yaml": issuer(name, enabled=enabled) for name, enabled in self.issuers.items()}
        for name, account in self.accounts.items():
            kind = "application" if name == APPLICATION else "person"
            found[f"users/{name}.yaml"] = user(name, type=kind, enabled=account.enabled_by_git) if account.declared else None
        for each in TEAMS:
            members = [_link("user", who, self.members.get((each, who), "none")) for who in USERS if self.accounts[who].declared]
            granted = [_link("issuer", to, self.grants[each, to]) for to in ISSUERS]
            found[f"teams/{each}.yaml"] = team(
                each,
                members=["root", *filter(None, members)],  # no guard minds a team that is not emptied
                issuers=["spare", *filter(None, granted)],
                permittedIPs=[NETWORK] if each == RESTRICTED else [],
                administrator=each == ADMINISTRATING,
            )
        return found


def _link(key: str, name: str, link: Link) -> Any:
    return None if link == "none" else {key: name, **({"until": _ENDS[link]} if link in _ENDS else {})}
