"""Any events in any order cause no wrong allow and no wrong deny, judged by a model that knows nothing of Accord's internals.

One world after another lives through some hundred random steps. A step is cheap: most are requests to the application in this
process, and few are an `apply`. `make state-machine STEPS=100000` takes many; TESTS_SEED repeats a world that failed.
"""

from __future__ import annotations

import io
import json
import logging
import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar

import falcon.testing
import pytest
from argon2 import PasswordHasher
from client import World, settings
from effort import tries
from expected import (
    ADMINISTRATING,
    APPLICATION,
    INSIDE,
    ISSUERS,
    LINKS,
    OUTSIDE,
    RESTRICTED,
    TEAMS,
    USERS,
    Account,
    Credential,
    Link,
    Model,
)
from scenario import ADMINISTRATORS, Accord, ConfigRepository, issuer

from api import administration
from api.app import create_app
from api.authentication import passwords
from api.authentication.authority import OperatorsAuthority
from api.service import Service
from reconciler.store import engine

LIFE = 400
"""Steps of a world. The next one starts afresh, with everything quick and everybody enabled."""
MOST_DEAD, MOST_LIVE = 6, 12
"""Credentials that are tried after each step that may end one, and a sample of them after any other."""
SAMPLE = 4
SHORTEST = 300
"""Seconds that a token must live to mint another."""
Choice = TypeVar("Choice")
Point = Literal["before its body", "while it is judged", "once it is admitted", "before it writes"]
Answer = tuple[int, Any]
RULES: dict[Callable[[Runtime], None], float] = {}
"""How often each is taken."""
ENDING_NOTHING: set[Callable[[Runtime], None]] = set()
"""Those after which a sample of everything is tried: they add something, and end nothing."""


def rule(weight: float, *, ends_nothing: bool = False) -> Callable[[Callable[[Runtime], None]], Callable[[Runtime], None]]:
    """Make a method one of the steps that a world may take."""

    def decorate(method: Callable[[Runtime], None]) -> Callable[[Runtime], None]:
        RULES[method] = weight
        if ends_nothing:
            ENDING_NOTHING.add(method)
        return method

    return decorate


class Runtime:
    """Two replicas of the API over one database, compared with the model."""

    def __init__(self, template: Path, folder: Path, seed: int) -> None:
        shutil.copy(template / "accord.db", folder)
        self.chance = random.Random(seed)
        self.said: list[str] = []
        self.passwords = (f"a rather long passphrase {number}" for number in count())
        self.model = first_model()
        self.url = f"sqlite:///{folder}/accord.db"
        self.world = World.__new__(World)
        shutil.copytree(template / "config.git", folder / "config.git")
        self.world.repository, self.world.url = ConfigRepository(folder / "config.git"), self.url
        self.applied = self.world.repository.head()
        self.world.accord = Accord(self.world.repository.path, self.url, template / "cache")
        self.services = [started(self.url) for _ in range(2)]
        self.apps = [create_app(service) for service in self.services]
        self.world.service = self.services[0]
        self.root = self.world.mint("root", "session").secret
        for account in self.model.accounts.values():
            self.set_password(account)
            self.token_of_a_new_session(account.name)

    def stop(self) -> None:
        for service in self.services:
            service.stop()

    def step(self) -> str:
        """Take any step, and check what is permitted then; the step's name."""
        method = self.chance.choices(list(RULES), list(RULES.values()))[0]
        self.said.append(f"{method.__name__}:")
        method(self)
        self.check(SAMPLE if method in ENDING_NOTHING else None)
        self.forget()
        return method.__name__

    # ---- choosing

    def any(self, choices: Sequence[Choice]) -> Choice:
        chosen = self.chance.choice(choices)
        self.said[-1:] = [f"{''.join(self.said[-1:])} {chosen}"]
        return chosen

    def is_so(self, probability: float) -> bool:
        return self.any([self.chance.random() < probability])

    def any_credential(self, *, kind: str = "", owners: Sequence[str] = USERS) -> Credential:
        """One that lives, mostly; of a kind and of some owners, if there are any."""
        found = self.model.credentials
        for wanted in (
            lambda each: each.owner in owners,
            lambda each: not kind or each.kind == kind,
            lambda each: self.chance.random() < 0.1 or not each.is_dead,
        ):
            found = [each for each in found if wanted(each)] or found
        return self.any(found)

    def any_account(self) -> Account:
        return self.model.accounts[self.any(USERS)]

    def any_account_that_counts(self) -> Account:
        """One that may log in, mostly."""
        found = [each for each in self.model.accounts.values() if self.chance.random() < 0.1 or each.counts]
        return self.any(found or list(self.model.accounts.values()))

    def any_address(self) -> str:
        return self.any((INSIDE, INSIDE, OUTSIDE))

    def any_replica(self) -> int:
        return self.any((0, 1))

    def is_full(self) -> bool:
        return sum(not each.is_dead for each in self.model.credentials) >= MOST_LIVE

    # ---- asking

    def ask(
        self, secret: str | None, method: str, path: str, body: Any = None, *, at: int | None = None, address: str = INSIDE
    ) -> Answer:
        """Status and body of the answer."""
        app = self.apps[self.chance.randrange(2) if at is None else at]
        return answered(app, environment_of(secret, method, path, body, address))

    def ask_as_root(self, method: str, path: str, expected: int, body: Any = None, *, at: int | None = None) -> Any:
        status, answer = self.ask(self.root, method, path, body, at=at)
        assert status == expected, (method, path, status, answer)
        return answer

    # ---- checking

    def check(self, sample: int | None) -> None:
        """Try all credentials and accounts, or so many, each in another way than before: another issuer, replica or address."""
        for credential in self.sampled(self.model.credentials, sample):
            self.check_credential(credential)
        for who in self.sampled(USERS, sample and 1):
            to, address = self.chance.choice(ISSUERS), self.chance.choice((INSIDE, OUTSIDE))
            answer = self.ask_as_root("POST", "/decisions", 200, {"issuer": to, "subject": who, "address": address})
            assert answer["allow"] is self.model.allows(who, to, address), answer
        self.check_tokens(self.chance.choice(USERS))

    def sampled(self, everything: Sequence[Choice], sample: int | None) -> Sequence[Choice]:
        return everything if sample is None else self.chance.sample(everything, min(sample, len(everything)))

    def check_credential(self, credential: Credential) -> None:
        to, address = self.chance.choice(ISSUERS), self.chance.choice((INSIDE, OUTSIDE))
        status, answer = self.ask(credential.secret, "POST", "/decisions", {"issuer": to}, address=address)
        assert status == (self.model.refusal(credential, address) or 200), (credential, address, status, answer)
        if status == 200:
            expected = credential.only in (None, to) and self.model.allows(credential.owner, to, address)
            assert answer["allow"] is expected, (credential, address, answer)

    def check_tokens(self, who: str) -> None:
        """An account has no live tokens but those that it should have."""
        found = {each["id"] for each in self.ask_as_root("GET", f"/users/{who}/tokens", 200)}
        assert found == self.model.live_tokens(who), (who, found)

    def forget(self) -> None:
        """Try no longer what ended long ago."""
        dead = [each for each in self.model.credentials if each.is_dead]
        for each in dead[: max(0, len(dead) - MOST_DEAD)]:
            self.model.credentials.remove(each)

    # ---- minting

    @rule(14, ends_nothing=True)
    def issue_token(self) -> None:
        if not self.is_full():
            self.token_of_a_new_session(self.any_account_that_counts().name)

    def token_of_a_new_session(self, who: str) -> None:
        """A token that a new session mints, if it can."""
        account = self.model.accounts[who]
        self.mint(Credential(account, "session", self.world.mint(who, "session").secret, ""), 3600)

    @rule(14, ends_nothing=True)
    def mint_with_a_credential(self) -> None:
        credential = self.any_credential()
        if self.is_full() or (credential.kind == "token" and credential.seconds < SHORTEST):
            return  # what it mints could end while the world lives
        self.mint(credential, credential.seconds // (1 if credential.kind == "session" else 2))

    def mint(self, minter: Credential, seconds: int) -> None:
        minted = Credential(minter.account, "token", "", "", minter, seconds, *self.any_narrowing())
        address = self.any_address()
        expected = self.model.minting(minter, address)
        status, answer = self.ask(minter.secret, "POST", "/me/tokens", request_of(minted), address=address)
        assert status == expected, (minter, status, answer)
        if status == 201:
            self.remember(minted, answer["token"], answer["id"])

    def any_narrowing(self) -> tuple[str | None, bool]:
        return self.any((*6 * (None,), *ISSUERS)), self.any((*4 * (False,), True))

    @rule(6, ends_nothing=True)
    def mint_for_the_application(self) -> None:
        if self.is_full():
            return
        minter, address, application = self.any_administrators(), self.any_address(), self.model.accounts[APPLICATION]
        minted = Credential(application, "token", "", "", minter, 3600, *self.any_narrowing())
        expected = self.model.administrating(minter, address)
        if expected == 204:
            expected = 409 if minter.account is application or not application.counts else 201
        path = f"/users/{APPLICATION}/tokens"
        status, answer = self.ask(minter.secret, "POST", path, request_of(minted), address=address)
        assert status == expected, (minter, status, answer)
        if status == 201:
            self.remember(minted, answer["token"], answer["id"])

    def any_administrators(self) -> Credential:
        """A session of an administrator, mostly, and one that lives."""
        owners = [who for who in USERS if ADMINISTRATING in self.model.teams(who)]
        able = [self.model.accounts[who] for who in owners if self.model.accounts[who].counts]
        lives = any(each.account in able and each.kind == "session" and not each.is_dead for each in self.model.credentials)
        if able and not lives and not self.is_full() and self.is_so(0.8):
            self.log_in_as(self.any(able), INSIDE)
        return self.any_credential(kind=self.any(("session", "session", "session", "")), owners=owners)

    @rule(3, ends_nothing=True)
    def ask_for_a_successor(self) -> None:
        """Only an application's token gets one, and once."""
        old = self.any_credential(kind="token", owners=[APPLICATION])
        if self.is_full() or old.kind == "session":
            return
        is_second = any(each.succeeds and each.minter is old and not each.is_dead for each in self.model.credentials)
        of_a_token = old.minter is not None and old.minter.kind == "token" and not old.succeeds
        gets_one = old.owner == APPLICATION and not of_a_token and not is_second
        expected = self.model.refusal(old, INSIDE) or (201 if gets_one else 409)
        body = {"name": "successor", "validFor": f"{2 * old.seconds}s"}
        status, answer = self.ask(old.secret, "POST", "/me/tokens", body)
        assert status == expected, (old, status, answer)
        if status == 201:
            new = Credential(old.account, "token", "", "", old, old.seconds, old.only, old.only_inside, succeeds=True)
            self.remember(new, answer["token"], answer["id"])

    @rule(10, ends_nothing=True)
    def log_in(self) -> None:
        if self.is_full():
            return
        self.log_in_as(self.any_account_that_counts(), self.any_address())

    def log_in_as(self, account: Account, address: str) -> None:
        expected = 201 if account.counts and self.model.may_call(account.name, address) else 401
        status, answer = self.ask(None, "POST", "/sessions", login_of(account, account.password), address=address)
        assert status == expected, (account, status, answer)
        if status == 201:
            self.remember_session(account, answer["token"])

    @rule(1, ends_nothing=True)
    def log_in_with_the_former_password(self) -> None:
        account = self.any_account()
        address = f"10.20.{self.chance.randrange(1, 256)}.{self.chance.randrange(256)}"  # nobody shares its failures
        status, _ = self.ask(None, "POST", "/sessions", login_of(account, account.former_password or "none"), address=address)
        assert status == 401

    def remember(self, credential: Credential, secret: str, accessor: str) -> None:
        credential.secret, credential.accessor = secret, accessor
        self.model.credentials.append(credential)

    def remember_session(self, account: Account, secret: str) -> None:
        status, me = self.ask(secret, "GET", "/me")
        assert status == 200, me
        self.remember(Credential(account, "session", "", ""), secret, me["credential"]["id"])

    # ---- losing authority

    @rule(4)
    def revoke(self) -> None:
        self.revoke_it(self.any_credential())

    def revoke_it(self, credential: Credential, at: int | None = None) -> None:
        """A session logs itself out; a token is revoked by an administrator, with all that came of it."""
        if credential.kind == "session":
            status, _ = self.ask(credential.secret, "DELETE", "/sessions/current", at=at)
            assert status == (401 if credential.is_dead else 204)
            credential.ended = True
            return
        status, _ = self.ask(self.root, "DELETE", f"/users/{credential.owner}/tokens/{credential.accessor}", at=at)
        assert status == 204 or (credential.is_dead and status == 404)
        if credential.account is self.model.accounts[credential.owner]:
            self.model.end_all_that_came_of(credential)

    @rule(2)
    def revoke_ones_own(self) -> None:
        """With what it minted, but for its successor."""
        ended = self.any_credential(kind="token")
        by = self.any_credential(owners=[ended.owner])
        refused = self.model.refusal(by, INSIDE) or (403 if by.is_narrowed else None)
        is_there = by.account is ended.account and ended.kind == "token" and not ended.is_dead
        status, answer = self.ask(by.secret, "DELETE", f"/me/tokens/{ended.accessor}")
        assert status in ((refused,) if refused else (204,) if is_there else (404, 204)), (by, ended, status, answer)
        if status == 204:
            for each in self.model.credentials:
                each.ended |= each.goes_with(ended)

    @rule(1)
    def end_all_other_sessions(self) -> None:
        """With all that they minted for their own account."""
        by = self.any_credential(kind="session")
        refused = self.model.refusal(by, INSIDE) or (403 if by.is_narrowed else None)
        status, answer = self.ask(by.secret, "DELETE", "/me/sessions")
        assert status == (refused or 204), (by, status, answer)
        if status == 204:
            self.end_lines(lambda each: each.account is by.account and each.kind == "session" and each is not by, of=by.account)

    @rule(0.5)
    def an_operator_revokes_everything(self) -> None:
        account = self.any_account()
        administration.revoke_credentials(OperatorsAuthority(self.world.service.database, "operator"), account.name, None)
        self.end_lines(lambda each: each.account is account)

    def end_lines(self, ends: Callable[[Credential], bool], of: Account | None = None) -> None:
        """End what came of any such credential: of one account or of all."""
        for credential in self.model.credentials:
            credential.ended |= any(ends(each) for each in credential.line()) and of in (None, credential.account)

    @rule(2)
    def expire(self) -> None:
        self.expire_it(self.any_credential())

    def expire_it(self, credential: Credential) -> None:
        """What it minted would have ended before; here it goes on."""
        long_ago = "expires_at = '2020-01-01T00:00:00.000000Z'"
        self.world.execute(f"UPDATE tokens SET {long_ago} WHERE accessor = '{credential.accessor}'")
        credential.ended = True

    @rule(1.5)
    def disable(self) -> None:
        self.disable_it(self.any_account())

    def disable_it(self, account: Account, at: int | None = None) -> None:
        self.ask_as_root("PUT", f"/users/{account.name}/disabled", 204, at=at)
        self.note_disabled(account)

    def note_disabled(self, account: Account) -> None:
        if not account.disabled_by_administrator:
            account.disabled_by_administrator = True
            self.model.end(account.name, "session", "token")

    @rule(6)
    def enable(self) -> None:
        for who, account in self.model.accounts.items():
            if account.disabled_by_administrator:
                self.ask_as_root("DELETE", f"/users/{who}/disabled", 204)
                account.disabled_by_administrator = False

    @rule(2)
    def disable_somebody_as_an_administrator(self) -> None:
        by, account, address = self.any_administrators(), self.any_account(), self.any_address()
        expected = self.model.administrating(by, address)
        if expected == 204 and by.account is account:
            expected = 409
        status, answer = self.ask(by.secret, "PUT", f"/users/{account.name}/disabled", address=address)
        assert status == expected, (by, status, answer)
        if status == 204:
            self.note_disabled(account)

    @rule(3)
    def change_password(self) -> None:
        credential, tokens = self.any_credential(kind="session"), self.is_so(0.5)
        account, new = credential.account, next(self.passwords)
        expected = self.model.refusal(credential, INSIDE) or (200 if credential.kind == "session" else 403)
        change = {"currentPassword": account.password, "newPassword": new, "revokeTokens": tokens}
        status, answer = self.ask(credential.secret, "PUT", "/me/password", change)
        assert status == expected, (credential, status, answer)
        if status == 200:
            account.former_password, account.password = account.password, new
            self.model.end(account.name, "session", *(["token"] if tokens else []))
            self.remember_session(account, answer["token"])

    # ---- losing authority during a request

    @rule(12)
    def lose_authority_during_a_request(self) -> None:
        """Wherever a request is by then: it is refused, and writes nothing."""
        losses = {
            **dict.fromkeys(["disabled", "revoked", "expired", "operator"], 5),
            **dict.fromkeys(["switched off by Git", "declared anew", "kept inside", "no administrator"], 1),
        }
        loss = self.any(self.chance.choices(list(losses), list(losses.values())))
        decides, mints, administrates = "/decisions", "/me/tokens", f"/users/{APPLICATION}/tokens"
        act = administrates if loss == "no administrator" else self.any((decides, mints, administrates))
        credential = self.any_administrators() if act == administrates else self.any_credential()
        address = OUTSIDE if loss == "kept inside" else self.any_address()
        points: tuple[Point, ...] = "before its body", "while it is judged", "once it is admitted", "before it writes"
        # a decision stands on when the credential was read, but is none about what was declared anew since
        point = self.any(points[: (2 if loss == "declared anew" else 1) if act == decides else 4])
        at, applied, lost = self.any_replica(), self.applied, False
        was_refused = self.model.refusal(credential, address) is not None

        def lose() -> None:
            nonlocal lost
            lost = True
            self.lose(credential, loss, 1 - at)

        body = {"issuer": ISSUERS[0]} if act == decides else {"name": "late", "validFor": "1s"}
        environment = environment_of(credential.secret, "POST", act, body, address)
        with losing(self.services[at], environment, point, lose):
            status, answer = answered(self.apps[at], environment)
        if act == decides and point == "while it is judged" and status == 200:
            assert answer["revision"]["commit"] == applied and not was_refused, (credential, answer)
            return
        # 403 also if it was refused anyhow: not permitted there, narrowed, or no administrator
        assert status in (403, self.model.refusal(credential, address)), (credential, point, lost, status, answer)
        for who in (credential.owner, APPLICATION):
            self.check_tokens(who)

    def lose(self, credential: Credential, loss: str, at: int) -> None:
        account = self.model.accounts[credential.owner]
        match loss:
            case "disabled":
                self.disable_it(account, at)
            case "revoked":
                self.revoke_it(credential, at)
            case "expired":
                self.expire_it(credential)
            case "operator":
                administration.revoke_credentials(OperatorsAuthority(self.services[at].database, "me"), account.name, None)
                self.end_lines(lambda each: each.account is account)
            case "switched off by Git":
                self.switch_off(account)
            case "declared anew":
                self.declare_anew(account)
            case "kept inside":
                self.link_member(RESTRICTED, account.name, "for good")
            case "no administrator":
                self.link_member(ADMINISTRATING, account.name, "none")
        if self.is_so(0.2):
            self.fail_over()

    # ---- what happens to the API

    @rule(3)
    def fail_over(self) -> None:
        """Another copy of the database takes the place of the one that the replicas read."""
        file = self.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(f"{file}.copy")) as new:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            old.backup(new)
        for suffix in ("-wal", "-shm"):
            Path(file + suffix).unlink(missing_ok=True)
        Path(f"{file}.copy").replace(file)

    @rule(2, ends_nothing=True)
    def write_uses(self) -> None:
        service = self.services[self.any_replica()]
        service.uses.flush()
        service.refusals.flush()

    # ---- what Git declares

    def reconcile(self) -> None:
        self.applied = self.world.apply(self.model.files())

    @rule(0.6)
    def git_switches_an_account(self) -> None:
        account = self.any([each for each in self.model.accounts.values() if not each.enabled_by_git] or [self.any_account()])
        if account.enabled_by_git:
            self.switch_off(account)
        else:
            account.enabled_by_git = True
            self.reconcile()

    def switch_off(self, account: Account) -> None:
        account.enabled_by_git = False
        self.model.end(account.name, "session", "token")
        self.reconcile()

    @rule(1)
    def git_changes_memberships(self) -> None:
        for _ in range(self.any((1, 1, 2))):
            self.model.members[self.any(TEAMS), self.any(USERS)] = self.any(LINKS)
        self.reconcile()

    def link_member(self, into: str, who: str, link: Link) -> None:
        self.model.members[into, who] = link
        self.reconcile()

    @rule(0.6)
    def git_changes_permissions(self) -> None:
        for _ in range(self.any((1, 1, 2))):
            self.model.grants[self.any(TEAMS), self.any(ISSUERS)] = self.any(LINKS)
        self.reconcile()

    @rule(0.2)
    def git_switches_an_issuer(self) -> None:
        to = self.any(ISSUERS)
        self.model.issuers[to] = not self.model.issuers[to]
        self.reconcile()

    @rule(0.3)
    def git_deletes_an_account_and_declares_it_anew(self) -> None:
        self.declare_anew(self.any_account())

    def declare_anew(self, account: Account) -> None:
        """Nothing of the old one is valid for the new one."""
        account.declared = False
        self.reconcile()
        for at in range(2):
            self.ask_as_root("GET", f"/users/{account.name}", 404, at=at)
        new = Account(account.name, former_password=account.password)
        self.model.accounts[account.name] = new
        self.reconcile()
        self.set_password(new)

    def set_password(self, account: Account) -> None:
        account.password = next(self.passwords)
        self.world.set_password(account.name, account.password)


def started(url: str) -> Service:
    """A replica. What it writes now and then, it writes at a step of its own, so that a seed repeats a world."""
    service = Service(settings(url))
    service.uses.start = service.refusals.start = lambda: None  # type: ignore[method-assign]
    service.start()
    return service


def request_of(minted: Credential) -> dict[str, Any]:
    narrowing = {"issuers": [minted.only]} if minted.only else {}
    inside = {"permittedIPs": [INSIDE]} if minted.only_inside else {}
    return {"name": "token", "validFor": f"{minted.seconds}s", **narrowing, **inside}


def login_of(account: Account, password: str) -> dict[str, str]:
    return {"username": account.name, "password": password}


def environment_of(secret: str | None, method: str, path: str, body: Any, address: str) -> dict[str, Any]:
    """A request, as a server hands it to the application."""
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    raw = "" if body is None else json.dumps(body)
    return falcon.testing.create_environ(f"/api/v1{path}", method=method, headers=headers, body=raw, remote_addr=address)


def answered(app: Any, environment: dict[str, Any]) -> Answer:
    start = falcon.testing.StartResponseMock()
    body = b"".join(app(environment, start))
    return int(str(start.status)[:3]), json.loads(body) if body else None


@contextmanager
def losing(service: Service, environment: dict[str, Any], point: Point, lose: Callable[[], None]) -> Iterator[None]:
    """Call `lose` once, at a point of a request that is answered meanwhile."""
    parts: dict[Point, tuple[Any, str, bool]] = {
        "while it is judged": (service.keeper, "at", True),
        "once it is admitted": (service.authenticator, "authenticate", False),
        "before it writes": (service.database, "recording", True),
    }
    if point not in parts:
        environment["wsgi.input"] = Losing(environment["wsgi.input"].read(), lose)
        yield
        return
    part, name, before = parts[point]
    real = getattr(part, name)

    def called(*arguments: Any) -> Any:
        del vars(part)[name]  # the class's own again
        if before:
            lose()
            return real(*arguments)
        found = real(*arguments)
        lose()
        return found

    vars(part)[name] = called
    try:
        yield
    finally:
        vars(part).pop(name, None)


class Losing(io.BytesIO):
    """A body, before the last byte of which the right to ask is lost."""

    def __init__(self, body: bytes, lose: Callable[[], None]) -> None:
        super().__init__(body)
        self._lose = lose

    def read(self, size: int | None = -1, /) -> bytes:
        lose, self._lose = self._lose, lambda: None
        lose()
        return super().read(size)


def first_model() -> Model:
    model = Model({who: Account(who) for who in USERS})
    model.members.update({("web", who): "for good" for who in USERS})
    model.members.update({(RESTRICTED, "bob"): "for good", (ADMINISTRATING, "alice"): "for good"})
    return model


def begin_template(folder: Path, tables: Path) -> None:
    """What each world starts with: an applied repository and its database."""
    shutil.copy(tables, folder / "accord.db")
    repository = ConfigRepository(folder / "config.git")
    repository.commit({**ADMINISTRATORS, "issuers/spare.yaml": issuer("spare"), **first_model().files()})
    Accord(repository.path, f"sqlite:///{folder}/accord.db", folder / "cache")("apply", "--yes")


def run(steps: int, seed: int, tables: Path, folder: Path) -> Counter[str]:
    """Take so many steps in as many worlds as they need; how often each was taken."""
    taken: Counter[str] = Counter()
    template = folder / "template"
    template.mkdir()
    begin_template(template, tables)
    world = folder / "world"  # all have the same URL
    for number in count(seed):
        world.mkdir()
        runtime = Runtime(template, world, number)
        try:
            taken.update(runtime.step() for _ in range(min(LIFE, steps - taken.total())))
        except BaseException as error:
            steps_before = "\n".join(runtime.said[-15:])
            error.add_note(f"TESTS_SEED={number}, step {len(runtime.said)} of its first world, after:\n{steps_before}")
            raise
        finally:
            runtime.stop()
            shutil.rmtree(world)
        if taken.total() >= steps:
            return taken
        if (number - seed) % 25 == 24:
            print(f"{taken.total():,} steps", flush=True)
    raise AssertionError


@pytest.mark.slow
def test_no_wrong_allow_and_no_wrong_deny(
    sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # a hash of the real cost takes as long as two steps
    monkeypatch.setattr(passwords, "PasswordHasher", lambda **_: quick)
    monkeypatch.setattr("api.service.REFUSAL", 0.0)  # a refused login waits longer than ten steps take
    caplog.set_level(logging.ERROR, "accord.api")  # it would keep a line for each refusal
    # an engine keeps compiled statements, and no connections
    monkeypatch.setattr(engine, "_make_engine", lru_cache(engine._make_engine))
    steps = int(os.environ.get("TESTS_STEPS") or tries(1000))
    seed = int(os.environ.get("TESTS_SEED") or random.SystemRandom().randrange(2**32))
    taken = run(steps, seed, sqlite_template, tmp_path)
    print(f"\n{taken.total():,} steps from TESTS_SEED={seed}")
    for name, times in taken.most_common():
        print(f"{times:9,} {name}")
