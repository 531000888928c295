"""Logins through here never lock an account in its directory; an account that is locked there cannot log in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from directory_world import DirectoryWorld
from faulty_proxy import FaultyProxy
from samba_domain import POLICIES
from waiting import until

from api.directory.controllers import Controllers, DirectoryUnavailable
from api.directory.domains import Domain
from reconciler.store.tables import instant_text

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
THRESHOLD = 4


def wrong_passwords(world: DirectoryWorld, dn: str) -> int:
    """The directory's own count."""
    found = world.domain.read(dn, "badPwdCount")["badPwdCount"]
    return int(found[0] if isinstance(found, list) else found)


def is_locked(world: DirectoryWorld, dn: str) -> bool:
    return not world.domain.bind(dn, world.password)


def test_an_account_locked_in_the_directory_is_refused_until_it_is_unlocked(world: DirectoryWorld) -> None:
    name, dn = world.person()
    session = world.login(name)
    for _ in range(THRESHOLD):
        assert not world.domain.bind(dn, "wrong")
    assert int(world.domain.read(dn, "lockoutTime")["lockoutTime"][0]) > 0
    assert is_locked(world, dn)
    refused = world.caller().send("POST", "/sessions", json={"username": name, "password": world.password})
    unknown = world.caller().send("POST", "/sessions", json={"username": "person-unknown", "password": world.password})
    assert (refused.status_code, refused.json["detail"]) == (401, unknown.json["detail"])
    world.cycle()
    session("GET", "/me", 200)  # whoever types wrong passwords elsewhere does not end the access that somebody has
    world.domain.set(dn, lockoutTime="0")
    world.login(name)("GET", "/me", 200)


def test_an_account_locked_between_the_bind_and_the_reading_is_refused(
    world: DirectoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, dn = world.person()
    read = Domain.read

    def read_late(domain: Domain, guid: str) -> object:
        for _ in range(THRESHOLD):
            world.domain.bind(dn, "wrong")
        return read(domain, guid)

    monkeypatch.setattr(Domain, "read", read_late)
    assert world.refused(name) == "locked-in-directory"


def test_simultaneous_wrong_passwords_do_not_lock_the_account(world: DirectoryWorld) -> None:
    name, dn = world.person()
    world.with_more(waiting=50)

    def fail() -> None:
        world.caller().send("POST", "/sessions", json={"username": name, "password": "wrong"})

    for _ in range(3):
        threads = [threading.Thread(target=fail) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 0 < wrong_passwords(world, dn) < THRESHOLD
    assert not is_locked(world, dn)


def test_wrong_passwords_given_elsewhere_count(world: DirectoryWorld) -> None:
    name, dn = world.person()
    for _ in range(THRESHOLD - 1):
        world.domain.bind(dn, "wrong")
    assert world.refused(name, "wrong") == "near-lock-out-in-directory"
    assert not is_locked(world, dn)


def test_an_account_close_to_the_threshold_can_log_in_once_the_directory_has_forgotten(world: DirectoryWorld) -> None:
    name, dn = world.person()
    for _ in range(THRESHOLD):
        world.login(name, "wrong", 401)
    assert world.refused(name) == "near-lock-out-in-directory"
    world.domain.set(dn, lockoutTime="0")  # which sets the count back
    world.execute("UPDATE directory_attempts SET wrong_until = '2020-01-01T00:00:00.000000Z'")
    world.login(name)


@pytest.fixture
def lost_answers(world: DirectoryWorld) -> Iterator[FaultyProxy]:
    """A proxy to the controller that can lose the answer to a bind while the service account's connection continues."""
    proxy = FaultyProxy(f"{world.domain.address}", (world.domain.address, 636))
    yield proxy
    proxy.close()


def test_a_password_whose_answer_was_lost_counts_and_is_sent_to_no_other_controller(
    world: DirectoryWorld, lost_answers: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, dn = world.person()
    first = f"ldaps://{world.domain.address}:{lost_answers.port}"
    world.with_more(controllers=[first, world.domain.url], total_time=4, try_time=1)
    from api.directory import controllers

    bind = controllers._bind

    def lose(connection: object) -> bool:
        taken = bind(connection)  # type: ignore[arg-type]
        if getattr(connection, "user", "") == dn:
            raise controllers._Lost("the answer was lost")
        return taken

    monkeypatch.setattr(controllers, "_bind", lose)
    for sent in range(1, THRESHOLD):
        world.login(name, "wrong", 503)
        assert wrong_passwords(world, dn) == sent
        world.service.domains.all[0].controllers._failures.clear()
    assert world.audit("login.fail") == []
    assert counted(world) == []
    assert world.refused(name, "wrong") == "near-lock-out-in-directory"
    monkeypatch.undo()
    assert not is_locked(world, dn)


def test_an_account_is_never_locked_under_password_settings_of_its_own(world: DirectoryWorld) -> None:
    name, dn = world.person()
    world.domain.add_password_settings(f"strict-{name}", THRESHOLD - 2, dn)
    world.login(name, "wrong", 401)
    assert world.refused(name) == "near-lock-out-in-directory"
    assert wrong_passwords(world, dn) == 1
    assert not is_locked(world, dn)


def test_password_settings_of_a_group_apply_to_its_members_even_if_they_are_laxer(world: DirectoryWorld) -> None:
    name, dn = world.person()
    group = world.domain.add_group(f"lax-{name}", dn)
    world.domain.add_password_settings(f"lax-{name}", THRESHOLD + 2, group)
    for sent in range(1, THRESHOLD + 2):
        assert world.refused(name, "wrong") == "wrong-password"
        assert wrong_passwords(world, dn) == sent
    world.execute("DELETE FROM account_networks")  # five failures make the next one wait
    assert world.refused(name, "wrong") == "near-lock-out-in-directory"
    assert not is_locked(world, dn)


def counted(world: DirectoryWorld) -> list[tuple[Any, ...]]:
    """The failures that Accord counts, and what is under way."""
    failures = world.service.reader.rows("SELECT network, failures FROM account_networks WHERE failures > 0")
    return [*failures, *world.service.reader.rows("SELECT guid, under_way FROM directory_attempts WHERE under_way > 0")]


def failed_before(world: DirectoryWorld, failures: int, seconds: int) -> None:
    """Let the last failure of an account's only network be the last of many, some time ago."""
    at = instant_text(datetime.now(UTC) - timedelta(seconds=seconds))
    world.execute(f"UPDATE account_networks SET failures = {failures}, last_failed_at = '{at}'")


@pytest.fixture
def unlockable(world: DirectoryWorld) -> tuple[str, str]:
    """An account that its domain never locks, however many passwords are wrong."""
    name, dn = world.person()
    world.domain.add_password_settings(f"never-{name}", 0, dn)
    return name, dn


def test_guesses_at_the_same_moment_are_no_more_than_the_count_permits(
    world: DirectoryWorld, unlockable: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, dn = unlockable
    world.with_more(waiting=50)
    world.login(name, "wrong", 401)
    failed_before(world, 12, 200)  # the next is permitted, and one more only after minutes
    sent, refuses = [], Controllers.refuses

    def refuse_late(controllers: Controllers, of: str, password: str) -> str | None:
        if of == dn:
            sent.append(password)
            until(lambda: len(sent) > 1 or sum(each.is_alive() for each in threads) == 1, "the other guesses")
        return refuses(controllers, of, password)

    monkeypatch.setattr(Controllers, "refuses", refuse_late)
    threads = [threading.Thread(target=world.send_login, args=(name, f"guess {number}")) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == 1
    assert [failures for _, failures in counted(world)] == [13]


def test_a_password_set_anew_in_the_directory_ends_the_count_of_somebody_who_never_logged_in(
    world: DirectoryWorld, unlockable: tuple[str, str]
) -> None:
    name, dn = unlockable
    world.login(name, "wrong", 401)
    failed_before(world, 30, 0)
    assert world.refused(name) == "too-many-failures"
    world.domain.set(dn, unicodePwd='"My-Own-Word-2026"'.encode("utf-16-le"))
    assert world.refused(name, "wrong") == "wrong-password"
    assert [failures for _, failures in counted(world)] == [1]
    world.login(name, "My-Own-Word-2026")
    assert counted(world) == []


def test_somebody_who_never_logged_in_can_be_unlocked(world: DirectoryWorld, unlockable: tuple[str, str]) -> None:
    name, _ = unlockable
    world.login(name, "wrong", 401)
    failed_before(world, 30, 0)
    assert world.refused(name) == "too-many-failures"
    root = world.caller("root")
    root("POST", f"/users/{name}/unlock", 204)
    root("POST", "/users/person-unknown/unlock", 404)
    (entry,) = world.audit("account.unlock")
    assert (entry["name"], [*entry["detail"]]) == (name, ["credential", "guid"])
    world.login(name)


def test_a_right_password_is_no_failure_if_the_directory_falls_silent_after_it(
    world: DirectoryWorld, unlockable: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DirectoryUnavailable("no controller answers")

    name, _ = unlockable
    world.login(name, "wrong", 401)
    failed_before(world, 3, 60)
    before = world.service.reader.rows("SELECT failures, last_failed_at FROM account_networks")
    monkeypatch.setattr(Domain, "read", fail)
    world.login(name, code=503)
    assert world.service.reader.rows("SELECT failures, last_failed_at FROM account_networks") == before
    assert world.service.reader.rows("SELECT guid FROM directory_attempts WHERE under_way > 0") == []


def test_unreadable_password_settings_are_assumed_to_be_the_strictest(world: DirectoryWorld) -> None:
    name, dn = world.person()
    settings_object = world.domain.add_password_settings(f"hidden-{name}", 2, dn)
    world.domain.change_rights(settings_object, "(D;;RP;;;{})", "svc")
    assert world.refused(name, "wrong") == "wrong-password"
    assert world.refused(name) == "near-lock-out-in-directory"
    assert not is_locked(world, dn)
    assert POLICIES in settings_object
