"""Whatever ends in the directory ends here; unreadable answers change nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from directory_world import Caller, DirectoryWorld
from waiting import until

from api.directory import accounts
from api.directory.controllers import DirectoryUnavailable


@pytest.mark.parametrize(
    "attributes",
    [{"userAccountControl": "514"}, {"accountExpires": "116444736000000001"}],
    ids=["disabled", "expired"],
)
def test_an_account_that_ends_in_the_directory_ends_here(world: DirectoryWorld, attributes: dict[str, str]) -> None:
    name, dn = world.person()
    person = world.login(name)
    token = world.with_secret(person("POST", "/me/tokens", 201, json={"name": "ci", "validFor": "1d"})["token"])
    world.cycle()
    token("GET", "/me", 200)
    world.domain.set(dn, **attributes)
    world.cycle()
    token("GET", "/me", 401)
    person("GET", "/me", 401)
    assert world.caller("root")("GET", f"/users/{name}", 200)["disabledBy"] == ["directory"]


def test_tokens_that_it_minted_for_others_go_on_and_are_named(world: DirectoryWorld) -> None:
    name, dn = world.person()
    session = world.login(name)("GET", "/me", 200)["credential"]["id"]
    minted = world.mint("portal", minter=session)
    world.domain.set(dn, userAccountControl="514")
    world.cycle()
    (entry,) = [entry for entry in world.audit("account.disable") if entry["name"] == name]
    assert entry["detail"]["mintedForOthers"] == [{"user": "portal", "token": minted.accessor}]
    world.with_secret(minted.secret)("GET", "/me", 200)


def test_a_restored_account_can_log_in_again_but_its_old_tokens_stay_revoked(world: DirectoryWorld) -> None:
    name, dn = world.person()
    person = world.login(name)
    world.domain.set(dn, userAccountControl="514")
    world.cycle()
    world.domain.set(dn, userAccountControl="512")
    world.login(name)("GET", "/me", 200)
    person("GET", "/me", 401)


def test_leaving_a_group_ends_access_and_joining_one_gives_it(world: DirectoryWorld) -> None:
    name, dn = world.person()
    group = world.domain.add_group(f"group-{name}", dn)
    world.map_group(f"group-{name}")
    person = world.login(name)
    assert person("POST", "/decisions", 200, json={"issuer": "vpn"})["allow"] is True
    world.domain.leave(group, dn)
    world.cycle()
    assert person("POST", "/decisions", 200, json={"issuer": "vpn"})["reason"] == "no-team"
    world.domain.join(group, dn)
    world.cycle()
    assert person("POST", "/decisions", 200, json={"issuer": "vpn"})["allow"] is True


def test_two_readings_must_agree_that_an_account_is_gone(world: DirectoryWorld) -> None:
    name, dn = world.person()
    person = world.login(name)
    world.domain.delete(dn)
    world.cycle()
    person("GET", "/me", 200)
    world.cycle()
    person("GET", "/me", 401)


def test_a_group_recreated_under_the_same_name_gives_nothing(world: DirectoryWorld) -> None:
    name, dn = world.person()
    group = world.domain.add_group(f"group-{name}", dn)
    world.map_group(f"group-{name}")
    person = world.login(name)
    world.domain.delete(group)
    world.domain.add_group(f"group-{name}", dn)
    world.cycle()
    assert person("POST", "/decisions", 200, json={"issuer": "vpn"})["allow"] is False


def test_a_cycle_that_would_disable_too_many_accounts_disables_none(world: DirectoryWorld) -> None:
    people = [world.person() for _ in range(8)]
    sessions = [world.login(name) for name, _ in people]
    for _, dn in people[:6]:
        world.domain.set(dn, userAccountControl="514")
    world.cycle()
    for session in sessions:
        session("GET", "/me", 200)
    assert 'accord_directory_stopped{domain="corp.example.org"} 1.0' in world.metrics()
    world.domain.set(people[0][1], userAccountControl="512")
    world.cycle()  # five may always be
    sessions[0]("GET", "/me", 200)
    for session in sessions[1:6]:
        session("GET", "/me", 401)


def test_an_outage_changes_nothing_until_the_grace_is_over(world: DirectoryWorld) -> None:
    name, _ = world.person()
    person = world.login(name)
    world.domain.pause()
    try:
        world.service.domains.close()
        world.service.domains.all[0].controllers.settings = world.service.domains.all[0].settings._replace(
            try_time=0.5, total_time=1.0
        )
        with pytest.raises(DirectoryUnavailable):
            world.cycle()
        person("GET", "/me", 200)
    finally:
        world.domain.go_on()
    world.execute("UPDATE directory_accounts SET read_at = '2020-01-01T00:00:00.000000Z'")
    person("GET", "/me", 401)


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Lets something happen after the next login has read its account in the directory, and before it writes that."""

    def happens(act: Callable[[], object]) -> None:
        resolve = accounts.resolve_groups

        def act_first(*arguments: Any) -> list[str]:
            monkeypatch.setattr(accounts, "resolve_groups", resolve)
            act()
            return resolve(*arguments)

        monkeypatch.setattr(accounts, "resolve_groups", act_first)

    return happens


Between = Callable[[Callable[[], object]], None]


def test_a_login_does_not_enable_an_account_that_was_disabled_since_it_was_read(world: DirectoryWorld, between: Between) -> None:
    name, dn = world.person()
    session = world.login(name)

    def end() -> None:
        world.domain.set(dn, userAccountControl="514")
        world.cycle()
        session("GET", "/me", 401)

    between(end)
    assert world.refused(name) == "account-disabled"
    assert world.caller("root")("GET", f"/users/{name}", 200)["disabledBy"] == ["directory"]


def test_a_reading_that_began_after_a_login_s_is_written_after_it(
    world: DirectoryWorld, between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, dn = world.person()
    world.login(name)
    held: list[tuple[Any, ...]] = []
    sync = world.service.resync._sync

    def end() -> None:
        world.domain.set(dn, userAccountControl="514")
        monkeypatch.setattr(world.service.resync, "_sync", lambda *readings: held.append(readings))
        world.cycle()

    between(end)
    session = world.login(name)
    session("GET", "/me", 200)
    for readings in held:
        sync(*readings)
    session("GET", "/me", 401)


def test_logins_at_the_same_moment_all_succeed(world: DirectoryWorld, between: Between) -> None:
    name, _ = world.person()
    world.login(name)
    between(lambda: world.login(name))
    world.login(name)("GET", "/me", 200)


def test_a_login_read_before_its_account_was_recreated_deletes_nothing(world: DirectoryWorld, between: Between) -> None:
    name, dn = world.person()
    world.login(name)
    sessions: list[Caller] = []

    def recreate() -> None:
        world.domain.delete(dn)
        world.domain.add_user(name)
        sessions.append(world.login(name))

    between(recreate)
    world.login(name, code=503)
    sessions[0]("GET", "/me", 200)
    assert len(world.audit("account.delete")) == 1


def test_a_reading_by_a_clock_that_was_ahead_does_not_count_and_is_made_again(world: DirectoryWorld) -> None:
    name, dn = world.person()
    person = world.login(name)
    world.execute("UPDATE directory_accounts SET read_at = '2999-01-01T00:00:00.000000Z'")
    person("GET", "/me", 401)
    world.cycle()
    person("GET", "/me", 200)
    world.domain.set(dn, userAccountControl="514")
    world.execute("UPDATE directory_accounts SET read_at = '2999-01-01T00:00:00.000000Z'")
    world.cycle()
    assert world.caller("root")("GET", f"/users/{name}", 200)["disabledBy"] == ["directory"]


def test_decisions_about_an_account_that_was_not_read_for_too_long_say_so(world: DirectoryWorld) -> None:
    name, _ = world.person()
    world.login(name)
    portal = world.caller("portal")
    question = {"issuer": "vpn", "subject": name}
    assert portal("POST", "/decisions", 200, json=question)["reason"] == "no-team"
    world.execute("UPDATE directory_accounts SET read_at = '2020-01-01T00:00:00.000000Z'")
    assert portal("POST", "/decisions", 200, json=question)["reason"] == "directory-unread"


def test_what_ends_in_the_directory_ends_here_within_the_published_bound(world: DirectoryWorld) -> None:
    world.service.stop()
    world.options = {"resync": "3s"}
    world.start()
    name, dn = world.person()
    person = world.login(name)
    metrics = world.metrics()
    bound = float(metrics.partition('accord_directory_bound_seconds{domain="corp.example.org"} ')[2].split()[0])
    person("GET", "/me", 200)
    world.domain.set(dn, userAccountControl="514")
    ends = time.monotonic() + bound

    def has_ended() -> bool:
        asked = time.monotonic()
        if person.send("GET", "/me").status_code == 200:
            assert asked < ends
            return False
        return True

    until(has_ended, "an end")
    person("GET", "/me", 401)
