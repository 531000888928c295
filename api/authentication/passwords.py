"""Passwords: which are accepted (NIST SP 800-63B, 5.1.1.2), and how they are stored (argon2id, RFC 9106).

Hashes of bcrypt that were taken over are replaced when their owners log in.
"""

from __future__ import annotations

import os
import threading
import time
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.authentication import bcrypt_hashes
from api.authentication.guessing import guesses
from api.authentication.leaked import Leaked
from api.authentication.places import INSIDER, Guest, Places, Visit
from api.errors import Busy
from api.state.policies import PasswordPolicy

MAX_LENGTH = 256
"""Characters. Longer passwords add no security, and take time to hash."""
_LATER = 5
"""How much lower the priority of hashing is: a hash takes as long as hundreds of decisions."""
FULL = "too many logins at once; try again in a second"
PATIENCE = 5.0
"""Seconds that a login waits for its turn to hash."""
_STRONG = 15
"""Characters. Passwords that must be longer need not be harder to guess."""
_SPARE = 2
"""Characters of a random password may happen to spell a word or a date."""


class Passwords:
    """Hashes and verifies, at most `parallel` at a time, so that a flood of logins leaves time for decisions.

    `waiting` more may wait for their turn. Anybody beyond that is told to try again; `places` says who that is.
    `leaked`: passwords that nobody may choose.
    """

    def __init__(self, parallel: int, *, waiting: int = 0, leaked: Leaked | None = None) -> None:
        self.leaked = leaked
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        # the 19 MiB that a hash needs stay with its thread, so a few threads hash, and not all that answer
        self._threads = ThreadPoolExecutor(parallel, "hash", initializer=_give_way)
        self._places = Places(parallel + waiting, parallel)
        self._changed = threading.Condition()
        self._visiting = threading.local()
        self._nobodys = self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """The hash to store for a password. Raises Busy."""
        with self.place(), self.turn():
            return self._hash(password)

    def hash_in_turn(self, password: str) -> str:
        """The same for somebody who has a place; and in the background, where it waits as long as it takes."""
        with self.turn():
            return self._hash(password)

    def verify(self, kept: str | None, password: str, costliest: int = 0) -> bool:
        """Whether a password is the stored one. The caller holds a turn.

        `costliest`: the highest cost of bcrypt's hashes in the database; 0 if there are none. It takes as long for any hash, or
        if there is none: the time of argon2id once, and of bcrypt at that cost. If one of bcrypt's is right, the time of argon2id
        is still to come: for the new hash.
        """
        if kept is not None and bcrypt_hashes.is_bcrypt(kept):
            verified = self._threads.submit(bcrypt_hashes.verify, kept, password, costliest).result()
            return verified or self._verify(None, password)
        if costliest:
            self._threads.submit(bcrypt_hashes.work, costliest).result()
        return self._verify(kept, password)

    def _verify(self, kept: str | None, password: str) -> bool:
        try:
            verified = self._threads.submit(self._hasher.verify, kept or self._nobodys, _normal(password))
            return verified.result() and bool(kept)
        except (VerificationError, InvalidHashError):
            return False

    def pretend(self, password: str, costliest: int = 0) -> None:
        """Take the time that `verify` takes."""
        with self.turn():
            self.verify(None, password, costliest)

    def rehash(self, kept: str, password: str) -> str | None:
        """A new hash of a password just verified, if the stored one is of bcrypt or was made with other parameters. The caller
        holds a turn."""
        outdated = bcrypt_hashes.is_bcrypt(kept) or self._hasher.check_needs_rehash(kept)
        return self._hash(password) if outdated else None

    def _hash(self, password: str) -> str:
        return self._threads.submit(self._hasher.hash, _normal(password)).result()

    @property
    def places(self) -> int:
        """How many there are, all taken or not."""
        return self._places.number

    @contextmanager
    def place(self, guest: Guest = INSIDER, *, alone: bool = False) -> Iterator[None]:
        """A place among those who log in, for a password's hash and then for the database. Raises Busy if there is none, or if
        the guest wants it `alone` and its network has one."""
        with self._changed:
            visit = self._places.enter(guest, alone=alone)
            self._changed.notify_all()  # a stranger who waits may have been displaced
        if visit is None:
            raise Busy(FULL)
        before, self._visiting.visit = self._visit, visit
        try:
            yield
        finally:
            self._visiting.visit = before
            with self._changed:
                self._places.leave(visit)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A turn to hash. The caller holds a place, or works in the background. Raises Busy if it comes too late."""
        visit = self._visit
        until = None if visit is None else time.monotonic() + PATIENCE
        with self._changed:
            visit = visit or self._places.attend(INSIDER)
            self._places.ask(visit)
            try:
                self._await(visit, until)
            except BaseException:
                self._places.end(visit)
                raise
        try:
            yield
        finally:
            with self._changed:
                self._places.end(visit)
                self._changed.notify_all()

    @property
    def _visit(self) -> Visit | None:
        """The place that this thread has."""
        visit: Visit | None = getattr(self._visiting, "visit", None)
        return visit

    def _await(self, visit: Visit, until: float | None) -> None:
        """Wait for a visit's turn. Raises Busy if it is displaced, or waits for too long."""
        while not self._places.begin(visit):
            left = None if until is None else until - time.monotonic()
            if visit.is_displaced or (left is not None and left <= 0):
                raise Busy(FULL)
            self._changed.wait(left)


def _give_way() -> None:
    """Let the threads that answer go first, if the system lets a thread have a priority of its own."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _LATER)


def _normal(password: str) -> str:
    """Normalise to NFKC, so that the same characters typed on another keyboard make the same password."""
    return unicodedata.normalize("NFKC", password)


def objection(password: str, policy: PasswordPolicy, *, identity: tuple[str, ...], leaked: Leaked | None = None) -> str | None:
    """Why a new password is not accepted, as a message to its owner; None if it is accepted.

    `identity`: what others know of the owner: the login name, the address, the full name.

    Raises Unavailable if the file of leaked passwords cannot be read.
    """
    normal = _normal(password)
    if min(len(password), len(normal)) < policy.min_length:  # a ligature is one character, and so is an accented letter
        return f"the password is too short: it needs at least {policy.min_length} characters"
    if len(normal) > MAX_LENGTH:
        return f"the password is too long: at most {MAX_LENGTH} characters"
    if leaked is not None and any(leaked.contains(each) for each in {password, normal}):
        return "the password is known from a leak; choose one that you have used nowhere else"
    if policy.refuse_common and guesses(normal, (*identity, *policy.organisation_words)) < 10 ** _digits(policy):
        return _GUESSABLE
    return None


_GUESSABLE = (
    "the password is too easy to guess; choose four or more words that do not belong together, or let a password manager "
    "choose; names, the organisation, dates, rows of keys and repetition do not count"
)


def _digits(policy: PasswordPolicy) -> int:
    """A password must be as hard to guess as a number of so many digits: what random characters reach at the least length."""
    return min(policy.min_length, _STRONG) - _SPARE
