"""Hashes of bcrypt: which are accepted, and what they are verified against."""

from __future__ import annotations

from collections.abc import Callable

import bcrypt
import pytest

from api.authentication import bcrypt_hashes
from api.authentication.bcrypt_hashes import HIGHEST_COST, fault, verify
from api.authentication.passwords import Passwords

RIGHT = "a rather long passphrase"
SALT = "abcdefghijklmnopqrstuu"
"""The same on every run: tests are named by what they are about."""


def made(password: str | bytes, prefix: str = "$2y$", cost: int = 4) -> str:
    """What htpasswd, or another program with bcrypt, makes of a password."""
    secret = password.encode() if isinstance(password, str) else password
    return prefix + bcrypt.hashpw(secret[:72], f"$2b${cost:02}${SALT}".encode()).decode()[4:]


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_a_hash_of_each_kind_is_accepted_and_verified(prefix: str) -> None:
    kept = made(RIGHT, prefix)
    assert fault(kept) is None
    assert verify(kept, RIGHT)
    assert not verify(kept, RIGHT + "!")
    assert not verify(kept, "")


GOOD = made(RIGHT)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no bcrypt hash"),
        ("$2x$" + GOOD[4:], "no bcrypt hash"),
        ("$2$" + GOOD[4:], "no bcrypt hash"),
        ("$apr1$abcdefgh$" + "x" * 22, "no bcrypt hash"),
        ("$argon2id$v=19$m=19456,t=2,p=1$" + "x" * 40, "no bcrypt hash"),
        (GOOD[:-1], "has 59"),
        (GOOD + "\n", "has 61"),
        ("$2y$" + "x" * 1_000_000, "has 1,000,004"),
        (GOOD[:30] + "\u00e9" + GOOD[31:], "no valid"),
        (GOOD[:30] + "\0" + GOOD[31:], "no valid"),
        (GOOD[:28] + "b" + GOOD[29:], "no valid"),  # bits of the salt that are always 0
        (GOOD[:-1] + "/", "no valid"),
        ("$2y$4$." + GOOD[7:], "no valid"),
        ("$2y$\u0664\u0664$" + GOOD[7:], "no valid"),
        ("$2y$03$" + GOOD[7:], "cost of this hash is 3"),
        (f"$2y${HIGHEST_COST + 1}$" + GOOD[7:], "cost of this hash is 15"),
        ("$2y$31$" + GOOD[7:], "cost of this hash is 31"),
    ],
)
def test_anything_else_is_refused_without_being_shown(text: str, why: str) -> None:
    said = fault(text) or ""
    assert why in said
    assert len(said) < 100
    assert GOOD[10:28] not in said
    assert not verify(text, RIGHT)  # nor does it hold anybody up, however high its cost is


def test_only_72_bytes_of_a_password_count() -> None:
    long = "\u00e9" * 40
    kept = made(long)
    assert verify(kept, long)
    assert verify(kept, "\u00e9" * 36 + "anything")
    assert not verify(kept, "\u00e9" * 35 + "ee" + "anything")


def test_a_password_ends_at_a_nul_and_an_empty_one_is_nobody_s() -> None:
    assert verify(made("sesame"), "sesame\0and more")
    assert not verify(made(""), "")
    assert not verify(made(""), "\0and more")


def test_characters_count_as_they_were_typed() -> None:
    assert not verify(made("e\u0301tude"), "\u00e9tude")
    assert verify(made("e\u0301tude"), "e\u0301tude")


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """The costs of all work that bcrypt did since the last call."""
    done: list[int] = []
    check, make = bcrypt.checkpw, bcrypt.hashpw
    monkeypatch.setattr(bcrypt, "checkpw", lambda secret, kept: done.append(int(kept[4:6])) or check(secret, kept))
    monkeypatch.setattr(bcrypt, "hashpw", lambda secret, salt: done.append(int(salt[4:6])) or make(secret, salt))

    def since() -> list[int]:
        found = done.copy()
        done.clear()
        return found

    return since


@pytest.mark.parametrize("password", [RIGHT, "wrong"])
def test_every_verification_takes_as_many_rounds_as_the_costliest_hash(rounds: Callable[[], list[int]], password: str) -> None:
    passwords = Passwords(1)
    costliest, own = made(RIGHT, cost=8), passwords.hash(RIGHT)
    rounds()
    for kept in (made(RIGHT), made(RIGHT, cost=6), costliest, own, None, "$2y$31$" + costliest[7:]):
        rounds()
        with passwords.turn():
            passwords.verify(kept, password, costliest=8)
        assert sum(2**each for each in rounds()) == 2**8
    with passwords.turn():
        passwords.verify(own, password)
    assert rounds() == []


def test_no_cost_found_in_a_database_holds_anybody_up(rounds: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bcrypt_hashes, "HIGHEST_COST", 5)
    bcrypt_hashes.work(31)
    verify(made(RIGHT), RIGHT, 31)
    assert max(rounds()) <= 5


def test_each_verification_takes_the_time_of_argon2id_once(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(1)
    taken: list[str] = []
    hasher = passwords._hasher

    class Counting:
        def hash(self, password: str) -> str:
            taken.append("hash")
            return hasher.hash(password)

        def verify(self, kept: str, password: str) -> bool:
            taken.append("verify")
            return hasher.verify(kept, password)

        def check_needs_rehash(self, kept: str) -> bool:
            return hasher.check_needs_rehash(kept)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    kept = made(RIGHT)
    for password, expected in ((RIGHT, ["hash"]), ("wrong", ["verify"])):
        taken.clear()
        with passwords.turn():
            if passwords.verify(kept, password, 4):
                assert (passwords.rehash(kept, password) or "").startswith("$argon2id$")
        assert taken == expected


def test_the_new_hash_is_of_the_whole_password() -> None:
    passwords, long = Passwords(1), "x" * 100
    with passwords.turn():
        fresh = passwords.rehash(made(long), long)
        assert fresh is not None
        assert passwords.verify(fresh, long)
        assert not passwords.verify(fresh, "x" * 72)
