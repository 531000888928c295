"""Any events in any order cause no wrong allow and no wrong deny, judged by a model that knows nothing of Accord's internals."""

from __future__ import annotations

import io
import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, product
from pathlib import Path
from typing import Any, Literal

import falcon.testing
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
    minter: Credential | None = None
    """The token that minted it, and takes it along when it is revoked."""
    ended: bool = False

    def came_of(self, other: Credential) -> bool:
        """Whether it is another credential, or was minted by what came of that."""
        return self is other or (self.minter is not None and self.minter.came_of(other))


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

    def end(self, who: str, *kinds: str) -> None:
        for each in self.credentials:
            if each.owner == who and each.kind in kinds:
                each.ended = True

    def revoke(self, credential: Credential) -> None:
        for each in self.credentials:
            each.ended = each.ended or each.came_of(credential)

    def is_dead(self, credential: Credential) -> bool:
        return credential.ended or not self.accounts[credential.owner].counts

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
        self.root = [Caller(app, self.world.mint("root", "session").secret) for app in self.apps]
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
        return self.token_of(who, at, only)

    def token_of(self, who: str, at: int, only: str | None) -> Any:
        """A token that a new session mints, if it can."""
        session = Credential(who, "session", self.world.mint(who, "session").secret, "")
        return self.minted(session, at, only, 201 if self.model.accounts[who].counts else 401)

    def minted(self, minter: Credential, at: int, only: str | None, code: int) -> Any:
        body = {"name": "token", "validFor": "1h" if minter.kind == "session" else "1m", **({"issuers": [only]} if only else {})}
        answer = Caller(self.apps[at], minter.secret, INSIDE)("POST", "/me/tokens", code, json=body)
        if code != 201:
            return multiple()
        by = minter if minter.kind == "token" else None
        return self.remember(Credential(minter.owner, "token", answer["token"], answer["id"], only, by))

    @rule(target=credentials, credential=credentials, at=replicas, only=st.none() | issuers)
    def mint_with_a_credential(self, credential: Credential, at: int, only: str | None) -> Any:
        code = 401 if self.model.is_dead(credential) else 403 if credential.only else 201
        if code == 201 and (credential.minter is not None or self.live_tokens(credential.owner) > 50):
            return multiple()  # it lives no longer than a minute itself; and an account has its limit
        return self.minted(credential, at, only, code)

    def live_tokens(self, who: str) -> int:
        return sum(each.owner == who and not each.ended for each in self.model.credentials)

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
        if self.model.is_dead(credential):
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
            code = 401 if self.model.is_dead(credential) else 204
            Caller(self.apps[at], credential.secret, INSIDE)("DELETE", "/sessions/current", code)
            credential.ended = True
        else:
            answer = self.root[at].send("DELETE", f"/users/{credential.owner}/tokens/{credential.accessor}")
            assert answer.status_code == 204 or (credential.ended and answer.status_code == 404)
            self.model.revoke(credential)

    @rule(credential=credentials, at=replicas, to=issuers, loss=st.sampled_from(["disable", "revoke"]), late=st.booleans())
    def lose_the_right_during_a_request(self, credential: Credential, at: int, to: str, loss: str, late: bool) -> None:
        """Before its body is there, or, `late`, after it was admitted: then a decision may stand, but nothing is written."""

        def lose() -> None:
            if loss == "disable":
                self.disable(credential.owner, 1 - at)
            else:
                self.revoke(credential, 1 - at)

        paths = ("/decisions", {"issuer": to}), ("/me/tokens", {"name": "late", "validFor": "1s"})
        path, body = paths[1 if late else 0]
        status = asked_while(self.apps[at], self.services[at], credential.secret, path, body, lose, late=late)
        assert status in (401, 403), (path, status)

    @rule()
    def fail_over(self) -> None:
        """Another copy of the database takes the place of the one that the replicas read."""
        file = self.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(f"{file}.copy")) as new:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            old.backup(new)
        for suffix in ("-wal", "-shm"):
            Path(file + suffix).unlink(missing_ok=True)
        Path(f"{file}.copy").replace(file)

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

    @rule(target=credentials, credential=credentials, at=replicas, tokens=st.booleans())
    def change_password(self, credential: Credential, at: int, tokens: bool) -> Any:
        account, new = self.model.accounts[credential.owner], next(self.passwords)
        code = 401 if self.model.is_dead(credential) else 403 if credential.kind == "token" else 200
        change = {"currentPassword": account.password, "newPassword": new, "revokeTokens": tokens}
        answer = Caller(self.apps[at], credential.secret, INSIDE)("PUT", "/me/password", code, json=change)
        if code != 200:
            return multiple()
        account.password = new
        self.model.end(credential.owner, "session", *(["token"] if tokens else []))
        me = Caller(self.apps[at], answer["token"], INSIDE)("GET", "/me", 200)
        return self.remember(Credential(credential.owner, "session", answer["token"], me["credential"]["id"]))

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


class Losing(io.BytesIO):
    """A body, before the last byte of which the right to ask is lost."""

    def __init__(self, body: bytes, lose: Callable[[], None]) -> None:
        super().__init__(body)
        self._lose = lose

    def read(self, size: int | None = -1, /) -> bytes:
        self._lose()
        return super().read(size)


def asked_while(
    app: Any, service: Service, secret: str, path: str, body: dict[str, Any], lose: Callable[[], None], *, late: bool
) -> int:
    """The status of a request during which the right to ask is lost."""
    raw = json.dumps(body)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    environment = falcon.testing.create_environ(f"/api/v1{path}", method="POST", headers=headers, body=raw, remote_addr=INSIDE)
    authenticator = service.authenticator
    if late:

        def admit(*arguments: Any) -> Any:
            principal = type(authenticator).authenticate(authenticator, *arguments)
            del authenticator.authenticate  # type: ignore[method-assign]  # the class's own again
            lose()
            return principal

        authenticator.authenticate = admit  # type: ignore[method-assign]
    else:
        environment["wsgi.input"] = Losing(raw.encode(), lose)
    found = falcon.testing.StartResponseMock()
    b"".join(app(environment, found))
    vars(authenticator).pop("authenticate", None)
    return int(found.status[:3])


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
