"""Any events in any order cause no wrong allow and no wrong deny, judged by a model that knows nothing of Accord's internals."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from itertools import count, product
from pathlib import Path
from typing import Any, Literal

import hypothesis
import pytest
from client import Caller, World, settings
from effort import tries
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from scenario import ADMINISTRATORS, Accord, ConfigRepository, issuer, team, user

from api.app import create_app
from api.service import Service

USERS, TEAMS, ISSUERS = ("alice", "bob"), ("web", "office"), ("tls", "vpn")
INSIDE, OUTSIDE = "10.20.0.7", "203.0.113.7"
RESTRICTED = "office"
"""The team whose members may only call from inside."""
Link = Literal["none", "for good", "ended", "ends far off"]
ENDS = {"ended": "2020-01-01", "ends far off": "2999-01-01"}

users, teams, issuers = st.sampled_from(USERS), st.sampled_from(TEAMS), st.sampled_from(ISSUERS)
addresses, replicas = st.sampled_from([INSIDE, OUTSIDE]), st.integers(0, 1)
links: st.SearchStrategy[Link] = st.sampled_from(["none", "for good", "ended", "ends far off"])


@dataclass
class Account:
    """What the model knows of an account."""

    password: str
    declared: bool = True
    enabled_by_git: bool = True
    disabled_by_administrator: bool = False

    @property
    def counts(self) -> bool:
        return self.enabled_by_git and not self.disabled_by_administrator


@dataclass(eq=False)
class Credential:
    """A session or token of an account."""

    owner: str
    kind: str
    secret: str
    accessor: str
    only: str | None = None
    ended: bool = False


@dataclass
class Model:
    """What should be."""

    accounts: dict[str, Account]
    members: dict[tuple[str, str], Link] = field(default_factory=lambda: dict.fromkeys(product(TEAMS, USERS), "for good"))
    grants: dict[tuple[str, str], Link] = field(default_factory=lambda: dict.fromkeys(product(TEAMS, ISSUERS), "for good"))
    issuers: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(ISSUERS, True))
    credentials: list[Credential] = field(default_factory=list)

    def teams(self, who: str) -> list[str]:
        return [each for each in TEAMS if self.members[each, who] in ("for good", "ends far off")]

    def may_call(self, who: str, address: str) -> bool:
        return address == INSIDE or RESTRICTED not in self.teams(who)

    def allows(self, who: str, to: str, address: str) -> bool:
        granted = any(self.grants[each, to] in ("for good", "ends far off") for each in self.teams(who))
        return self.accounts[who].counts and self.issuers[to] and granted and self.may_call(who, address)

    def end(self, who: str, *kinds: str, but: Credential | None = None) -> None:
        for each in self.credentials:
            if each.owner == who and each.kind in kinds and each is not but:
                each.ended = True

    def files(self) -> dict[str, Any]:
        """The config repository that declares this."""
        found: dict[str, Any] = {f"issuers/{name}.yaml": issuer(name, enabled=enabled) for name, enabled in self.issuers.items()}
        for name, account in self.accounts.items():
            found[f"users/{name}.yaml"] = user(name, enabled=account.enabled_by_git) if account.declared else None
        for each in TEAMS:
            members = [_link("user", who, self.members[each, who]) for who in USERS if self.accounts[who].declared]
            granted = [_link("issuer", to, self.grants[each, to]) for to in ISSUERS]
            found[f"teams/{each}.yaml"] = team(
                each,
                members=["root", *filter(None, members)],  # no guard minds a team that is not emptied
                issuers=["spare", *filter(None, granted)],
                permittedIPs=["10.20.0.0/16"] if each == RESTRICTED else [],
            )
        return found


def _link(key: str, name: str, link: Link) -> Any:
    return None if link == "none" else {key: name, **({"until": ENDS[link]} if link in ENDS else {})}


class Runtime(RuleBasedStateMachine):
    """Two replicas of the API over one database, compared with the model."""

    credentials: Bundle[Credential] = Bundle("credentials")

    def __init__(self, template: Path, folder: Path) -> None:
        super().__init__()
        shutil.copy(template, folder / "accord.db")
        self.repository = ConfigRepository(folder / "config.git")
        self.url = f"sqlite:///{folder}/accord.db"
        self.world = World.__new__(World)
        self.world.repository, self.world.url = self.repository, self.url
        self.world.accord = Accord(self.repository.path, self.url, folder / "cache")
        self.passwords = (f"a rather long passphrase {number}" for number in count())
        chance, ways = random.Random(1), list(product(ISSUERS, (0, 1), (INSIDE, OUTSIDE)))
        self.ways = (chance.choice(ways) for _ in count())

    @initialize(target=credentials)
    def begin(self) -> Any:
        self.model = Model({who: Account(next(self.passwords)) for who in USERS})
        self.model.members[RESTRICTED, "alice"] = "none"
        self.world.apply({**ADMINISTRATORS, "issuers/spare.yaml": issuer("spare"), **self.model.files()})
        self.services = [Service(settings(self.url)) for _ in range(2)]
        for service in self.services:
            service.start()
        self.apps = [create_app(service) for service in self.services]
        self.world.service = self.services[0]
        self.root = [Caller(app, self.world.mint("root").secret) for app in self.apps]
        for who, account in self.model.accounts.items():
            self.world.set_password(who, account.password)
        return multiple(*(self.token_of(who, 0, None) for who in USERS for _ in range(2)))

    def teardown(self) -> None:
        for service in getattr(self, "services", []):
            service.stop()

    def reconcile(self) -> None:
        self.world.apply(self.model.files())

    # ---- what the runtime does

    @rule(target=credentials, who=users, at=replicas, only=st.none() | issuers)
    def issue_token(self, who: str, at: int, only: str | None) -> Any:
        account = self.model.accounts[who]
        if account.counts:
            return self.token_of(who, at, only)
        self.root[at]("POST", f"/users/{who}/tokens", 409, json={"name": "token", "validFor": "1h"})
        return multiple()

    def token_of(self, who: str, at: int, only: str | None) -> Credential:
        body = {"name": "token", "validFor": "1h", **({"issuers": [only]} if only else {})}
        answer = self.root[at]("POST", f"/users/{who}/tokens", 201, json=body)
        return self.remember(Credential(who, "token", answer["token"], answer["id"], only))

    @rule(target=credentials, who=users, at=replicas, address=addresses)
    def log_in(self, who: str, at: int, address: str) -> Any:
        account = self.model.accounts[who]
        code = 201 if account.counts and self.model.may_call(who, address) else 401
        answer = Caller(self.apps[at], None, address)(
            "POST", "/sessions", code, json={"username": who, "password": account.password}
        )
        if code == 401:
            return multiple()
        me = Caller(self.apps[at], answer["token"], address)("GET", "/me", 200)
        return self.remember(Credential(who, "session", answer["token"], me["credential"]["id"]))

    def remember(self, credential: Credential) -> Credential:
        self.model.credentials.append(credential)
        return credential

    @invariant()
    def every_credential_and_account_is_judged_rightly(self) -> None:
        """After every step, check in another way than before: another issuer, replica or address."""
        for credential in self.model.credentials:
            self.use(credential, *next(self.ways))
        for who in USERS:
            to, at, address = next(self.ways)
            question = {"issuer": to, "subject": who, "address": address}
            answer = self.root[at]("POST", "/decisions", 200, json=question)
            assert answer["allow"] is self.model.allows(who, to, address), answer

    def use(self, credential: Credential, to: str, at: int, address: str) -> None:
        answer = Caller(self.apps[at], credential.secret, address).send("POST", "/decisions", json={"issuer": to})
        if credential.ended or not self.model.accounts[credential.owner].counts:
            assert answer.status_code == 401
        elif not self.model.may_call(credential.owner, address):
            assert answer.status_code == 403
        else:
            assert answer.status_code == 200
            expected = credential.only in (None, to) and self.model.allows(credential.owner, to, address)
            assert answer.json["allow"] is expected, answer.json

    @rule(credential=credentials, at=replicas)
    def revoke(self, credential: Credential, at: int) -> None:
        if credential.kind == "session":
            dead = credential.ended or not self.model.accounts[credential.owner].counts
            code = 401 if dead else 204
            Caller(self.apps[at], credential.secret, INSIDE)("DELETE", "/sessions/current", code)
        else:
            answer = self.root[at].send("DELETE", f"/users/{credential.owner}/tokens/{credential.accessor}")
            assert answer.status_code == 204 or (credential.ended and answer.status_code == 404)
        credential.ended = True

    @rule(credential=credentials)
    def expire(self, credential: Credential) -> None:
        self.world.execute(
            f"UPDATE tokens SET expires_at = '2020-01-01T00:00:00.000000Z' WHERE accessor = '{credential.accessor}'"
        )
        credential.ended = True

    @rule(who=users, at=replicas)
    def disable(self, who: str, at: int) -> None:
        self.root[at]("PUT", f"/users/{who}/disabled", 204)
        self.model.accounts[who].disabled_by_administrator = True
        self.model.end(who, "session", "token")

    @precondition(lambda self: any(account.disabled_by_administrator for account in self.model.accounts.values()))
    @rule(at=replicas)
    def enable(self, at: int) -> None:
        for who, account in self.model.accounts.items():
            self.root[at]("DELETE", f"/users/{who}/disabled", 204)
            account.disabled_by_administrator = False

    @rule(credential=credentials, at=replicas, tokens=st.booleans())
    def change_password(self, credential: Credential, at: int, tokens: bool) -> None:
        account, new = self.model.accounts[credential.owner], next(self.passwords)
        dead = credential.ended or not account.counts
        code = 401 if dead else 403 if credential.kind == "token" else 204
        change = {"currentPassword": account.password, "newPassword": new, "revokeTokens": tokens}
        Caller(self.apps[at], credential.secret, INSIDE)("PUT", "/me/password", code, json=change)
        if code == 204:
            account.password = new
            self.model.end(credential.owner, "session", *(["token"] if tokens else []), but=credential)

    # ---- what Git declares

    @rule(who=users)
    def git_switches_an_account(self, who: str) -> None:
        account = self.model.accounts[who]
        account.enabled_by_git = not account.enabled_by_git
        if not account.enabled_by_git:
            self.model.end(who, "session", "token")
        self.reconcile()

    @rule(who=users, each=teams, link=links)
    def git_changes_a_membership(self, who: str, each: str, link: Link) -> None:
        self.model.members[each, who] = link
        self.reconcile()

    @rule(each=teams, to=issuers, link=links)
    def git_changes_a_permission(self, each: str, to: str, link: Link) -> None:
        self.model.grants[each, to] = link
        self.reconcile()

    @rule(to=issuers)
    def git_switches_an_issuer(self, to: str) -> None:
        self.model.issuers[to] = not self.model.issuers[to]
        self.reconcile()

    @rule(who=users)
    def git_deletes_an_account_and_declares_it_anew(self, who: str) -> None:
        self.model.accounts[who].declared = False
        self.reconcile()
        for at in range(2):
            self.root[at]("GET", f"/users/{who}", 404)
        self.model.end(who, "session", "token")
        self.model.accounts[who] = Account(next(self.passwords))
        self.reconcile()
        self.world.set_password(who, self.model.accounts[who].password)


@pytest.mark.slow
def test_no_wrong_allow_and_no_wrong_deny(sqlite_template: Path, tmp_path: Path) -> None:
    folders = (tmp_path / str(number) for number in count())

    def machine() -> Runtime:
        folder = next(folders)
        folder.mkdir()
        return Runtime(sqlite_template, folder)

    bounds = hypothesis.settings(
        max_examples=tries(6),
        stateful_step_count=40,
        phases=[Phase.generate],  # many a step is an apply: making a failure shorter would take minutes
        print_blob=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=bounds)
