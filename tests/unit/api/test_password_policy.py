"""Which new passwords are accepted, and how passwords are stored and checked."""

from __future__ import annotations

import threading

import pytest
from argon2 import PasswordHasher
from waiting import LONG, until

from api.authentication.passwords import MAX_LENGTH, Passwords, objection
from api.errors import Busy
from api.state.policies import PasswordPolicy

POLICY = PasswordPolicy(min_length=15, refuse_common=True, organisation_words=("Halden Ferries",))
IDENTITY = ("alice", "alice.jones@example.org", "alice.jones", "Alice Jones")


@pytest.mark.parametrize(
    "password",
    [
        "a rather long passphrase",
        "a long passphrase of alice",
        "quiet otter maps dawn",
        "gDq9f#2LmVz!kTw",
        "ALL CAPITALS AND NO DIGIT",
        "\u6f22\u5b57\u304b\u306a\u4ea4\u3058\u308a\u6587\u306e\u9577\u3044\u8a00\u8449\u3067\u3059",
        "quiet otter maps dawn" + "x" * (MAX_LENGTH - 21),
    ],
)
def test_any_long_password_that_is_not_easy_to_guess_is_accepted(password: str) -> None:
    assert objection(password, POLICY, identity=IDENTITY) is None


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "too short"),
        ("fourteen chars", "too short"),
        ("\ufb03" * 6, "too short"),  # a ligature is one character, however many letters it stands for
        ("\u00df" * 8 + "abc", "too short"),
        ("x" * (MAX_LENGTH + 1), "too long"),
    ],
)
def test_a_password_of_a_wrong_length_is_refused(password: str, why: str) -> None:
    assert why in (objection(password, POLICY, identity=IDENTITY) or "")


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "PasswordPassword",
        "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44" * 2,
        "drowssapdrowssap",
        "P@ssw0rd12345678",
        "p4ssw0rd!p4ssw0rd!",
        "thisismypassword",
        "MyPassword2026!MyPassword",
        "correct horse battery staple",
        "correct-horse-battery-staple-1",
        "1234567890123456",
        "31415926535897932",
        "abcdefghijklmnop",
        "aaaaaaaaaaaaaaaaaaa",
        "abababababababab",
        "x" * (MAX_LENGTH - 4) + "yz!?",
        # keyboards
        "qwertyuiopasdfgh",
        "1qaz2wsx3edc4rfv",
        "!QAZ@WSX#EDC$RFV",
        "yxcvbnmasdfghjkl",
        "azertyuiopqsdfghjklm",
        "\u0439\u0446\u0443\u043a\u0435\u043d\u0433\u0448\u0449\u0437\u0445\u044a123",
        # famous lines
        "Youllneverwalkalone1!",
        "lorem ipsum dolor sit amet",
        "fourscoreandsevenyears",
        "LassMichRein123456",
        "Geburtstag12345!",
        "FCBayernMuenchen1900",
        # calendars
        "Summer2026!Summer",
        "Sommer2026!Sommer",
        "Fr\u00fchling2026!Fr\u00fchling",
        "September2026!!",
        "January-2026-February",
        "Miercoles-2026-Jueves",
        # the account, the organisation and the product
        "alice.jones@example.org",
        "Alice.Jones@Example.ORG1",
        "alicealicealicealice",
        "4l1c3j0n3s123456",
        "example.org.2026",
        "halden-ferries-1",
        "H4ld3n-F3rr13s-2026",
        "Accord-Certificates-1",
    ],
)
def test_a_password_that_people_use_is_refused_without_being_shown(password: str) -> None:
    found = objection(password, POLICY, identity=IDENTITY)
    assert found is not None and "too easy to guess; choose four or more words" in found
    assert password not in found


def test_words_of_the_organisation_make_no_password_harder_to_guess() -> None:
    assert objection("zweckverband-uckermark", PasswordPolicy(15, True), identity=IDENTITY) is None
    known = PasswordPolicy(15, True, ("Zweckverband Uckermark",))
    for each in ("zweckverband-uckermark", "Uckermark-2026-Zweckverband", "ZWECKVERBANDUCKERMARK1"):
        assert objection(each, known, identity=IDENTITY) is not None


def test_the_settings_may_accept_common_passwords_but_never_short_ones() -> None:
    lax = PasswordPolicy(min_length=8, refuse_common=False)
    assert objection("password", lax, identity=IDENTITY) is None
    assert "too short" in (objection("passwor", lax, identity=IDENTITY) or "")


def test_random_characters_are_accepted_whatever_the_least_length() -> None:
    for password in ("kq7Vz!xN", "kq7Vz!xNw2Rt", "kq7Vz!xNw2Rt9mLc"):
        assert objection(password, PasswordPolicy(len(password), True), identity=IDENTITY) is None


def test_a_password_is_verified_by_its_hash_alone() -> None:
    passwords = Passwords(1)
    kept = passwords.hash("a rather long passphrase")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify(kept, "a rather long passphrase")
    for wrong in ("A rather long passphrase", "a rather long passphrase ", "", "\0"):
        assert not passwords.verify(kept, wrong)
    assert passwords.hash("a rather long passphrase") != kept


@pytest.mark.parametrize("kept", [None, "", "nonsense", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", "!"])
def test_without_a_stored_password_none_is_right(kept: str | None) -> None:
    assert not Passwords(1).verify(kept, "nobody has this password")


def test_the_same_characters_from_another_keyboard_are_the_same_password() -> None:
    passwords = Passwords(1)
    assert passwords.verify(
        passwords.hash("caf\u00e9 au lait, s'il vous pla\u00eet"), "cafe\u0301 au lait, s'il vous plai\u0302t"
    )


def test_a_hash_with_other_parameters_is_renewed() -> None:
    passwords = Passwords(1)
    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash("a rather long passphrase")
    new = passwords.rehash(old, "a rather long passphrase")
    assert new is not None and passwords.verify(new, "a rather long passphrase")
    assert passwords.rehash(new, "a rather long passphrase") is None


def test_a_limited_number_hash_or_wait_and_the_others_are_told_to_try_again() -> None:
    passwords = Passwords(1, waiting=1)
    inside, leave = threading.Event(), threading.Event()

    def take_a_turn() -> None:
        with passwords.place(), passwords.turn():
            inside.set()
            assert leave.wait(LONG)

    threads = [threading.Thread(target=take_a_turn) for _ in range(2)]
    threads[0].start()
    assert inside.wait(LONG)
    threads[1].start()
    until(lambda: not passwords._places.free, "the second one's place")
    with pytest.raises(Busy), passwords.place():
        pass
    leave.set()
    for thread in threads:
        thread.join()
    with passwords.place(), passwords.turn():
        pass
